"""A user's reward file: what is accepted, and the file and line of what is not."""

from __future__ import annotations

import hashlib
import math
import os
import re
import signal
import sys
import threading
import time
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from racer.errors import RewardError
from racer.reward import RewardSource
from racer.reward.timeout import timeout_after


@pytest.fixture
def source(tmp_path):
    """Writes a reward file and reads it."""

    def write(text: str | bytes) -> RewardSource:
        path = tmp_path / "mine.py"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return RewardSource.read(path)

    return write


def refused(source, text: str | bytes) -> str:
    """What is said about a file that cannot be read, without its folder."""
    with pytest.raises(RewardError) as caught:
        source(text)
    return re.sub(r"\S*/mine", "mine", str(caught.value))


def called(source, text: str, params: dict | None = None) -> tuple[str, BaseException | None]:
    """What is said about a call that fails, without its folder, and its cause."""
    reward = source(text)
    with pytest.raises(RewardError) as caught:
        reward.call(reward.functions(1)[0], params or {})
    return re.sub(r"\S*/mine", "mine", str(caught.value)), caught.value.__cause__


def returning(source, value) -> float:
    reward = source("def reward_function(params):\n    return params['value']\n")
    return reward.call(reward.functions(1)[0], {"value": value})


def test_a_reward_is_what_the_function_returns(source):
    reward = source("def reward_function(params):\n    return 2.0 * params['speed']\n")
    assert reward.call(reward.functions(1)[0], {"speed": 1.5}) == 3.0


def test_any_real_number_is_a_reward(subtests, source):
    for value in [3, True, -1e5, 1e5, *map(np.float32, (1.5, 0)), np.int64(3), np.bool_(True)]:
        with subtests.test(value=value):
            reward = returning(source, value)
            assert type(reward) is float
            assert reward == value


def assert_noted(source, value, number):
    reward = source("def reward_function(params):\n    return params['value']\n")
    function = reward.functions(1)[0]
    assert reward.call(function, {"value": np.float64(2.0)}) == 2.0
    assert reward.converted == []
    paid = reward.call(function, {"value": value})
    assert type(paid) is float
    assert paid == number
    assert type(value).__name__ in reward.converted[0]


def test_what_float_takes_is_a_reward_and_is_noted(subtests, source):
    for value, number in [
        (np.where(True, 1.5, 0.001), 1.5),
        (np.array([1.5]), 1.5),
        (np.array([[2]]), 2.0),
        ("1.5", 1.5),
        (" -2e3\n", -2000.0),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
    ]:
        with subtests.test(value=value, number=number):
            assert_noted(source, value, number)


@pytest.mark.needs("torch")
def test_a_tensor_of_one_number_is_a_reward_and_is_noted(source):
    import torch

    assert_noted(source, torch.tensor([0.5]), 0.5)


def test_anything_else_is_refused_with_what_it_was_and_what_is_wanted(subtests, source):
    for value, shown in [
        (None, "None (NoneType)"),
        ("fast", "'fast' (str)"),
        ("nan", "'nan' (str)"),
        (math.nan, "nan (float)"),
        (math.inf, "inf (float)"),
        (-math.inf, "-inf (float)"),
        (100000.1, "100000.1 (float)"),
        (10**400, "100000000"),
        (np.float64(np.nan), "nan"),
        (1j, "1j (complex)"),
        ([1.0], "[1.0] (list)"),
        (np.array([1.0, 2.0]), "array([1., 2.]) (ndarray)"),
        (np.array([]), "array([], dtype=float64) (ndarray)"),
    ]:
        with subtests.test(value=value, shown=shown):
            with pytest.raises(
                RewardError, match="a finite number from -100000 to 100000"
            ) as caught:
                returning(source, value)
            said = str(caught.value)
            assert shown in said
            assert "mine.py:1: reward_function returned" in said
            assert said.endswith("\n    def reward_function(params):")


