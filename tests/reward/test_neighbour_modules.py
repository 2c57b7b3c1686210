"""Modules and data beside a reward file: imported by each car for itself, and found by name."""

from __future__ import annotations

import gc
import re
import sys

import pytest

from racer.errors import RewardError
from racer.reward import RewardSource
from racer.reward.neighbour_files import files_beside

REWARD = "def reward_function(params):\n    return {}\n"


@pytest.fixture
def written(tmp_path):
    """Writes files and reads `mine.py` of them, from another current folder."""

    def write(**files: str) -> RewardSource:
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/")
            path = path.with_suffix(".py") if not path.suffix else path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return RewardSource.read(tmp_path / "mine.py")

    return write


def paid(source: RewardSource) -> float:
    return source.call(source.functions(1)[0], {})


def beside(source: RewardSource) -> set[str]:
    return set(files_beside(source, lambda: source.functions(1)[0]({})))


def test_a_sibling_is_imported_as_beside_a_script(written):
    source = written(mine="from helper import LINE\n" + REWARD.format("LINE"), helper="LINE = 3\n")
    assert paid(source) == 3.0


@pytest.mark.parametrize(
    "line",
    [
        "from src.framework import pay",
        "import src.framework\npay = src.framework.pay",
        "import src.framework as framework\npay = framework.pay",
        "from src import framework\npay = framework.pay",
    ],
)
def test_a_folder_of_modules_is_a_package(written, line):
    framework = "from .numbers import ONE\nfrom src.more import TWO\ndef pay(): return ONE + TWO\n"
    modules = {"src__framework": framework, "src__numbers": "ONE = 1\n", "src__more": "TWO = 2\n"}
    assert paid(written(mine=f"{line}\n" + REWARD.format("pay()"), **modules)) == 3.0


def test_each_car_has_its_own_siblings(written):
    helper = "seen = []\n"
    mine = "import helper\ndef reward_function(params):\n    helper.seen.append(1)\n"
    source = written(mine=mine + "    return len(helper.seen)\n", helper=helper)
    first, second = source.functions(2)
    assert [source.call(first, {}) for _ in range(3)] == [1, 2, 3]
    assert source.call(second, {}) == 1


def test_siblings_of_one_name_in_two_folders_are_two_modules(tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "helper.py").write_text(f"VALUE = {value}\n")
        (tmp_path / name / "mine.py").write_text("import helper\n" + REWARD.format("helper.VALUE"))
    sources = [RewardSource.read(tmp_path / name / "mine.py") for name in ("a", "b")]
    assert [paid(source) for source in sources] == [1.0, 2.0]


def test_a_sibling_that_is_imported_in_the_function_is_found(written):
    mine = "def reward_function(params):\n    from helper import VALUE\n    return VALUE\n"
    assert paid(written(mine=mine, helper="VALUE = 4\n")) == 4.0


def test_a_sibling_does_not_hide_the_standard_library_or_racer(written):
    mine = "import random, racer\n" + REWARD.format("random.Random(0).random() < 1")
    source = written(mine=mine, random="1 / 0\n", racer__nothing="1 / 0\n")
    assert paid(source) == 1.0


def test_a_sibling_leaves_no_cache_and_no_module_behind(written, tmp_path):
    source = written(mine="import helper\n" + REWARD.format("1"), helper="")
    assert any(name.endswith(".helper") for name in sys.modules)
    before = {name for name in sys.modules if name.startswith("reward_function_")}
    assert not list(tmp_path.glob("**/__pycache__"))
    mine = {name for name in before if getattr(sys.modules[name], "__path__", 0) == [str(tmp_path)]}
    assert mine
    del source
    gc.collect()
    assert not mine & set(sys.modules)


@pytest.mark.parametrize(
    ("helper", "said"),
    [
        ("def pay():\n    return 1 / 0\n", "helper.py:2: ZeroDivisionError: division by zero"),
        ("def pay()\n    return 1\n", "helper.py:1: SyntaxError: expected ':'"),
        ("import nowhere_at_all\n", "helper.py:1: ModuleNotFoundError"),
        ("pass\n", "mine.py:1: ImportError: cannot import name 'pay'"),
    ],
)
def test_an_error_in_a_sibling_names_the_sibling_s_line(written, helper, said):
    with pytest.raises(RewardError) as caught:
        paid(written(mine="from helper import pay\n" + REWARD.format("pay()"), helper=helper))
    told = re.sub(r"\S*/(?=mine|helper)", "", str(caught.value))
    assert told.startswith(said)


def test_the_files_of_a_reward_are_what_it_imports_names_and_opens(written, tmp_path):
    mine = (
        "import os, json\n"
        "from pathlib import Path\n"
        "from src.framework import VALUE\n"
        "HERE = os.path.dirname(__file__)\n"
        "with open(os.path.join(HERE, 'plain.txt')) as file:\n"
        "    PLAIN = file.read()\n"
        "def reward_function(params):\n"
        "    number = 1\n"
        "    opened = Path(f'{HERE}/computed-{number}.txt').read_text()\n"
        "    if params.get('never'):\n"
        "        import late\n"
        "        return json.loads((Path(__file__).parent / 'data' / 'late.json').read_text())\n"
        "    return VALUE\n"
    )
    source = written(
        **{
            "mine": mine,
            "src__framework": "from .part import VALUE\n",
            "src__part": "VALUE = 1\nNAMES = ['late.csv', '../data/more.csv']\n",
            "src__late.csv": "4",
            "data__more.csv": "5",
            "late": "",
            "plain.txt": "1",
            "computed-1.txt": "2",
            "computed-2.txt": "not opened",
            "data__late.json": "3",
            "other": "",
            "notes.md": "",
        }
    )
    assert beside(source) == {
        "src/framework.py",
        "src/part.py",
        "src/late.csv",
        "data/more.csv",
        "late.py",
        "plain.txt",
        "computed-1.txt",
        "data/late.json",
    }


def test_a_file_that_is_opened_from_the_current_folder_is_one_of_them(
    written, tmp_path, monkeypatch
):
    work = tmp_path / "work"
    (work / "lines").mkdir(parents=True)
    (work / "lines" / "best.csv").write_text("1")
    monkeypatch.chdir(work)
    mine = "import numpy\nLINE = numpy.loadtxt('lines/best.csv')\n"
    source = written(mine=mine + REWARD.format("float(LINE)"))
    found = files_beside(source, lambda: source.functions(1))
    assert found == {"lines/best.csv": work / "lines" / "best.csv"}


def test_what_is_installed_hidden_or_written_is_none_of_them(written, tmp_path):
    mine = (
        "from pathlib import Path\n"
        "HERE = Path(__file__).parent\n"
        "(HERE / 'log').with_suffix('.txt').write_text('x')\n"
        "for name in ('.venv/lib/site-packages/a/data.txt', 'venv/site-packages/b.txt'):\n"
        "    (HERE / name).read_text()\n" + REWARD.format("1")
    )
    files = {".venv__lib__site-packages__a__data.txt": "", "venv__site-packages__b.txt": ""}
    source = written(mine=mine, **files)
    assert (tmp_path / "log.txt").is_file()
    assert beside(source) == set()


def test_a_large_folder_that_a_string_happens_to_name_is_left(written, tmp_path, monkeypatch):
    monkeypatch.setattr("racer.reward.neighbour_files.MAX_FOLDER_FILES", 3)
    files = {f"speed__{number}.txt": "" for number in range(4)}
    assert beside(written(mine=REWARD.format("len('speed')"), **files)) == set()
