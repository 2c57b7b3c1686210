"""A compiled reward pays what its Python file pays, to the bit, or is not compiled and says why."""

from __future__ import annotations

import ast
import functools
import io
import math
import random
import re
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from racer import assets
from racer.envs import RacerVectorEnv
from racer.errors import RewardError
from racer.reward import RewardSource
from racer.reward.compiled_reward import CompiledReward, compile_reward
from racer.reward.compiler import python_numbers
from racer.reward.compiler.python_numbers import ADDRESS, UNCERTAIN, library_addresses
from racer.reward.compiler.renaming import part_variables_from_functions
from racer.reward.compiler.types import NotCompiled
from racer.reward.params import FLOAT_PARAMS
from racer.track import load_track

STYLES = Path(__file__).with_name("styles") / "compiled"
OVAL = load_track("oval")
REFUSED = {
    "calls_itself": (2, "a function that calls itself"),
    "changes_params": (2, "a dict of params that is changed"),
    "grows_history": (5, "a list that is changed where it is not made"),
    "local_dict": (2, "a dict that is made in the function"),
    "numpy_table": (5, "an array of a list"),
    "uses_random": (5, "it uses random.random"),
    "uses_time": (5, "it uses time"),
}
"""The files that are not compiled: the line, and what is there."""
LEFT_TO_PYTHON = {"prints_formatted": 2304 // 7}
"""The most states that a file leaves to Python, of 2304, where it is meant to leave some."""
QUICK = ("class_params", "avoid_objects", "modulo_negative", "powers", "numpy_vectors")
QUICK += ("corner_names", "function_attributes", "renamed_function")
PRINTING = {"verbose_print": "step 50", "prints_formatted": "| None | [", "prints_always": "100"}
"""Files that print, and some of what they print."""
CARS, STEPS = 8, 150


def source_of(folder, code):
    path = folder / "mine.py"
    path.write_text(code)
    return RewardSource.read(path)


def drive(reward, compile, steps=STEPS, cars=CARS, **config):
    """Rewards (steps, cars) of a wandering drive, and the environment, which is still open."""
    env = RacerVectorEnv(
        cars, sensor="state", track="oval", reward=str(reward), compile=compile, **config
    )
    env.reset(seed=3)
    rng = np.random.default_rng(4)
    actions = rng.uniform([-1.0, -0.8], [1.0, 0.4], (steps, cars, 2)).astype(np.float32)
    return np.array([env.step(action)[1] for action in actions]), env


def both(reward, **config):
    """The rewards of a drive by the compiled code and by Python, and why not if not compiled."""
    compiled, env = drive(reward, True, **config)
    why = env.reward_in_python
    env.close()
    python, other = drive(reward, False, **config)
    other.close()
    return compiled, python, why


def check_style(name):
    source = RewardSource.read(STYLES / f"{name}.py")
    if name in REFUSED:
        with pytest.raises(NotCompiled) as problem:
            compile_reward(source, [OVAL])
        assert (problem.value.line, problem.value.what) == REFUSED[name]
        return
    _, proof = compile_reward(source, [OVAL])
    assert proof.states == 2304
    assert proof.left <= LEFT_TO_PYTHON.get(name, 24)


def test_a_file_in_a_common_style_compiles_or_says_what_stops_it(subtests):
    for name in (*QUICK, *sorted(REFUSED)):
        with subtests.test(name=name):
            check_style(name)


@pytest.mark.slow(minutes=2)
def test_every_style_compiles_or_says_what_stops_it(subtests):
    names = sorted(path.stem for path in STYLES.glob("*.py"))
    assert len(names) == 54
    for name in names:
        with subtests.test(name=name):
            check_style(name)


@pytest.mark.slow
def test_every_shipped_reward_compiles(subtests):
    folder = assets.assets_root() / "configs/rewards"
    for path in sorted(folder.glob("*.py")):
        with subtests.test(path=path.stem):
            assert compile_reward(RewardSource.read(path), [OVAL])[1].left == 0


@pytest.mark.slow
def test_a_long_drive_pays_the_same_bits_compiled(subtests):
    kinds = {
        "racing_line_class": {},
        "class_params": {"direction": "alternate"},
        "avoid_objects": {"kind": "object_avoidance"},
        "nearest_object": {"kind": "head_to_bot"},
        "history_window": {"faults": "reset"},
        "optional_state": {},
        "simple_namespace_object": {"walls": True},
    }
    for name, race in kinds.items():
        with subtests.test(name=name):
            compiled, python, why = both(STYLES / f"{name}.py", race=race)
            assert why is None
            assert compiled.tobytes() == python.tobytes()
            assert np.ptp(python) > 0.0


def test_a_drive_with_objects_pays_the_same_bits_compiled():
    compiled, python, why = both("avoidance", race={"kind": "object_avoidance"})
    assert why is None
    assert compiled.tobytes() == python.tobytes()


def test_what_is_printed_is_printed_by_the_compiled_reward_too(subtests, capsys):
    for name, part in PRINTING.items():
        with subtests.test(name=name):
            capsys.readouterr()
            texts = []
            for compile in (True, False):
                _, env = drive(STYLES / f"{name}.py", compile)
                assert (env.reward_in_python is None) is compile
                env.close()
                texts.append(capsys.readouterr().out)
            assert texts[0] == texts[1]
            assert part in texts[0]


def test_a_print_that_fails_is_an_error_with_file_and_line(tmp_path):
    source_of(tmp_path, "def reward_function(params):\n    print('now')\n    return 1.0\n")
    env = RacerVectorEnv(CARS, sensor="state", track="oval", reward=str(tmp_path / "mine.py"))
    env.reset(seed=3)
    assert env.reward_in_python is None
    closed = io.StringIO()
    closed.close()
    with redirect_stdout(closed), pytest.raises(RewardError, match=r"mine.py:2: ValueError"):
        env.step(np.zeros((CARS, 2), dtype=np.float32))
    env.close()


def test_a_step_that_prints_more_than_can_be_kept_is_left_to_python(tmp_path):
    code = "def reward_function(params):\n    for i in range(params['steps'] % 8 * 20):\n"
    source = source_of(tmp_path, code + "        print(i)\n    return 1.0\n")
    _, proof = compile_reward(source, [OVAL])
    assert proof.left == proof.states // 8


@pytest.mark.slow
def test_a_text_that_python_may_make_otherwise_is_refused(subtests, tmp_path):
    bodies = {
        "may fail": ("print('%d' % params['speed'])", 2, "a text that may fail, OverflowError"),
        "a list": ("print(params['waypoints'])", 2, "a text with a list in it"),
        "a file": ("print(1, file=None)", 2, "print to a file"),
        "a bool that is kept as an int": (
            "near = params['objects_distance'][0]\n    seen = True\n"
            "    if params['steps'] % 2: seen = 2\n    print(seen)",
            None,
            "it prints another text",
        ),
    }
    for name, (body, line, what) in bodies.items():
        source = source_of(tmp_path, f"def reward_function(params):\n    {body}\n    return 1.0\n")
        with subtests.test(name=name), pytest.raises(NotCompiled) as problem:
            compile_reward(source, [OVAL])
        with subtests.test(name=name):
            assert problem.value.what.startswith(what)
            assert problem.value.line == line


def test_what_stops_a_helper_is_told_with_its_line(tmp_path):
    code = "def helper(x):\n    seen = {x: 1}\n    return seen[x]\n\n\n"
    code += "def reward_function(params):\n    if params['steps'] < 0:\n        return 1.0\n"
    code += "    return helper(params['steps'])\n"
    with pytest.raises(NotCompiled) as problem:
        compile_reward(source_of(tmp_path, code), [OVAL])
    assert (problem.value.line, problem.value.what) == (2, "a dict that is made in the function")


PARTED = {
    "def f():\n def g(): return 1\n g = g()\n return g": "g_ = g()\n    return g_",
    "def f():\n def g(): return 1\n g, x = g(), 2\n g += x": "g_, x = (g(), 2)\n    g_ += x",
    "def f(a):\n def g(): return 1\n if a: g = 2\n return g": None,
    "def f():\n def g(): return 1\n g = g()\n return [g for g in (1,)]": None,
    "def f():\n def g(): return 1\n h = lambda: g()\n g = 2\n return h": None,
    "def f():\n def g(): return g\n g = g()\n return g": None,
    "def f():\n global g\n def g(): return 1\n g = g()": None,
    "def f():\n def g(): return 1\n g = g()\n def g(): return 2\n return g": None,
    "def f():\n def g(): return 1\n g = g()\n import math as g\n return g": None,
    "def f(g_):\n def g(): return 1\n g = g()\n return g_ + g": "g__ = g()\n    return g_ + g__",
}
"""Code, and the end of what it becomes; None: nothing changes."""


def test_a_variable_gets_a_name_of_its_own_only_where_each_read_is_clear(subtests):
    for code, end in PARTED.items():
        with subtests.test(code=code):
            tree = ast.parse(code)
            before = ast.unparse(tree)
            part_variables_from_functions(tree)
            if end is None:
                assert ast.unparse(tree) == before
            else:
                assert ast.unparse(tree).endswith(end)


def test_an_attribute_that_a_function_does_not_have_yet_is_no_failure():
    source = RewardSource.read(STYLES / "function_attributes.py")
    assert compile_reward(source, [OVAL])[1].left == 0


def test_a_file_that_takes_too_long_is_called_as_python(tmp_path, monkeypatch):
    code = "def reward_function(params):\n    n = 0\n    while n < 200000:\n        n += 1\n"
    source = source_of(tmp_path, code + "    return n / 200000\n")
    quick = source.watched
    monkeypatch.setattr(source, "watched", lambda seconds=0.001: quick(seconds))
    with pytest.raises(NotCompiled, match="a call of it takes more than 10 s"):
        compile_reward(source, [OVAL])


def test_what_a_file_prints_in_the_proof_is_not_shown(tmp_path, capsys):
    code = "print('loaded')\n\n\ndef reward_function(params):\n    print('paid')\n    return 1.0\n"
    source = source_of(tmp_path, code)
    assert capsys.readouterr().out == "loaded\n"
    assert compile_reward(source, [OVAL])[1].left == 0
    assert set(capsys.readouterr().out.split()) <= {"loaded"}


FAILURES = {
    "raises": ("return 1 / (params['steps'] - 120)", "mine.py:2: ZeroDivisionError"),
    "is no number": (
        "return 0.5 + (1e308 * 10 - 1e308 * 10 if params['steps'] > 110 else 0)",
        "returned nan",
    ),
    "is large": ("return params['steps'] ** 3 * 0.1 * (params['steps'] > 110)", "finite number"),
    "is None": ("if params['steps'] < 110: return 1.0", "returned None"),
    "is out of range": ("return [1, 2, 3][params['steps'] // 110 * 3]", "IndexError"),
}


@pytest.mark.slow
def test_an_error_is_the_same_with_file_and_line(subtests, tmp_path):
    for name, (body, said) in FAILURES.items():
        with subtests.test(name=name):
            source_of(tmp_path, f"def reward_function(params):\n    {body}\n")
            messages = []
            for compile in (True, False):
                with pytest.raises(RewardError) as problem:
                    drive(tmp_path / "mine.py", compile, race={"faults": "reset"})
                messages.append(str(problem.value))
            assert messages[0] == messages[1]
            assert said in messages[0]


def test_a_state_of_compiled_rewards_goes_on_in_python_and_back():
    path = STYLES / "class_params.py"
    actions = np.random.default_rng(0).uniform(-0.5, 0.5, (90, CARS, 2)).astype(np.float32)

    def paid(env, steps):
        return np.array([env.step(action)[1] for action in steps]).tobytes()

    made = [
        RacerVectorEnv(CARS, sensor="state", track="oval", reward=str(path), compile=compile)
        for compile in (True, False)
    ]
    try:
        for env in made:
            env.reset(seed=0)
        assert paid(made[0], actions[:30]) == paid(made[1], actions[:30])
        states = [env.get_state() for env in made]
        assert states[0]["rewards"] == states[1]["rewards"]
        made[1].set_state(states[0])
        expected = paid(made[0], actions[30:60])
        assert paid(made[1], actions[30:60]) == expected
        made[0].set_state(states[1])
        assert made[0].reward_in_python is None
        assert paid(made[0], actions[30:60]) == expected
    finally:
        for env in made:
            env.close()


LEAVING = """
count, notes = 0, []

def reward_function(params):
    global count
    count += 1
    if count > 100:
        {change}
    return count % 7 + len(notes)
"""


@pytest.mark.slow
def test_a_file_whose_memory_outgrows_its_numbers_goes_on_in_python(subtests, tmp_path):
    for change in ("count = 2 ** 60 + count", "notes.append(count)"):
        with subtests.test(change=change):
            source_of(tmp_path, LEAVING.format(change=change))
            compiled, python, why = both(tmp_path / "mine.py")
            assert why is not None
            assert compiled.tobytes() == python.tobytes()


def test_a_reward_is_not_compiled_for_few_cars_or_on_request():
    for cars, compile in ((1, True), (CARS, False)):
        _, env = drive("progress", compile, steps=1, cars=cars)
        assert env.reward_in_python is not None
        env.close()


@pytest.mark.slow
def test_types_that_meet_in_a_variable_keep_their_own_arithmetic(subtests, tmp_path):
    bodies = {
        "negative zero": "r = 0\nif params['steps'] % 2: r = 0.5\nreturn math.atan2(-r, -1)",
        "a product of zero": "r = 0\nif params['steps'] % 2: r = -0.0\n"
        "return math.atan2(r * -3, -1)",
        "an int as an index": "r = 1\nif params['steps'] > 5000: r = 0.5\nreturn [1, 2, 3][r]",
        "a bool and a number": "r = params['all_wheels_on_track']\n"
        "if params['steps'] % 2: r = 0.5\nreturn r + r",
        "min of mixed": "r = min(1, params['speed'], 2.0)\nreturn -r",
        "int division": "n = params['steps']\nreturn -n // 3 + -n % 3 + n / 3 + (-7) // 2",
        "power of ints": "n = params['steps']\nreturn 2 ** (n % 9 - 4) + (-2) ** 3",
        "chained": "return 1 if 0 < params['speed'] <= 2 != 1 else 0",
        "and of numbers": "return params['steps'] % 3 and params['speed'] or 0.25",
        "text": "m = 'a'\nreturn 1 if m == 'a' else 2",
    }
    for name, body in bodies.items():
        lines = body.replace("\n", "\n    ")
        source = source_of(tmp_path, f"import math\ndef reward_function(params):\n    {lines}\n")
        with subtests.test(name=name):
            assert compile_reward(source, [OVAL])[1].left == 0


REFUSALS = {
    "a default that can be changed": "def reward_function(params, seen=[]):\n"
    "    seen.append(params['x'])\n    return len(seen)\n",
    "it uses os": "import os\ndef reward_function(params):\n    return os.getpid()\n",
    "it uses np.random": "import numpy as np\ndef reward_function(params):\n"
    "    return np.random.rand()\n",
    "kept, an attribute of an object and of its class": "class A:\n    kept = 0\na = A()\n"
    "def reward_function(params):\n    A.kept = 1\n    was = a.kept\n    a.kept = 2\n"
    "    return was\n",
    "it uses helper": "from helper import f\ndef reward_function(params):\n    return f()\n",
}


def test_what_may_pay_another_value_is_refused(subtests, tmp_path):
    for what, code in REFUSALS.items():
        with subtests.test(what=what):
            (tmp_path / "helper.py").write_text("def f():\n    return 1.0\n")
            with pytest.raises(NotCompiled) as problem:
                compile_reward(source_of(tmp_path, code), [OVAL])
            assert problem.value.what == what


def test_an_object_reads_what_is_assigned_to_its_class(tmp_path):
    code = (
        "class A:\n    last = 0\n\na = A()\n\ndef reward_function(params):\n"
        "    before = a.last\n    A.last = params['speed']\n    return before\n"
    )
    assert compile_reward(source_of(tmp_path, code), [OVAL])[1].left == 0


def test_a_loop_without_an_end_is_left_to_python(tmp_path):
    code = (
        "def reward_function(params):\n    n = 0\n    for i in range(10 ** 12):\n"
        "        n += 1\n        if n > 100:\n            break\n"
        "    while params['steps'] == 500000:\n        n = n\n    return n\n"
    )
    assert compile_reward(source_of(tmp_path, code), [OVAL])[1].left == 0


@pytest.mark.slow
def test_the_generated_code_can_be_made_without_a_cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    source = source_of(tmp_path, "def reward_function(params):\n    return params['speed'] / 3\n")
    assert compile_reward(source, [OVAL])[1].left == 0


def test_a_params_dict_is_read_only_where_it_is_compiled(tmp_path):
    source = source_of(tmp_path, "def reward_function(params):\n    return params['x'] * 2\n")
    compiled = CompiledReward(source)
    assert re.findall(r"(?:floats|ints|bools|objects|is_left)\[.*?\]", compiled.code) == [
        f"floats[{FLOAT_PARAMS.index('x')}, k]"
    ]


# The arithmetic itself, against Python's.


def drawn(rng):
    kind = rng.random()
    if kind < 0.15:
        return float(rng.randint(-5, 5))
    return rng.choice([1.0, 1e-3, 30.0, 1000.0]) * rng.gauss(0.0, 1.0)


def differences(own, python, arity, rounds=3000):
    """The arguments for which a function here is not Python's, where it claims to be."""
    rng, failure, wrong = random.Random(0), np.zeros(1, dtype=np.int64), []
    for _ in range(rounds):
        args = [drawn(rng) for _ in range(arity)]
        failure[0] = 0
        got = own(failure, *args)
        if failure[0] == UNCERTAIN:
            continue
        try:
            wanted = python(*args)
        except (ZeroDivisionError, ValueError, OverflowError):
            wrong += [args] if failure[0] == 0 else []
            continue
        same = np.float64(wanted).tobytes() == np.float64(got).tobytes()
        wrong += [args] if failure[0] or not same else []
    return wrong


def test_arithmetic_is_pythons_to_the_bit(subtests):
    h, n = library_addresses(), python_numbers
    cases = {
        "/": (n.float_div, lambda a, b: a / b, 2),
        "%": (lambda e, a, b: n.float_mod(e, h, a, b), lambda a, b: a % b, 2),
        "//": (lambda e, a, b: n.float_floordiv(e, h, a, b), lambda a, b: a // b, 2),
        "**": (lambda e, a, b: n.float_pow(e, h, a, b), lambda a, b: a**b, 2),
        "** 2": (lambda e, a: n.float_pow(e, h, a, 2.0), lambda a: a**2, 1),
        "** 0.5": (lambda e, a: n.float_pow(e, h, a, 0.5), lambda a: a**0.5, 1),
        "hypot": (n.norm_of_two, math.hypot, 2),
        "atan2": (lambda e, a, b: n.arc_tangent(e, h, a, b), math.atan2, 2),
        "round 2": (lambda e, a: n.round_to(e, a, 2), lambda a: round(a, 2), 1),
        "int //": (
            lambda e, a, b: n.int_floordiv(e, int(a), int(b)),
            lambda a, b: int(a) // int(b),
            2,
        ),
        "int %": (lambda e, a, b: n.int_mod(e, int(a), int(b)), lambda a, b: int(a) % int(b), 2),
    }
    for name, (own, python, arity) in cases.items():
        with subtests.test(name=name):
            assert differences(own, python, arity) == []


def of_library(function, index, failure, x):
    return function(failure, library_addresses(), index, x)


def test_library_functions_are_those_that_python_and_numpy_call(subtests):
    n = python_numbers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in n.UNARY:
            own = {"log": n.libm_log, "log2": n.libm_log, "log10": n.libm_log}
            own |= {"asin": n.libm_arc, "acos": n.libm_arc}
            call = own.get(name, n.libm_unary)
            with subtests.test(name=name):
                own_function = functools.partial(of_library, call, ADDRESS[name])
                assert differences(own_function, getattr(math, name), 1, 1000) == []
        for name in n.NUMPY_UNARY:
            with subtests.test(name=f"np.{name}"):
                own_ufunc = functools.partial(of_library, n.numpy_unary, ADDRESS[f"np.{name}"])
                assert differences(own_ufunc, getattr(np, name), 1, 1000) == []


def test_the_norm_of_a_short_vector_is_numpys():
    h, failure = library_addresses(), np.zeros(1, dtype=np.int64)
    rng = np.random.default_rng(1)
    for size in (2, 3, 4):
        for vector in rng.normal(size=(500, size)):
            told = tuple(vector.tolist())
            assert np.sqrt(python_numbers.dot(failure, h, told, told)) == np.linalg.norm(vector)


def test_python_is_one_whose_source_code_was_followed():
    assert sys.version_info[:2] in python_numbers.FOLLOWED_PYTHONS


def test_a_python_that_was_not_compared_runs_its_rewards_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    source = source_of(tmp_path, "def reward_function(params):\n    return params['x'] * 2\n")
    with pytest.raises(NotCompiled, match=r"Python 3\.99 was not compared"):
        CompiledReward(source)


def test_a_sum_of_floats_is_pythons_to_the_bit():
    """From Python 3.12 on `sum` adds what its roundings have lost."""

    def own(failure, *numbers):
        total, lost = 0.0, 0.0
        for x in numbers:
            if python_numbers.IS_SUM_COMPENSATED:
                total, lost = python_numbers.sum_add(total, lost, x)
            else:
                total += x
        return python_numbers.sum_end(total, lost)

    assert differences(own, lambda *numbers: sum(numbers), 5) == []
    for numbers in ([1e308, 1e308, 1.0], [-1e308, -1e308, 1e-3], [-0.0], [1e16, 1.0, -1e16]):
        own_sum, pythons = own(None, *numbers), sum(numbers)
        assert np.float64(own_sum).tobytes() == np.float64(pythons).tobytes(), numbers