def test_a_function_that_raises_is_refused_with_the_file_the_line_and_what_stands_there(source):
    text = "def reward_function(params):\n\n    return params['sped']  # oh\n"
    said, cause = called(source, text)
    assert said == "mine.py:3: KeyError: 'sped'\n    return params['sped']  # oh"
    assert isinstance(cause, KeyError)


def test_the_line_is_the_innermost_one_of_the_users_file(source):
    text = (
        "import math\n"
        "def helper(x):\n"
        "    return math.sqrt(x)\n"
        "def reward_function(params):\n"
        "    return helper(-1)\n"
    )
    said, _ = called(source, text)
    assert said.startswith("mine.py:3: ValueError: ")


def test_a_line_inside_a_library_is_told_by_the_users_line(source):
    text = "import json\ndef reward_function(params):\n    return json.loads('{')\n"
    said, _ = called(source, text)
    assert said.startswith("mine.py:3: JSONDecodeError: ")
    assert said.endswith("\n    return json.loads('{')")


def test_a_function_that_exits_is_refused(source):
    said, cause = called(source, "def reward_function(params):\n    raise SystemExit(3)\n")
    assert said.startswith("mine.py:2: SystemExit: 3")
    assert isinstance(cause, SystemExit)


@pytest.mark.parametrize(
    "call", ["os._exit(0)", "os.abort()", "os.execv('/bin/true', ['true'])", "leave(3)"]
)
def test_a_function_that_ends_the_process_is_refused_by_name(source, call):
    text = f"import os\nfrom os import _exit as leave\ndef reward_function(params):\n    {call}\n"
    reward = source(text)
    with pytest.raises(RewardError) as caught, reward.watched():
        reward.call(reward.functions(1)[0], {})
    named = {"leave(3)": "os._exit(3)"}.get(call, call)
    assert f"mine.py:4: ProcessExit: {named} would end racer itself" in str(caught.value)
    assert os._exit is not None
    assert os._exit.__module__ == "posix"


def test_a_file_that_ends_the_process_when_it_is_run_is_refused(source):
    assert refused(source, "import os\nos._exit(0)\n").startswith("mine.py:2: ProcessExit")


def test_a_process_that_a_reward_forks_may_end(source):
    text = "import os\ndef reward_function(params):\n"
    text += "    pid = os.fork()\n    if not pid:\n        os._exit(7)\n"
    text += "    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
    reward = source(text)
    with reward.watched():
        assert reward.call(reward.functions(1)[0], {}) == 7.0


