"""The graph for a car of one's own: float frames in, rad and m/s out, and words about both."""

import json
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from racer.cli import main
from racer.entries.interface import interface_of_commands
from racer.networks.network_config import ActorLayout
from racer.networks.onnx_export import commands_to_onnx, input_shapes
from racer.networks.policy_network import TorchPolicy, build_network
from racer.training.checkpoint_policy import load_checkpoint_policy
from racer.training.run_dir import Run
from racer.training.train import run_training
from tests.helpers.runs import QUIET, config

CHOICES = [[-30, 0.6], [0, 1.5], [30, 0.7]]
PAGE = Path(__file__).parents[2] / "docs" / "own-car.md"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("own") / "mine"
    chosen = config(
        sensor={"kind": "camera", "width": 32, "height": 24},
        actions={"kind": "discrete", "choices": CHOICES},
        network={"preset": "small", "filters": [[4, 8, 4]], "features": [8], "hidden": []},
        num_envs=2,
        total_timesteps=16,
        ppo={"n_steps": 8, "batch_size": 16, "n_epochs": 1},
        evaluation={"eval_freq": 16, "laps": 1, "time_limit": 0.5, "video_freq": 0},
    )
    run_training(chosen, folder, QUIET)
    return folder


@pytest.fixture(scope="module")
def graph(run, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "mine.onnx"
    main(["export", str(run), "--onnx-float", str(path)])
    return path


def session_of(graph: bytes) -> Any:
    return onnxruntime.InferenceSession(graph)


def test_the_graph_commands_what_the_policy_s_action_means(run, graph):
    policy, session = load_checkpoint_policy(Run.open(run)), session_of(graph.read_bytes())
    act = TorchPolicy(policy.network.actor(), torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 256, (20, 24, 32, 1), dtype=np.uint8)
    wanted = policy.config.actions.command(act(frames))
    for frame, one in zip(frames, wanted):
        (command,) = session.run(["command"], {"observation": frame[None].astype(np.float32)})
        np.testing.assert_allclose(command[0], one, rtol=1e-6)


def test_the_metadata_tells_names_layout_scale_rate_and_sign(graph):
    model = onnx.load(graph)
    about = {one.key: one.value for one in model.metadata_props}
    assert about["control_rate_hz"] == "15"
    assert about["input observation"] == (
        "float32 (1, 24, 32, 1): the front camera's frame, 0 to 255, grey, the top row first"
    )
    assert about["output command"] == (
        "float32 (1, 2): the angle of the front wheels [rad], positive to the left, then the "
        "speed [m/s]"
    )
    assert json.loads(about["actions"])["choices"] == CHOICES
    assert (about["name"], about["car"]) == ("mine", "deepracer")
    assert [one.name for one in model.graph.input] == ["observation"]


def drawn_graph(layout: ActorLayout, **changes: Any) -> tuple[Any, Any, Any]:
    chosen = config(**changes)
    torch.manual_seed(5)
    shapes = input_shapes(chosen.sensor)
    actor = build_network(shapes, chosen.network.layers, chosen.actions, layout).eval().actor()
    graph = commands_to_onnx(actor, shapes, chosen.actions, {"name": "drawn"})
    return actor, chosen, session_of(graph)


@pytest.mark.slow
def test_continuous_actions_of_several_sensors_become_commands():
    actor, chosen, session = drawn_graph(
        ActorLayout(),
        sensor=[{"kind": "camera", "width": 32, "height": 24}, "lidar"],
        actions={"steering_deg": [-20, 25], "speed": [0.5, 3]},
        network={"filters": [[4, 8, 4]], "features": [8], "hidden": []},
    )
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (1, 24, 32, 1), dtype=np.uint8)
    ranges = rng.uniform(0.15, 1.0, (1, 64)).astype(np.float32)
    (got,) = session.run(["command"], {"camera": frame.astype(np.float32), "lidar": ranges})
    with torch.inference_mode():
        action = actor(torch.as_tensor(frame), torch.as_tensor(ranges)).numpy()
    np.testing.assert_allclose(got, chosen.actions.command(action), rtol=1e-5)
    described = interface_of_commands(chosen.sensor).inputs
    assert set(described) == {one.name for one in session.get_inputs()}


@pytest.mark.slow
def test_a_recurrent_policy_returns_its_next_hidden_state_too():
    actor, chosen, session = drawn_graph(
        ActorLayout("recurrent_ppo", lstm=(8,)), sensor="state", network={"hidden": [8]}
    )
    seen = np.linspace(-1, 1, 26, dtype=np.float32)[None]
    held = np.zeros((1, 16), np.float32)
    inputs = {"observation": seen, "hidden_state": held}
    command, kept = session.run(["command", "next_hidden_state"], inputs)
    with torch.inference_mode():
        action, wanted = actor(torch.as_tensor(seen), torch.as_tensor(held))
    np.testing.assert_allclose(kept, wanted.numpy(), atol=1e-6)
    np.testing.assert_allclose(command, chosen.actions.command(action.numpy()), rtol=1e-5)


def test_the_page_s_loop_drives_a_car(graph, monkeypatch):
    monkeypatch.chdir(graph.parent)
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    left, driven, stops = iter(frames), [], []

    def camera():
        frame = next(left, None)
        if frame is None:
            raise KeyboardInterrupt
        return frame

    car: Any = ModuleType("mycar")
    car.camera, car.stop = camera, lambda: stops.append(1)
    car.drive = lambda steering, speed: driven.append((steering, speed))
    monkeypatch.setitem(sys.modules, "mycar", car)
    (loop,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert sum(1 for line in loop.splitlines() if line.strip()) <= 30
    with pytest.raises(KeyboardInterrupt):
        exec(compile(loop, str(PAGE), "exec"), {})
    commands = {(round(np.deg2rad(angle), 5), speed) for angle, speed in CHOICES}
    assert len(driven) == 3 and stops == [1]
    assert {(round(angle, 5), round(speed, 5)) for angle, speed in driven} <= commands


def test_a_person_s_file_is_not_written_over(run, graph, tmp_path, monkeypatch):
    made = graph.read_bytes()
    monkeypatch.setattr("racer.training.command_export.commands_to_onnx", lambda *given: made)
    (tmp_path / "mine.onnx").write_bytes(b"a person's")
    with pytest.raises(SystemExit):
        main(["export", str(run), "--onnx-float", str(tmp_path / "mine.onnx")])
    assert (tmp_path / "mine.onnx").read_bytes() == b"a person's"
    (tmp_path / "mine.onnx").write_bytes(made)
    main(["export", str(run), "--onnx-float", str(tmp_path / "mine.onnx")])
