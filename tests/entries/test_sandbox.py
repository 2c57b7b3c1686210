"""A policy in the box: the same actions, and nothing it does reaches further."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from racer import doctor
from racer.car.action_space import ActionSpace
from racer.entries import sandbox, sandbox_worker
from racer.entries.entry_check import CONTROL_PERIOD_S, check_entry
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import EntryError
from racer.evaluation import evaluate_entries, make_race_rules, policy_in_process
from racer.sensors.config import CameraConfig, LidarConfig
from racer.sensors.state_sensor import STATE_SIZE
from tests.helpers.entries import entry_of
from tests.helpers.graphs import FLOAT, INT64, UINT8, WEIGHTS, graph, steady

ZEROS = np.zeros((1, STATE_SIZE), np.float32)
STEADY = steady()
DISCRETE = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (20.0, 1.0)))


def grid(size):
    """A size x size array from two thin ones, so that a few kilobytes give gigabytes."""
    return {
        "column": np.full((size, 1), 1e-3, np.float32),
        "row": np.full((1, size), 1e-3, np.float32),
        "two": np.ones((1, 2), np.float32),
    }


def expanding(size, extra=(), start="seen"):
    """A graph that spreads a number over a large array; `start` column leaves it to the loader."""
    return graph(
        ("ReduceSum", ["observation"], ["sum"], {"keepdims": 0}),
        ("Add", ["column", "sum"], ["seen"]),
        ("Add", [start, "row"], ["large0"]),
        *extra,
        ("ReduceMax", [f"large{len(extra)}"], ["most"], {"keepdims": 0}),
        ("Mul", ["most", "two"], ["wide"]),
        ("Tanh", ["wide"], ["action"]),
        weights=grid(size),
    )


def expanding_quantized(size):
    """The same with int8 alone, whose products have four bytes each."""
    return graph(
        ("QuantizeLinear", ["observation", "step", "zero"], ["q"]),
        ("ReduceMax", ["q"], ["most"], {"keepdims": 0}),
        ("Add", ["column", "most"], ["seen"]),
        ("MatMulInteger", ["seen", "row"], ["large"]),
        ("Cast", ["large"], ["numbers"], {"to": FLOAT}),
        ("ReduceMax", ["numbers"], ["top"], {"keepdims": 0}),
        ("Mul", ["top", "two"], ["wide"]),
        ("Tanh", ["wide"], ["action"]),
        weights={
            "step": np.float32(0.1),
            "zero": np.uint8(0),
            "column": np.ones((size, 1), np.uint8),
            "row": np.ones((1, size), np.uint8),
            "two": np.ones((1, 2), np.float32),
        },
    )


QDQ = {
    "step": np.float32(1 / 127),
    "zero": np.uint8(128),
    "w": np.full((1, 1, 1, STATE_SIZE), 3, np.int8),
    "scale": np.float32(0.01),
    "none": np.int8(0),
    "b": np.zeros(1, np.int32),
    "four": np.array([1, 1, 1, STATE_SIZE], np.int64),
    "flat": np.array([1, 1], np.int64),
    "two": np.ones((1, 2), np.float32),
}


def convolving(operator, **weights):
    """A quantized convolution over the state's numbers."""
    ends = {
        "QLinearConv": ["q", "step", "zero", "w", "scale", "none", "step", "zero", "b"],
        "ConvInteger": ["q", "w", "zero", "none"],
    }
    back = ("DequantizeLinear", ["c", "step", "zero"], ["x"])
    if operator == "ConvInteger":
        back = ("Cast", ["c"], ["x"], {"to": FLOAT})
    return graph(
        ("Reshape", ["observation", "four"], ["row"]),
        ("QuantizeLinear", ["row", "step", "zero"], ["q"]),
        (operator, ends[operator], ["c"]),
        back,
        ("Reshape", ["x", "flat"], ["y"]),
        ("Mul", ["y", "two"], ["wide"]),
        ("Tanh", ["wide"], ["action"]),
        weights=QDQ | weights,
    )


MULTIPLY = [("MatMul", [f"large{k}", f"large{k}"], [f"large{k + 1}"]) for k in range(400)]


def refusal(policy, observation=ZEROS, **changes):
    """The error of a policy in the sandbox, at once or on an observation; its process has ended."""
    pids = []
    start = sandbox._start

    def noted():
        process = start()
        pids.append(process.pid)
        return process

    sandbox._start = noted
    try:
        with (
            pytest.raises(EntryError) as caught,
            SandboxedPolicy(entry_of(policy), **changes) as boxed,
        ):
            boxed(observation)
    finally:
        sandbox._start = start
    (pid,) = pids
    assert not is_there(pid)
    return caught.value


