"""The archive for a car: its graph acts as the entry of the same run, in the engines of a car."""

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from racer.cli import main
from racer.deepracer.car_archive import CAR_OUTPUT, car_input_name, car_inputs
from racer.deepracer.metadata import read_metadata
from racer.networks.frozen_graph import PlaceholderInput, actor_to_graph_def
from racer.networks.network_config import ActorLayout
from racer.networks.onnx_export import input_shapes
from racer.networks.policy_network import build_network
from racer.training.train import run_training
from tests.helpers.runs import QUIET, config

FRONT = car_input_name("FRONT_FACING_CAMERA")
CHOICES = [[-30, 0.6], [-15, 1.0], [0, 1.5], [15, 1.0], [30, 0.6]]
SHORT = {"eval_freq": 16, "laps": 1, "time_limit": 0.5, "video_freq": 0}
PPO = {"n_steps": 8, "batch_size": 16, "n_epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run as `racer import-deepracer` would set it up: 160x120 grey, discrete, shallow."""
    folder = tmp_path_factory.mktemp("car") / "theirs"
    chosen = config(
        sensor="camera",
        actions={"kind": "discrete", "choices": CHOICES},
        network={"preset": "shallow"},
        num_envs=2,
        total_timesteps=16,
        ppo=PPO,
        evaluation=SHORT,
    )
    run_training(chosen, folder, QUIET)
    return folder


def unpacked(archive: Path, place: Path) -> Path:
    with tarfile.open(archive) as opened:
        assert opened.getnames() == ["agent/model.pb", "model_metadata.json"]
        opened.extractall(place, filter="data")
    return place


def in_openvino(graph: bytes, seen: dict[str, np.ndarray], tmp_path: Path) -> np.ndarray:
    """The output of a frozen graph for inputs by name; each must be one of the graph's."""
    openvino = pytest.importorskip("openvino")
    path = tmp_path / "model.pb"
    path.write_bytes(graph)
    core = openvino.Core()
    model = core.read_model(path)
    named = {f"{name}:0": values for name, values in seen.items()}
    assert {one.get_any_name() for one in model.inputs} == set(named)
    (output,) = model.outputs
    assert output.get_any_name() == f"{CAR_OUTPUT}:0"
    model.reshape({name: list(values.shape) for name, values in named.items()})
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled(named)[0]


@pytest.mark.ci
@pytest.mark.slow
@pytest.mark.needs("openvino")
def test_the_car_s_graph_agrees_with_the_entry_on_a_thousand_frames(folder, tmp_path):
    main(["export", str(folder), "--car", str(tmp_path / "theirs.tar.gz")])
    main(["export", str(folder), "--out", str(tmp_path / "theirs.entry.zip")])
    place = unpacked(tmp_path / "theirs.tar.gz", tmp_path / "car")
    graph = (place / "agent" / "model.pb").read_bytes()

    # The entry gives an index only; what it takes the argmax of is made an output, too.
    session, logits = session_with_logits(tmp_path / "theirs.entry.zip")
    frames = np.random.default_rng(0).integers(0, 256, (1000, 120, 160, 1), dtype=np.uint8)
    frames[::2] //= 4  # dark ones, too
    got = in_openvino(graph, {FRONT: frames.astype(np.float32)}, tmp_path)
    for frame, probability in zip(frames, got):
        found: list[Any] = list(session.run(["action", logits], {"observation": frame[None]}))
        index, values = found
        wanted = np.exp(values[0] - values[0].max())
        wanted /= wanted.sum()
        assert np.abs(probability - wanted).max() < 1e-4
        best = np.sort(wanted)
        if best[-1] - best[-2] > 2e-4:
            assert probability.argmax() == index[0]


def session_with_logits(entry: Path) -> tuple[onnxruntime.InferenceSession, str]:
    import onnx

    from racer.entries.package import read_entry

    model = onnx.load_model_from_string(read_entry(entry).policy)
    (last,) = (node for node in model.graph.node if node.op_type == "ArgMax")
    model.graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    return onnxruntime.InferenceSession(model.SerializeToString()), last.input[0]


SENSORS: dict[str, Any] = {
    "grey": "camera",
    "half": {"kind": "camera", "width": 80, "height": 60},
    "stereo": {"kind": "stereo", "width": 40, "height": 30},
    "left": ["left_camera", {"kind": "sector_lidar", "clip": 0.5}],
    "ranges": [{"kind": "camera", "width": 40, "height": 30}, "lidar"],
}
LITTLE = {"preset": "small", "filters": [[8, 4, 2], [8, 3, 2]], "features": [16]}
NETWORKS: dict[str, Any] = {
    "grey": {"preset": "standard"},
    "half": {"preset": "deep", "filters": [[8, 8, 4], [8, 3, 1]], "features": [16], "hidden": []},
    "stereo": LITTLE,
    "left": LITTLE | {"hidden": []},
    "ranges": LITTLE | {"mlp": [8], "normalize_obs": True},
}
PLAIN = ActorLayout()


def drawn_network(name: str, actions: dict[str, Any], layout: ActorLayout = PLAIN) -> Any:
    """A network whose every parameter and buffer was drawn, and the config it belongs to."""
    chosen = config(sensor=SENSORS[name], network=NETWORKS[name], actions=actions)
    torch.manual_seed(3)
    shapes = input_shapes(chosen.sensor)
    network = build_network(shapes, chosen.network.layers, chosen.actions, layout).eval()
    with torch.no_grad():
        for place, buffer in network.named_buffers():
            if place.endswith("mean"):
                buffer.uniform_(-0.3, 0.3)
            elif place.endswith("var"):
                buffer.uniform_(0.05, 0.2)
        network.action_net.weight.mul_(4.0)
    return network, chosen


def graph_of(network: Any, chosen: Any) -> bytes:
    actor, shapes = network.actor(), input_shapes(chosen.sensor)
    named = zip(actor.names, car_inputs(chosen.sensor).values())
    inputs = {name: PlaceholderInput(*given) for name, given in named}
    return actor_to_graph_def(actor, shapes, inputs, CAR_OUTPUT)


def seen_by(chosen: Any, n: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Observations as the policy takes them, and as the car gives them, by the inputs' names."""
    rng = np.random.default_rng(1)
    ours, theirs = {}, {}
    shapes = input_shapes(chosen.sensor)
    for (name, shape), (place, size) in zip(shapes.items(), car_inputs(chosen.sensor).values()):
        if len(shape) == 3:
            ours[name] = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
            large = ours[name].repeat(size[0] // shape[0], axis=1)
            theirs[place] = large.repeat(size[1] // shape[1], axis=2).astype(np.float32)
        else:
            ours[name] = theirs[place] = rng.uniform(0.0, 1.0, (n, *shape)).astype(np.float32)
    return ours, theirs


def torch_output(network: Any, kind: str, seen: dict[str, np.ndarray]) -> np.ndarray:
    actor = network.actor()
    found: list[torch.Tensor] = []
    actor.action.register_forward_hook(lambda module, given, out: found.append(out))
    with torch.inference_mode():
        actor(*map(torch.as_tensor, seen.values()))
        return (found[0].softmax(dim=1) if kind == "discrete" else found[0]).numpy()


GRID = {"kind": "discrete", "choices": CHOICES}
BOX = {"kind": "continuous", "steering_deg": [-30, 30], "speed": [0.5, 2]}


@pytest.mark.needs("openvino")
@pytest.mark.parametrize("name", SENSORS)
def test_every_kind_of_network_computes_the_same_in_the_car(name, tmp_path):
    network, chosen = drawn_network(name, GRID)
    ours, theirs = seen_by(chosen, 6)
    got = in_openvino(graph_of(network, chosen), theirs, tmp_path)
    wanted = torch_output(network, "discrete", ours)
    assert np.abs(got - wanted).max() < 1e-4
    assert wanted.std(axis=0).max() > 1e-3, "the frames make a difference"


@pytest.mark.needs("openvino")
@pytest.mark.parametrize(
    ("layout", "actions"),
    [
        (PLAIN, BOX),
        (ActorLayout("sac"), BOX),
        (ActorLayout("qrdqn", n_quantiles=7), GRID),
    ],
)
def test_every_algorithm_s_last_layers_compute_the_same_in_the_car(layout, actions, tmp_path):
    network, chosen = drawn_network("stereo", actions, layout)
    ours, theirs = seen_by(chosen, 6)
    got = in_openvino(graph_of(network, chosen), theirs, tmp_path)
    wanted = torch_output(network, actions["kind"], ours)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() < 1e-4


def test_a_recurrent_policy_has_no_frozen_graph():
    network, chosen = drawn_network("stereo", GRID, ActorLayout("recurrent_ppo", lstm=(8,)))
    with pytest.raises(ValueError, match="recurrent"):
        graph_of(network, chosen)


def test_the_archive_is_the_same_bytes_each_time_and_is_replaced_but_nothing_else(
    small_run, tmp_path
):
    first, again = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    for out in (first, again, again):
        main(["export", str(small_run), "--car", str(out)])
    assert first.read_bytes() == again.read_bytes()
    other = tmp_path / "notes.tar.gz"
    other.write_bytes(b"a person's")
    with pytest.raises(SystemExit):
        main(["export", str(small_run), "--car", str(other)])
    assert other.read_bytes() == b"a person's"


def test_the_metadata_lists_the_run_s_own_actions_in_their_order(small_run, tmp_path):
    main(["export", str(small_run), "--car", str(tmp_path / "mine.tar.gz")])
    path = unpacked(tmp_path / "mine.tar.gz", tmp_path / "car") / "model_metadata.json"
    tree = json.loads(path.read_text())
    assert [[one["steering_angle"], one["speed"]] for one in tree["action_space"]] == CHOICES[::-1]
    assert [one["index"] for one in tree["action_space"]] == [0, 1, 2, 3, 4]
    assert (tree["action_space_type"], tree["training_algorithm"]) == ("discrete", "clipped_ppo")
    assert tree["sensor"] == ["FRONT_FACING_CAMERA"]
    assert read_metadata(path).actions()["choices"] == CHOICES[::-1]


@pytest.fixture(scope="module")
def small_run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "mine"
    chosen = config(
        sensor={"kind": "camera", "width": 32, "height": 24},
        actions={"kind": "discrete", "choices": CHOICES[::-1]},
        network={"preset": "small", "filters": [[4, 8, 4]], "features": [8], "hidden": []},
        num_envs=2,
        total_timesteps=16,
        ppo=PPO,
        evaluation=SHORT,
    )
    run_training(chosen, folder, QUIET)
    return folder


def test_an_option_of_entries_is_refused_beside_the_car(small_run, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["export", str(small_run), "--car", str(tmp_path / "a.tar.gz"), "--int8"])
    assert "--car does not write an entry; leave out --int8" in capsys.readouterr().err
    assert not (tmp_path / "a.tar.gz").exists()