def test_a_keyboard_interrupt_goes_through(source):
    reward = source("def reward_function(params):\n    raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        reward.call(reward.functions(1)[0], {})


def test_a_file_that_is_not_python_is_refused_with_its_line(source):
    said = refused(source, "x = 1\ndef reward_function(params)\n    return 1.0\n")
    assert said == "mine.py:2: SyntaxError: expected ':'\n    def reward_function(params)"


def test_a_wrong_indentation_is_refused_with_its_line(source):
    said = refused(source, "def reward_function(params):\n    x = 1\n  return x\n")
    assert said.startswith("mine.py:3: IndentationError: ")


@pytest.mark.parametrize("content", [b"x = '\xff'\n", b"# coding: nonsense\n", b"x = 1\x00\n"])
def test_bytes_that_are_not_python_are_refused(source, content):
    assert refused(source, content).startswith("mine.py")


def test_an_error_while_the_file_runs_is_refused_with_its_line(source):
    said = refused(source, "import math\nimport nowhere_at_all\n")
    assert said == (
        "mine.py:2: ModuleNotFoundError: No module named 'nowhere_at_all'\n"
        "    import nowhere_at_all"
    )


def test_a_file_without_a_reward_function_is_refused(source):
    said = refused(source, "def reward(params):\n    return 1.0\n")
    assert said == "mine.py: must define `def reward_function(params):`; there is none"


def test_a_reward_function_that_cannot_be_called_is_refused(source):
    said = refused(source, "reward_function = 3\n")
    assert said.endswith("; reward_function = 3")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(RewardError, match=r"no\.py: cannot be read: No such file"):
        RewardSource.read(tmp_path / "no.py")
    with pytest.raises(RewardError, match="cannot be read"):
        RewardSource.read(tmp_path)


def test_each_car_has_its_own_module_state(source):
    reward = source(
        "count = 0\n"
        "seen = []\n"
        "def reward_function(params):\n"
        "    global count\n"
        "    count += 1\n"
        "    seen.append(count)\n"
        "    return len(seen)\n"
    )
    first, second = reward.functions(2)
    assert [reward.call(first, {}) for _ in range(3)] == [1, 2, 3]
    assert reward.call(second, {}) == 1


def test_a_file_knows_its_name_and_is_not_the_main_program(source, tmp_path):
    reward = source(
        "assert __name__ != '__main__'\n"
        f"assert __file__ == {str(tmp_path / 'mine.py')!r}\n"
        "def reward_function(params):\n    return 1.0\n"
    )
    assert reward.call(reward.functions(1)[0], {}) == 1.0


def test_a_file_is_compiled_as_it_stands_and_not_with_our_own_futures(source):
    reward = source(
        "def reward_function(params: 1):\n    return reward_function.__annotations__['params']\n"
    )
    assert reward.call(reward.functions(1)[0], {}) == 1.0


def test_the_digest_is_that_of_the_files_bytes(source):
    text = "def reward_function(params):\r\n    return 1.0\r\n"
    assert source(text).sha256 == hashlib.sha256(text.encode()).hexdigest()


def test_a_line_is_told_as_it_was_read_after_the_file_changed(source):
    reward = source("def reward_function(params):\n    return 1 / 0\n")
    reward.path.write_text("")
    with pytest.raises(RewardError, match=r":2: ZeroDivisionError: .*\n    return 1 / 0"):
        reward.call(reward.functions(1)[0], {})


def test_a_shipped_reward_is_found_by_its_name():
    for name in ("centerline", "centerline.py", "configs/rewards/centerline.py"):
        assert RewardSource.find(name).path.name == "centerline.py"


def test_a_path_is_found_before_a_shipped_name(source, tmp_path):
    path = source("def reward_function(params):\n    return 1.0\n").path
    assert RewardSource.find(str(path)).path == path


def test_an_unknown_name_is_answered_with_the_shipped_ones():
    with pytest.raises(RewardError, match=r"'fast'.*shipped there: .*centerline, .*speed$"):
        RewardSource.find("fast")


HERE = {"speed": 1.0, "waypoints": [(0.0, 0.0)] * 120, "objects_location": []}


def test_an_unknown_key_is_answered_with_the_near_one(source):
    said, _ = called(source, "def reward_function(params):\n    return params['sped']\n", HERE)
    assert said.startswith("mine.py:2: KeyError: 'sped'; did you mean 'speed'?\n")


def test_a_waypoint_beyond_the_track_s_is_told_with_what_the_track_has(source):
    text = "def reward_function(params):\n    return params['waypoints'][150][0]\n"
    said, _ = called(source, text, HERE)
    assert said == (
        "mine.py:2: IndexError: list index out of range; this track's waypoints are 0 to 119, "
        "and objects on the road: 0\n    return params['waypoints'][150][0]"
    )


@pytest.mark.parametrize(
    "text",
    [
        "reward_function = lambda params: params['speed']\n",
        "import functools\n"
        "def paid(factor, params):\n    return factor * params['speed']\n"
        "reward_function = functools.partial(paid, 1.0)\n",
        "class Reward:\n    def __call__(self, params):\n        return params['speed']\n"
        "reward_function = Reward()\n",
        "class Reward:\n    def pay(self, params):\n        return params['speed']\n"
        "reward_function = Reward().pay\n",
    ],
    ids=["lambda", "partial", "object", "method"],
)
def test_a_function_defined_by_assignment_is_called_and_its_mistakes_have_a_line(source, text):
    reward = source(text)
    function = reward.functions(1)[0]
    assert reward.call(function, {"speed": 2.5}) == 2.5
    with pytest.raises(RewardError, match=r"mine\.py:[1-3]: reward_function returned nan"):
        reward.call(function, {"speed": math.nan})


def test_a_dataclass_with_postponed_annotations_finds_its_module(source):
    reward = source(
        "from __future__ import annotations\n"
        "import dataclasses, pickle, sys, typing\n"
        "@dataclasses.dataclass\n"
        "class Memory:\n    last: float = 0.0\n    kept: typing.ClassVar[int] = 1\n"
        "def reward_function(params):\n"
        "    assert typing.get_type_hints(Memory)['last'] is float\n"
        "    assert pickle.loads(pickle.dumps(Memory(2.0))) == Memory(2.0)\n"
        "    return float(len(dataclasses.fields(Memory)))\n"
    )
    functions = reward.functions(2)
    assert [reward.call(function, {}) for function in functions] == [1.0, 1.0]
    names = {function.__module__ for function in functions}
    assert len(names) == 2
    assert names <= set(sys.modules)
    del reward
    assert not names & set(sys.modules)


def test_a_file_that_is_read_beside_the_reward_is_found_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "line.json").write_text("[7]")
    (tmp_path / "mine.py").write_text(
        "import json, os\n"
        "with open(os.path.join(os.path.dirname(__file__), 'line.json')) as file:\n"
        "    LINE = json.load(file)\n"
        "def reward_function(params):\n"
        "    with open(os.path.dirname(__file__) + '/line.json') as file:\n"
        "        return float(json.load(file)[0] + LINE[0])\n"
        "if __name__ == '__main__':\n    raise SystemExit\n"
    )
    monkeypatch.chdir(tmp_path)
    reward = RewardSource.read("mine.py")
    monkeypatch.chdir("/")
    assert reward.call(reward.functions(1)[0], {}) == 14.0