def spent():
    """Processor time of this process and those it waited for [s]; others do not slow it."""
    return sum(os.times()[:4])


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def behaving(tmp_path, monkeypatch):
    """Puts another program into the box: racer's own, whose graph does as the test says."""

    def put(run, before=""):
        script = tmp_path / "sandbox_worker.py"
        script.write_text(
            "import ctypes, os, signal, socket, sys, time\n"
            f"sys.path.insert(0, {str(Path(sandbox_worker.__file__).parent)!r})\n"
            "import sandbox_worker\n"
            "calls = 0\n"
            f"{before}\n"
            "class Session:\n"
            "    def run(self, names, given):\n"
            "        import numpy as np\n"
            "        global calls\n"
            "        calls += 1\n"
            f"        {run}\n"
            "        return [np.zeros((1, 2), np.float32)]\n"
            "sandbox_worker.open_session = lambda graph: Session()\n"
            "sandbox_worker.serve_policy()\n"
        )
        monkeypatch.setattr(sandbox, "WORKER_SCRIPT", script)

    return put


def test_a_boxed_policy_gives_the_same_digits_as_one_in_this_process():
    here = OnnxPolicy(entry_of(STEADY))
    draws = np.random.default_rng(1)
    with SandboxedPolicy(entry_of(STEADY)) as boxed:
        for _ in range(50):
            seen = draws.normal(size=(1, STATE_SIZE)).astype(np.float32)
            assert boxed(seen).tobytes() == here(seen).tobytes()


def test_several_sensors_reach_the_graph_each_by_its_name():
    sensors = (CameraConfig(width=16, height=8), LidarConfig(beams=4))
    policy = graph(
        ("Cast", ["camera"], ["numbers"], {"to": FLOAT}),
        ("ReduceMax", ["numbers"], ["brightest"], {"keepdims": 0}),
        ("Div", ["brightest", "scale"], ["first"]),
        ("ReduceMax", ["lidar"], ["second"], {"keepdims": 0}),
        ("Mul", ["first", "left"], ["a"]),
        ("Mul", ["second", "right"], ["b"]),
        ("Add", ["a", "b"], ["action"]),
        weights={
            "scale": np.float32(512),
            "left": np.array([[1, 0]], np.float32),
            "right": np.array([[0, 1]], np.float32),
        },
        seen=(("camera", UINT8, (1, 8, 16, 1)), ("lidar", FLOAT, (1, 4))),
    )
    frame = np.zeros((1, 8, 16, 1), np.uint8)
    frame[0, 7, 15, 0] = 128
    ranges = np.array([[0.2, 0.3, 0.75, 0.4]], np.float32)
    with SandboxedPolicy(entry_of(policy, sensors)) as boxed:
        assert boxed({"camera": frame, "lidar": ranges}).tolist() == [[0.25, 0.75]]


def test_a_discrete_policy_answers_an_index():
    policy = graph(
        ("MatMul", ["observation", "w"], ["y"]),
        ("ArgMax", ["y"], ["action"], {"axis": 1, "keepdims": 0}),
        weights={"w": WEIGHTS},
        done=("action", INT64, (1,)),
    )
    with SandboxedPolicy(entry_of(policy, actions=DISCRETE)) as boxed:
        assert boxed(np.ones((1, STATE_SIZE), np.float32)).tolist() == [
            WEIGHTS.sum(axis=0).argmax()
        ]


def test_a_frame_larger_than_a_pipe_gets_through():
    sensors = (CameraConfig(width=1920, height=1080, colour="rgb"),)
    policy = graph(
        ("Slice", ["observation", "from", "to"], ["last"]),
        ("Cast", ["last"], ["numbers"], {"to": FLOAT}),
        ("Reshape", ["numbers", "shape"], ["flat"]),
        ("Tanh", ["flat"], ["action"]),
        weights={
            "from": np.array([0, 1079, 1919, 1], np.int64),
            "to": np.array([1, 1080, 1920, 3], np.int64),
            "shape": np.array([1, 2], np.int64),
        },
        seen=(("observation", UINT8, (1, 1080, 1920, 3)),),
    )
    frame = np.zeros((1, 1080, 1920, 3), np.uint8)
    frame[0, -1, -1, -1] = 255
    with SandboxedPolicy(entry_of(policy, sensors)) as boxed:
        assert boxed(frame).tolist() == [[0.0, 1.0]]


