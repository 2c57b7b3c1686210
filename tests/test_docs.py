"""The docs as a site: its navigation, its links, and what its pages claim of the code."""

import re
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import pytest
import yaml

import racer  # noqa: F401  (registers the environments)
from racer.race import Ending
from racer.registration import ARGUMENTS, ENV_IDS

ROOT = Path(__file__).parents[1]
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
FROM_ELSEWHERE = {
    *("tracks/README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md"),
    "commands.md",
}
"""Pages that scripts/site_hooks.py adds."""
RACE_PAGES = {kind: f"docs/{kind.replace('_', '-')}.md" for kind in ENV_IDS}
HEADINGS = (
    *("Description", "Action space", "Observation space", "Rewards", "Starting state"),
    *("Episode end", "Arguments", "Version history"),
)


def pages_of(nav: Any) -> list[str]:
    """Each page that a part of the navigation names, in order."""
    if isinstance(nav, str):
        return [nav]
    return [
        page for item in (nav.values() if isinstance(nav, dict) else nav) for page in pages_of(item)
    ]


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_navigation_names_every_page_once():
    docs = ROOT / "docs"
    files = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    named = pages_of(SITE["nav"])
    assert sorted(set(named)) == sorted(named)
    assert files - set(named) == set(), "pages that mkdocs.yml's nav lacks: add them there"
    assert set(named) - files == FROM_ELSEWHERE


def test_the_page_of_a_race_has_gymnasiums_headings_and_the_environments_spaces(subtests):
    for kind, path in RACE_PAGES.items():
        text = page(path)
        assert tuple(re.findall(r"^## (.+)$", text, re.MULTILINE)) == HEADINGS
        ids = [name for name, arguments in ARGUMENTS.items() if arguments["kind"] == kind]
        for name in ids:
            with subtests.test(id=name):
                env = gymnasium.make(name)
                assert f"`{name}`" in text
                assert f"`{env.observation_space}`" in text
                assert f"`{env.action_space}`" in text
                env.close()


def test_the_time_trials_page_numbers_the_endings_as_info_does():
    table = page(RACE_PAGES["time_trial"]).partition("## Episode end")[2]
    rows = re.findall(r"^\| (\d) \| .* \| (\w+) \|$", table, re.MULTILINE)
    ends = {Ending.TIME_UP: "truncated"}
    wanted = [(one, ends.get(one, "terminated")) for one in Ending if one is not Ending.RUNNING]
    assert [(Ending(int(number)), end) for number, end in rows] == wanted


@pytest.mark.parametrize("path", RACE_PAGES.values())
def test_the_example_on_the_page_of_a_race_runs(path):
    (example,) = re.findall(r"```python\n(.*?)```", page(path), re.DOTALL)
    exec(example, {})


def test_the_cookbook_has_each_shipped_reward_with_its_picture_and_its_code():
    shipped = {path.stem for path in (ROOT / "configs/rewards").glob("*.py")}
    text = page("docs/rewards-cookbook.md")
    assert set(re.findall(r"^### (\w+)$", text, re.MULTILINE)) == shipped
    assert set(re.findall(r"\]\(rewards/(\w+)\.png\)", text)) == shipped
    assert set(re.findall(r'--8<-- "configs/rewards/(\w+)\.py"', text)) == shipped


def test_the_line_that_the_first_page_changes_is_in_the_reward_of_a_new_car():
    (line,) = re.findall(r"```python\n(.*?)\n```", page("docs/index.md"), re.DOTALL)
    reward = yaml.safe_load(page("configs/quick.yaml"))["reward"]
    assert page(f"configs/rewards/{reward}.py").rstrip().endswith(line)


def test_a_list_on_a_page_begins_after_an_empty_line():
    """Markdown on the site, unlike that of code hosts, joins it to the paragraph otherwise."""
    item, found = re.compile(r"(?:[-*]|\d+\.) "), []
    for path in [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "tracks/README.md"]:
        lines = re.sub(r"```.*?```", "", page(str(path)), flags=re.DOTALL).splitlines()
        for before, line in pairwise(lines):
            is_text = before.strip() and before[0] not in " #" and not item.match(before)
            if item.match(line) and is_text:
                found.append(f"{path.name}: {line}")
    assert found == []


def hooks() -> SimpleNamespace:
    """The hooks of the site."""
    pytest.importorskip("mkdocs")
    space: dict[str, Any] = {"__file__": str(ROOT / "scripts/site_hooks.py"), "__name__": "hooks"}
    exec(page("scripts/site_hooks.py"), space)
    return SimpleNamespace(**space)


def test_a_link_of_the_repository_becomes_one_of_the_site(subtests):
    rewrite = hooks().on_page_markdown
    for uri, link, wanted in (
        ("environment.md", "../tracks/README.md#your-own", "tracks/README.md#your-own"),
        ("environment.md", "libraries.md", "libraries.md"),
        ("api/racer.md", "../environment.md", "../environment.md"),
        ("api/racer.md", "../../CHANGELOG.md", "../CHANGELOG.md"),
        ("tracks/README.md", "../docs/tracks/oval.png", "oval.png"),
        ("CONTRIBUTING.md", "docs/twin.md", "twin.md"),
        ("faq.md", "https://example.com/a/../b", "https://example.com/a/../b"),
        ("faq.md", "#running-it", "#running-it"),
    ):
        with subtests.test(link=link):
            place = SimpleNamespace(file=SimpleNamespace(src_uri=uri))
            assert rewrite(f"a [b]({link}) c", page=place) == f"a [b]({wanted}) c"


def test_a_page_that_fetches_from_elsewhere_is_told(caplog):
    place, told = SimpleNamespace(file=SimpleNamespace(src_uri="faq.md")), hooks().on_post_page
    told('<a href="https://a.example/x"><img src="lap.gif"></a>', page=place)
    assert caplog.messages == []
    told('<script defer src="https://cdn.example/x.js"></script>', page=place)
    told('<link href="https://fonts.example/f.css" rel="stylesheet">', page=place)
    assert [line.split()[-1] for line in caplog.messages] == [
        "https://cdn.example/x.js",
        "https://fonts.example/f.css",
    ]


def test_the_page_of_commands_has_every_command_and_explains_every_option():
    from racer.cli.app import COMMANDS

    text = hooks().commands_page()
    paths = [path for commands in COMMANDS.values() for path in commands]
    assert re.findall(r"^### `racer (.+)`$", text, re.MULTILINE) == paths
    assert re.findall(r"^\| `.*` \|\s*\|$", text, re.MULTILINE) == [
        line for line in text.splitlines() if re.match(r"\| `racer .*` \| \|$", line)
    ]