def hanging(source, body: str) -> str:
    reward = source(f"import time\ndef reward_function(params):\n{body}")
    function = reward.functions(1)[0]
    with pytest.raises(RewardError) as caught, reward.watched(0.05):
        reward.call(function, {})
    return re.sub(r"\S*/mine", "mine", str(caught.value))


@pytest.mark.parametrize(
    "body",
    [
        "    while True:\n        pass\n",
        "    x = 1\n    time.sleep(60)\n",
        "    try:\n        time.sleep(60)\n    except Exception:\n        return 0.0\n",
    ],
    ids=["a loop", "a sleep", "a sleep inside try"],
)
def test_a_call_that_hangs_is_ended_and_its_line_named(source, body):
    said = hanging(source, body)
    assert re.match(r"mine\.py:[34]: still running after 0.05 s", said)
    assert said.splitlines()[1].strip() in ("while True:", "pass", "time.sleep(60)")


def test_a_file_that_hangs_while_it_runs_is_refused_with_its_line(source, monkeypatch):
    monkeypatch.setattr("racer.reward.reward_file.LOADING_TIMEOUT_S", 0.05)
    assert "mine.py:2: still running" in refused(source, "import time\ntime.sleep(60)\n")


def test_a_deadline_leaves_the_clock_and_its_handler_as_they_were():
    def handler(number, frame):
        raise AssertionError("not ours to ring")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        with timeout_after(5.0):
            assert signal.getitimer(signal.ITIMER_REAL)[0] > 0.0
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 100.0)
        with timeout_after(0.01):
            time.sleep(0.03)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 90.0, "somebody else's is left alone"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_outside_the_main_thread_a_deadline_does_nothing():
    slept = []

    def work():
        with timeout_after(0.01):
            time.sleep(0.03)
            slept.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert slept == [True]
