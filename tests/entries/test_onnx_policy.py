"""Running an entry's graph: what is let in, what comes out, and what is refused."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from racer.car.action_space import ActionSpace
from racer.entries.onnx_policy import OnnxPolicy, open_session
from racer.errors import EntryError
from racer.sensors.config import CameraConfig, StateConfig
from racer.sensors.state_sensor import STATE_SIZE
from tests.helpers.entries import entry_of
from tests.helpers.graphs import FLOAT, INT64, UINT8, WEIGHTS, graph, steady

STATE = (StateConfig(),)
CAMERA = (CameraConfig(width=16, height=8),)
CONTINUOUS = ActionSpace()
DISCRETE = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (0.0, 2.0), (20.0, 1.0)))
SIGHT = np.random.default_rng(1).normal(size=(8 * 16, 3)).astype(np.float32)
SOME_STATE = np.linspace(-1, 1, STATE_SIZE, dtype=np.float32)[None]
SOME_FRAME = np.random.default_rng(2).integers(0, 256, (1, 8, 16, 1), dtype=np.uint8)


def seeing(weights=SIGHT):
    """argmax(frame @ weights): a discrete policy on the camera."""
    nodes = [
        ("Cast", ["observation"], ["x"], {"to": FLOAT}),
        ("Flatten", ["x"], ["flat"]),
        ("MatMul", ["flat", "w"], ["y"]),
        ("ArgMax", ["y"], ["action"], {"axis": 1, "keepdims": 0}),
    ]
    return graph(
        *nodes,
        weights={"w": weights},
        seen=(("observation", UINT8, [1, 8, 16, 1]),),
        done=("action", INT64, [1]),
    )


def saying(value, actions=CONTINUOUS):
    """A policy that answers one fixed value, whatever it sees."""
    value = np.asarray(value, dtype=np.int64 if actions.kind == "discrete" else np.float32)
    done = ("action", INT64 if value.dtype == np.int64 else FLOAT, list(value.shape))
    nodes = [
        ("Cast", ["observation"], ["x"], {"to": done[1]}),
        ("ReduceSum", ["x"], ["sum"], {"keepdims": 0}),
        ("Mul", ["sum", "zero"], ["nothing"]),
        ("Add", ["nothing", "value"], ["action"]),
    ]
    weights = {"value": value, "zero": np.zeros((), value.dtype)}
    return OnnxPolicy(entry_of(graph(*nodes, done=done, weights=weights), STATE, actions))


def refusal(policy, **manifest):
    with pytest.raises(EntryError) as caught:
        OnnxPolicy(entry_of(policy, **manifest))
    return caught.value


def test_a_continuous_policy_does_what_its_graph_says():
    action = OnnxPolicy(entry_of(steady()))(SOME_STATE)
    assert action.shape == (1, 2)
    assert action.dtype == np.float32
    np.testing.assert_allclose(action, np.tanh(SOME_STATE @ WEIGHTS), atol=1e-6)


def test_a_discrete_camera_policy_does_what_its_graph_says():
    action = OnnxPolicy(entry_of(seeing(), CAMERA, DISCRETE))(SOME_FRAME)
    assert action.shape == (1,)
    assert action.dtype == np.int64
    worth = SOME_FRAME.reshape(-1).astype(float) @ SIGHT
    assert np.ptp(np.sort(worth)[-2:]) > 1.0, "a choice that no rounding changes"
    assert action[0] == np.argmax(worth)


def test_the_same_observation_gives_the_same_digits_in_two_sessions():
    one, two = OnnxPolicy(entry_of(steady())), OnnxPolicy(entry_of(steady()))
    seen = np.random.default_rng(3).normal(size=(50, 1, STATE_SIZE)).astype(np.float32)
    first = b"".join(one(each).tobytes() for each in seen)
    assert first == b"".join(two(each).tobytes() for each in seen)
    assert first == b"".join(one(each).tobytes() for each in seen)


def test_a_view_of_a_larger_array_is_seen_as_its_own_content():
    policy = OnnxPolicy(entry_of(steady()))
    wide = np.repeat(SOME_STATE, 2, axis=1)[:, ::2]
    assert policy(wide).tobytes() == policy(SOME_STATE).tobytes()


@pytest.mark.parametrize("garbage", [b"", b"hello", steady()[:-40]])
def test_bytes_that_are_no_graph_are_refused(garbage, capfd):
    error = refusal(garbage)
    assert error.code == "graph"
    assert "swift" in str(error)
    assert capfd.readouterr() == ("", "")


def test_an_unknown_operator_is_refused():
    error = refusal(graph(("Teleport", ["observation"], ["action"])))
    assert error.code == "operator"
    assert "Teleport" in str(error)


def test_a_graph_that_is_not_the_manifests_is_refused_naming_both(subtests):
    for policy, manifest, got, wanted in [
        (steady(), {"sensor": CAMERA}, f"float32 (1, {STATE_SIZE})", "uint8 (1, 8, 16, 1)"),
        (seeing(), {"sensor": STATE}, "uint8 (1, 8, 16, 1)", f"float32 (1, {STATE_SIZE})"),
        (
            seeing(),
            {"sensor": (CameraConfig(),), "actions": DISCRETE},
            "uint8 (1, 8, 16, 1)",
            "uint8 (1, 120, 160, 1)",
        ),
        (steady(), {"actions": DISCRETE}, "float32 (1, 2)", "int64 (1)"),
        (
            seeing(),
            {"sensor": CAMERA, "actions": CONTINUOUS},
            "int64 (1)",
            "float32 (1, 2)",
        ),
        (
            steady(seen=(("observation", FLOAT, ["n", STATE_SIZE]),)),
            {},
            f"'observation' float32 ('n', {STATE_SIZE})",
            f"float32 (1, {STATE_SIZE})",
        ),
        (
            graph(("Tanh", ["x"], ["action"]), seen=(("x", FLOAT, [1, 2]),)),
            {},
            "'x' float32 (1, 2)",
            "observation",
        ),
        (
            graph(
                ("MatMul", ["observation", "w"], ["y"]),
                done=("y", FLOAT, [1, 2]),
                weights={"w": WEIGHTS},
            ),
            {},
            "'y' float32 (1, 2)",
            "action",
        ),
    ]:
        with subtests.test(got=got, wanted=wanted):
            error = refusal(policy, **manifest)
            assert error.code == ("dynamic_shape" if "'n'" in got else "signature")
            before, after = str(error).split("the manifest asks for")
            assert got in before
            assert wanted in after


def test_a_second_input_is_refused():
    model = onnx.load_from_string(steady())
    model.graph.input.append(helper.make_tensor_value_info("hint", FLOAT, [1]))
    error = refusal(model.SerializeToString())
    assert error.code == "signature"
    assert "hint" in str(error)


def test_weights_beside_the_graph_are_not_read(tmp_path, monkeypatch):
    WEIGHTS.tofile(tmp_path / "weights.bin")
    monkeypatch.chdir(tmp_path)
    model = onnx.load_from_string(steady())
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights.bin")
    assert refusal(model.SerializeToString()).code == "external_data"
    with pytest.raises(Exception, match=r"weights\.bin|xternal"):
        open_session(model.SerializeToString())


def test_the_limits_of_the_action_are_inside():
    for value in ([[-1.0, 1.0]], [[1.0, -1.0]]):
        assert saying(value)(SOME_STATE).tolist() == value
    for value in ([0], [2]):
        assert saying(value, DISCRETE)(SOME_STATE).tolist() == value


def test_a_continuous_action_outside_the_space_is_refused(subtests):
    for value in [[[np.nan, 0]], [[0, np.inf]], [[-np.inf, 0]], [[0, 1.0000002]]]:
        with subtests.test(value=value):
            policy = saying(value)
            with pytest.raises(EntryError, match=r"two numbers within \[-1, 1\]") as caught:
                policy(SOME_STATE)
            assert caught.value.code == "action"


def test_an_index_that_is_no_choice_is_refused(subtests):
    for value in [[-1], [3], [2**40]]:
        with subtests.test(value=value):
            policy = saying(value, DISCRETE)
            with pytest.raises(
                EntryError, match=rf"index {value[0]}; wanted is an index from 0 to 2"
            ):
                policy(SOME_STATE)


def test_a_graph_that_fails_on_an_observation_is_refused_quietly(capfd):
    """A row is picked by the observation itself; there is no row 99."""
    nodes = [
        ("ReduceSum", ["observation"], ["sum"], {"keepdims": 0}),
        ("Cast", ["sum"], ["index"], {"to": INT64}),
        ("Gather", ["w", "index"], ["row"], {"axis": 0}),
        ("Unsqueeze", ["row", "axes"], ["action"]),
    ]
    weights = {"w": np.zeros((1, 2), np.float32), "axes": np.zeros(1, np.int64)}
    policy = OnnxPolicy(entry_of(graph(*nodes, weights=weights)))
    zeros = np.zeros((1, STATE_SIZE), np.float32)
    assert policy(zeros).tolist() == [[0.0, 0.0]]
    zeros[0, 0] = 99
    with pytest.raises(EntryError, match="failed on an observation") as caught:
        policy(zeros)
    assert caught.value.code == "run"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "observation",
    [SOME_STATE[0], SOME_STATE.astype(np.float64), np.zeros((2, STATE_SIZE), np.float32)],
)
def test_an_observation_that_is_not_the_sensors_is_a_bug_of_the_caller(observation):
    policy = OnnxPolicy(entry_of(steady()))
    with pytest.raises(ValueError, match="swift sees observation float32"):
        policy(observation)


def test_running_a_policy_imports_neither_torch_nor_onnx():
    code = (
        "import sys\n"
        "from racer.entries.onnx_policy import open_session\n"
        "open_session(sys.stdin.buffer.read())\n"
        "print(sorted({'torch', 'onnx', 'stable_baselines3'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], input=steady(), capture_output=True, check=True
    )
    assert run.stdout.decode().strip() == "[]"
    assert run.stderr == b""