def test_an_observation_that_is_not_the_sensors_is_a_bug_of_the_caller():
    with SandboxedPolicy(entry_of(STEADY)) as boxed:
        with pytest.raises(ValueError, match="swift sees observation float32"):
            boxed(ZEROS[0])
        assert boxed(ZEROS).tolist() == [[0.0, 0.0]]


def test_a_closed_box_says_so_and_closing_twice_is_no_error():
    boxed = SandboxedPolicy(entry_of(STEADY))
    boxed.close()
    boxed.close()
    with pytest.raises(ValueError, match="closed"):
        boxed(ZEROS)


def test_a_graph_is_refused_before_there_is_a_process(monkeypatch):
    monkeypatch.setattr(sandbox, "_start", lambda: pytest.fail("a process was started"))
    with pytest.raises(EntryError) as caught:
        SandboxedPolicy(entry_of(b"hello"))
    assert caught.value.code == "graph"


def test_a_graph_that_onnxruntime_does_not_take_is_refused():
    policy = graph(("Tanh", ["nowhere"], ["action"]), weights={})
    assert refusal(policy).code == "graph"


def test_a_graph_that_fails_on_an_observation_is_refused():
    policy = graph(
        ("ReduceSum", ["observation"], ["sum"], {"keepdims": 0}),
        ("Cast", ["sum"], ["index"], {"to": INT64}),
        ("Gather", ["w", "index"], ["row"], {"axis": 0}),
        ("Unsqueeze", ["row", "axes"], ["action"]),
        weights={"w": np.zeros((1, 2), np.float32), "axes": np.zeros(1, np.int64)},
    )
    assert refusal(policy, ZEROS + 1).code == "run"


def test_a_graph_that_gives_another_shape_than_it_declares_is_refused():
    policy = graph(
        ("ReduceSum", ["observation"], ["sum"], {"keepdims": 0}),
        ("Cast", ["sum"], ["index"], {"to": INT64}),
        ("Unsqueeze", ["index", "axes"], ["size"]),
        ("Reshape", ["w", "size"], ["flat"]),
        ("Identity", ["flat"], ["action"]),
        weights={"w": np.zeros((1, 26), np.float32), "axes": np.zeros(1, np.int64)},
    )
    assert refusal(policy, ZEROS + 1).code in ("action", "graph")


@pytest.mark.parametrize("start", ["seen", "column"])
def test_a_small_graph_that_grows_to_gigabytes_is_refused(start):
    """40 kB of weights make 3.6 GB, on an observation or already while the graph is loaded."""
    policy = expanding(30_000, start=start)
    assert len(policy) < 300_000
    error = refusal(policy)
    assert error.code == "memory"
    assert "smaller network" in str(error)


def test_a_small_quantized_graph_that_grows_to_gigabytes_is_refused():
    assert refusal(expanding_quantized(30_000)).code == "memory"


BROKEN = [
    ("QLinearConv", {"scale": np.ones(5, np.float32)}, "run"),
    ("QLinearConv", {"scale": np.ones(0, np.float32)}, "run"),
    ("QLinearConv", {"none": np.zeros(5, np.int8)}, "run"),
    ("QLinearConv", {"b": np.zeros(0, np.int32)}, "run"),
    ("QLinearConv", {"w": np.zeros((0, 1, 1, STATE_SIZE), np.int8)}, "run"),
    ("QLinearConv", {"w": np.zeros((1, STATE_SIZE), np.int8)}, "graph"),
    ("QLinearConv", {"step": np.float64(0.1)}, "graph"),
    ("ConvInteger", {"none": np.zeros(5, np.int8)}, "run"),
    ("ConvInteger", {"zero": np.zeros(2, np.uint8)}, "run"),
    ("ConvInteger", {"w": np.zeros((1, 3, 1, STATE_SIZE), np.int8)}, "run"),
]


@pytest.mark.parametrize("operator", ["QLinearConv", "ConvInteger"])
def test_a_quantized_convolution_is_computed(operator):
    with SandboxedPolicy(entry_of(convolving(operator))) as boxed:
        assert boxed(ZEROS).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("operator", "weights", "code"),
    [BROKEN[0], *(pytest.param(*one, marks=pytest.mark.slow) for one in BROKEN[1:])],
)
def test_a_quantized_graph_whose_parts_do_not_fit_is_refused(operator, weights, code):
    assert refusal(convolving(operator, **weights)).code == code


@pytest.mark.parametrize(
    ("start", "doing"),
    [("seen", "an observation"), pytest.param("column", "loading", marks=pytest.mark.slow)],
)
def test_a_small_graph_that_computes_for_minutes_is_ended(start, doing):
    before = spent()
    error = refusal(expanding(2500, MULTIPLY, start))
    # While it loads, the results of constants pile up; which limit they meet first is a race.
    assert error.code == "hang" or (doing, error.code) == ("loading", "memory")
    assert doing in str(error)
    assert spent() - before < 6


@pytest.mark.slow
def test_the_largest_package_that_is_allowed_fits_into_the_box():
    policy = graph(
        ("MatMul", ["observation", "w"], ["y"]),
        ("MatMul", ["y", "v"], ["z"]),
        ("Tanh", ["z"], ["action"]),
        weights={
            "w": np.zeros((STATE_SIZE, 560_000), np.float32),
            "v": np.zeros((560_000, 2), np.float32),
        },
    )
    assert 60_000_000 < len(policy) < 64_000_000
    with SandboxedPolicy(entry_of(policy)) as boxed:
        assert boxed(ZEROS).tolist() == [[0.0, 0.0]]


@pytest.mark.slow
def test_the_largest_quantized_package_that_is_allowed_fits_into_the_box():
    """Four times the weights of the largest one of float32."""
    nodes = [
        ("QuantizeLinear", ["observation", "step", "zero"], ["q"]),
        ("DequantizeLinear", ["q", "step", "zero"], ["x"]),
        ("DequantizeLinear", ["w", "scale", "none"], ["k"]),
        ("MatMul", ["x", "k"], ["y"]),
        ("QuantizeLinear", ["y", "step", "zero"], ["r"]),
        ("DequantizeLinear", ["r", "step", "zero"], ["s"]),
        ("DequantizeLinear", ["v", "scale", "none"], ["l"]),
        ("MatMul", ["s", "l"], ["z"]),
        ("Tanh", ["z"], ["action"]),
    ]
    wide, narrow = np.ones((STATE_SIZE, 2_150_000), np.int8), np.ones((2_150_000, 2), np.int8)
    policy = graph(*nodes, weights=QDQ | {"w": wide, "v": narrow})
    assert 60_000_000 < len(policy) < 64_000_000
    with SandboxedPolicy(entry_of(policy)) as boxed:
        assert boxed(ZEROS).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(
    ("run", "code"),
    [
        ("while True: pass", "hang"),
        pytest.param("time.sleep(60)", "hang", marks=pytest.mark.slow),
        pytest.param("os.kill(os.getpid(), signal.SIGSTOP)", "hang", marks=pytest.mark.slow),
        ("os.abort()", "crash"),
        ("ctypes.string_at(0)", "crash"),
        ("os._exit(0)", "crash"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crash"),
        ("bytearray(2_000_000_000)", "memory"),
        ("[np.empty(1_000_000) for _ in range(2000)]", "memory"),
        ("raise RuntimeError('no\\n\\x1b[31m')", "run"),
        ("return [np.zeros((2, 1), np.float32)]", "action"),
        ("return [np.zeros((1, 2))]", "action"),
        ("return [np.full((1, 2), np.nan, np.float32)]", "action"),
        ("sandbox_worker._outputs_reply = lambda *a: (b'a', bytes(4))", "crash"),
        ("sandbox_worker._outputs_reply = lambda *a: (b'z', b'')", "crash"),
        ("sandbox_worker._outputs_reply = lambda *a: (b'a', bytes(100_000_000))", "crash"),
        (
            "size = sandbox_worker.REPLY_FORMAT.pack(b'a', 2**32 - 1); "
            "lying = type('Lying', (), {'pack': staticmethod(lambda *a: size)}); "
            "sandbox_worker.REPLY_FORMAT = lying",
            "crash",
        ),
        ("sandbox_worker._outputs_reply = lambda *a: (b'r', b'\\xff\\x1b[31m')", "run"),
    ],
)
def test_whatever_a_policy_does_is_an_entry_error(behaving, monkeypatch, run, code):
    behaving(run)
    if "sleep" in run or "STOP" in run:  # no processor time passes then
        monkeypatch.setattr(sandbox, "CALL", 0.2)
    error = refusal(STEADY)
    assert error.code == code
    assert str(error).isprintable()


def test_a_box_that_failed_is_closed(behaving):
    behaving("os.abort()")
    boxed = SandboxedPolicy(entry_of(STEADY))
    with pytest.raises(EntryError):
        boxed(ZEROS)
    with pytest.raises(ValueError, match="closed"):
        boxed(ZEROS)


@pytest.mark.parametrize(
    "program",
    [
        "",
        "print('hello, I am no box')",
        pytest.param("import time; time.sleep(9)", marks=pytest.mark.slow),
    ],
)
def test_a_process_that_is_no_box_is_not_blamed_on_the_entry(tmp_path, monkeypatch, program):
    (tmp_path / "sandbox_worker.py").write_text(program)
    monkeypatch.setattr(sandbox, "WORKER_SCRIPT", tmp_path / "sandbox_worker.py")
    monkeypatch.setattr(sandbox, "WALL_CLOCK_FACTOR", 0.3)
    assert refusal(STEADY).code == "box"


REACH = {
    "a file": "open('/etc/passwd')",
    "a new file": "open('/tmp/left-by-a-policy', 'w')",
    "a socket": "socket.socket()",
    "a program": "subprocess.run(['/bin/true'])",
}


@pytest.mark.parametrize("is_walled", [True, False])
@pytest.mark.parametrize("what", REACH)
def test_a_policy_reaches_no_file_network_or_program(behaving, what, is_walled):
    wall = "import subprocess\n" + (
        "" if is_walled else "sandbox_worker.enter_namespaces = lambda: False"
    )
    behaving(f"{REACH[what]}; return [np.ones((1, 2), np.float32)]", before=wall)
    assert refusal(STEADY).code == "run"


@pytest.mark.parametrize("is_walled", [True, False])
def test_the_box_says_how_strong_it_is(behaving, is_walled):
    look = "raise RuntimeError(str(os.path.exists('/etc')))"
    behaving(look, before="" if is_walled else "sandbox_worker.enter_namespaces = lambda: False")
    with SandboxedPolicy(entry_of(STEADY)) as boxed:
        assert boxed.strength in ("namespaces", "limits only")
        is_hidden = boxed.strength == "namespaces"
        assert is_walled or not is_hidden
        with pytest.raises(EntryError, match=str(not is_hidden)):
            boxed(ZEROS)


def test_nothing_is_left_in_the_box_of_being_root(behaving):
    """Whether in namespaces of its own or where racer itself runs as root."""
    behaving("os.chroot('/'); return [np.ones((1, 2), np.float32)]")
    assert refusal(STEADY).code == "run"


def test_the_box_imports_neither_torch_nor_racer(behaving):
    names = "sorted({'torch', 'racer', 'gymnasium', 'onnx'} & set(sys.modules))"
    behaving(f"raise RuntimeError(str({names}))")
    with pytest.raises(EntryError, match=r"\[\]"), SandboxedPolicy(entry_of(STEADY)) as boxed:
        boxed(ZEROS)


LEAVING = """
import runpy, sys
from pathlib import Path
here = runpy.run_path(sys.argv[1])
here["sandbox"].WORKER_SCRIPT = Path(sys.argv[2])
boxed = here["SandboxedPolicy"](here["entry_of"](here["STEADY"]))
print(boxed._process.pid, flush=True)
here["sandbox"].CALL = 60
if sys.argv[3] == "hang":
    boxed(here["ZEROS"])
"""


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.parametrize("how", ["hang", "leave"])
def test_no_process_outlives_the_judge(behaving, how):
    behaving("time.sleep(60)")
    judge = subprocess.Popen(
        [sys.executable, "-c", LEAVING, __file__, str(sandbox.WORKER_SCRIPT), how],
        stdout=subprocess.PIPE,
    )
    assert judge.stdout is not None
    pid = int(judge.stdout.readline())
    if how == "hang":
        time.sleep(0.3)
        judge.send_signal(signal.SIGKILL)
    judge.communicate()
    until = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(pid)


def is_alive(pid):
    """Whether it runs; what nobody waited for in a container stays a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_race_in_the_box_is_the_race_in_this_process():
    rules = make_race_rules(1, 3.0, 4.0)
    one, two = (
        evaluate_entries([entry_of(STEADY)], "oval", rules, policy_of=make)[0]
        for make in (policy_in_process, SandboxedPolicy)
    )
    assert one.as_dict() == two.as_dict()
    assert one.body.tobytes() == two.body.tobytes()


def test_the_judge_closes_its_boxes_also_when_a_policy_fails(behaving):
    made = []

    def make(one):
        made.append(SandboxedPolicy(one))
        return made[-1]

    behaving("os.abort()")
    rules = make_race_rules(1, 3.0, 4.0)
    results = evaluate_entries([entry_of(STEADY)] * 2, "oval", rules, policy_of=make)
    assert [result.ending for result in results] == ["policy_crash"] * 2
    assert [boxed.close.alive for boxed in made] == [False, False]


def test_a_policy_that_is_tried_is_told_how_long_it_takes_and_how_it_was_boxed():
    checked = check_entry(entry_of(STEADY))
    assert checked.box in ("namespaces", "limits only")
    assert 0 < checked.answer_s < CONTROL_PERIOD_S


@pytest.mark.slow
def test_a_policy_is_not_slow_because_others_keep_the_machine_busy(behaving):
    behaving("time.sleep(0.1)")
    assert check_entry(entry_of(STEADY)).answer_s < CONTROL_PERIOD_S


BUSY = "sum(iter(lambda until=time.process_time() + 0.1: time.process_time() > until, True))"


def test_a_policy_slower_than_the_car_asks_is_refused_soon(behaving):
    behaving(BUSY)
    before = spent()
    with pytest.raises(EntryError, match=r"needs one every 0\.067 s") as caught:
        check_entry(entry_of(STEADY))
    assert caught.value.code == "slow"
    assert spent() - before < 3


def test_a_policy_that_is_late_now_and_then_is_not_slow(behaving):
    behaving(f"if calls in (1, 3, 5, 7, 9): {BUSY}")
    assert check_entry(entry_of(STEADY)).answer_s < CONTROL_PERIOD_S


@pytest.mark.parametrize(
    "run",
    [
        "return [np.float32([[np.nan if calls == 5 else 0, 0]])]",
        "return [np.float32([[given['observation'].max() / 5, 0]])]",
    ],
)
def test_an_action_that_is_none_on_some_observation_is_refused(behaving, run):
    behaving(run)
    with pytest.raises(EntryError) as caught:
        check_entry(entry_of(STEADY))
    assert caught.value.code == "action"


@pytest.mark.parametrize(("operator", "weights"), [("Log", WEIGHTS), ("Identity", 10 * WEIGHTS)])
def test_a_graph_that_gives_nan_or_leaves_the_range_is_refused(operator, weights):
    policy = graph(
        ("MatMul", ["observation", "w"], ["y"]),
        (operator, ["y"], ["action"]),
        weights={"w": weights},
    )
    with pytest.raises(EntryError) as caught:
        check_entry(entry_of(policy))
    assert caught.value.code == "action"


def test_the_doctor_says_of_this_machine_what_the_sandbox_does_on_it():
    (found,) = doctor._sandbox()
    with SandboxedPolicy(entry_of(STEADY)) as boxed:
        assert found.found.startswith(boxed.strength)


def test_a_batch_gives_what_its_observations_give_one_by_one():
    # Small numbers: onnxruntime rounds the tanh of large ones to over 1 on some processors.
    seen = np.random.default_rng(2).normal(0.0, 0.1, (150, STATE_SIZE)).astype(np.float32)
    with SandboxedPolicy(entry_of(STEADY)) as policy:
        (together,) = policy.run_batch({"observation": seen})
        alone = np.concatenate([policy(one[None]) for one in seen])
    assert together.shape == (150, 2)
    assert together.tobytes() == alone.tobytes()


def test_a_batch_ends_at_the_first_observation_that_fails():
    bad = graph(
        ("ReduceSum", ["observation"], ["sum"], {"keepdims": 0}),
        ("Cast", ["sum"], ["index"], {"to": INT64}),
        ("Gather", ["table", "index"], ["row"]),
        ("Reshape", ["row", "shape"], ["action"]),
        weights={"table": np.zeros((2, 2), np.float32), "shape": np.array([1, 2])},
    )
    seen = np.zeros((3, STATE_SIZE), np.float32)
    seen[1, 0] = 9.0
    with SandboxedPolicy(entry_of(bad)) as policy:
        with pytest.raises(EntryError) as found:
            policy.run_batch({"observation": seen})
        assert found.value.code == "run"
        with pytest.raises(ValueError, match="closed"):
            policy.run_batch({"observation": seen[:1]})
