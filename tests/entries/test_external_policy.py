"""A policy that racer did not train becomes an entry, or is told why it does not."""

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

import racer
from racer import cli
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry
from racer.errors import ConfigError, EntryError, TrackError
from racer.evaluation import race_of_training

SMALL = {"kind": "camera", "width": 16, "height": 12}


def graph(text: str) -> bytes:
    """A graph from ONNX's own text."""
    head = '<ir_version: 10, opset_import: ["": 18]>\n'
    return onnx.parser.parse_model(head + text).SerializeToString()


STRAIGHT = graph("""
g (float[1, 26] observation) => (float[1, 2] action)
<int64[2] first = {0, 1}, float low = {-1}, float high = {1}>
{
    both = Gather <axis = 1> (observation, first)
    action = Clip (both, low, high)
}
""")
"""Answers the first two numbers of the state."""


@pytest.fixture
def no_box(monkeypatch):
    """Leave out the trial in the box, which the tests of `check_entry` are about."""
    from racer.entries.entry_check import CheckedEntry
    from racer.entries.onnx_check import check_graph

    def check(entry):
        check_graph(entry)
        return CheckedEntry(entry, "none", 0.0)

    monkeypatch.setattr("racer.entries.external_policy.check_entry", check)


def manifest_of(path):
    with zipfile.ZipFile(path) as zipped:
        return json.loads(zipped.read("manifest.json"))


class Several(nn.Module):
    """Steering from the lidar, speed from the frame's brightness."""

    def forward(self, ranges, frame):
        bright = frame.float().mean(dim=(1, 2, 3)) / 255
        return torch.stack([ranges[:, 0] - ranges[:, -1], bright], dim=1)


class Branching(nn.Module):
    def forward(self, x):
        return x[:, :2] if x.sum() > 0 else -x[:, :2]


class Pair(nn.Module):
    def forward(self, x):
        return x[:, :2], x[:, 2:4]


@pytest.mark.slow
def test_of_a_module_that_values_choices_the_best_one_is_driven(tmp_path, no_box):
    torch.manual_seed(0)
    values = nn.Linear(26, 10)
    path = racer.write_entry(
        values, tmp_path / "mine.entry.zip", sensor="state", actions="discrete"
    )
    entry = read_entry(path)
    assert entry.manifest.name == "mine"
    policy = OnnxPolicy(entry)
    rng, compared = np.random.default_rng(0), 0
    for seen in rng.uniform(-1, 1, (50, 1, 26)).astype(np.float32):
        valued = values(torch.from_numpy(seen)).detach().numpy()[0]
        if np.ptp(np.sort(valued)[-2:]) > 1e-3:
            assert policy(seen)[0] == valued.argmax()
            compared += 1
    assert compared > 30


@pytest.mark.slow
def test_a_module_s_two_numbers_are_clipped_and_it_is_left_as_it_was(tmp_path):
    torch.manual_seed(0)
    linear = nn.Linear(26, 2)
    net = nn.Sequential(linear, nn.Dropout(0.5))
    with torch.no_grad():
        linear.weight.mul_(3.0)
    before = [one.clone() for one in net.parameters()]
    policy = OnnxPolicy(read_entry(racer.write_entry(net, tmp_path / "e", sensor="state")))
    assert net.training
    assert all(map(torch.equal, net.parameters(), before))
    net.eval()
    answers = []
    for seen in np.random.default_rng(0).uniform(-1, 1, (20, 1, 26)).astype(np.float32):
        answers.append(policy(seen))
        wanted = net(torch.from_numpy(seen)).clamp(-1, 1).detach().numpy()
        assert np.allclose(answers[-1], wanted, atol=1e-4)
    assert (np.abs(answers) == 1).any() and not (np.abs(answers) == 1).all()


@pytest.mark.slow
def test_a_module_takes_several_sensors_in_the_order_in_which_they_are_named(tmp_path):
    sensors = [{"kind": "lidar", "beams": 8}, SMALL]
    path = racer.write_entry(Several(), tmp_path / "e", sensor=sensors, track="bowtie", walls=True)
    policy = OnnxPolicy(read_entry(path))
    ranges = np.linspace(0.2, 0.9, 8, dtype=np.float32)[None]
    frame = np.full((1, 12, 16, 1), 51, np.uint8)
    assert policy({"camera": frame, "lidar": ranges}) == pytest.approx(
        np.array([[-0.7, 0.2]]), abs=1e-6
    )


@pytest.mark.parametrize("as_file", [True, False], ids=["path", "bytes"])
def test_an_onnx_graph_becomes_an_entry_as_it_is(tmp_path, no_box, as_file):
    (tmp_path / "policy.onnx").write_bytes(STRAIGHT)
    given = tmp_path / "policy.onnx" if as_file else STRAIGHT
    path = racer.write_entry(given, tmp_path / "mine.entry.zip", name="me", sensor="state")
    entry = read_entry(path)
    assert entry.policy == STRAIGHT
    assert entry.manifest.name == "me"


def test_nothing_is_said_of_a_policy_s_origin_that_was_not_named(tmp_path, no_box, capsys):
    path = racer.write_entry(STRAIGHT, tmp_path / "e.entry.zip", sensor="state")
    told = manifest_of(path)
    assert "trained_on" not in told
    assert not [name for name in ("config_sha256", "reward_sha256") if name in str(told)]
    entry = read_entry(path)
    assert race_of_training(entry).walls is False
    with pytest.raises(SystemExit):
        cli.main(["race", str(path)])
    assert f"racer race {path} needs a track: add --track NAME" in capsys.readouterr().err


def test_an_id_that_stands_for_a_sensor_is_taken_with_it(tmp_path, no_box):
    path = racer.write_entry(STRAIGHT, tmp_path / "e", env="racer/TimeTrial-State-v0")
    entry = read_entry(path)
    assert entry.manifest.env == "racer/TimeTrial-v0"
    assert [sensor.name for sensor in entry.manifest.sensor] == ["state"]


def test_the_track_and_walls_that_are_named_are_where_it_races_by_default(tmp_path, no_box):
    path = racer.write_entry(STRAIGHT, tmp_path / "e", sensor="state", track="oval", walls=True)
    assert manifest_of(path)["trained_on"] == {"track": "oval", "walls": True}
    assert race_of_training(read_entry(path)).walls is True


def test_an_entry_of_nobody_s_training_races_and_a_board_takes_it(tmp_path):
    path = racer.write_entry(STRAIGHT, tmp_path / "e.entry.zip", sensor="state")
    result = racer.drive(path, track="bowtie", laps=1)
    assert len(result.actions) > 5
    cli.main(["board", "check", str(path)])


@pytest.mark.parametrize(
    ("module", "actions", "code", "said"),
    [
        (nn.Linear(26, 7), "discrete", "signature", "returns float32 (1, 7); expected is float32"),
        (nn.Linear(26, 10), "continuous", "signature", "expected is float32 (1, 2), steering and"),
        (Pair(), "continuous", "signature", "returns (float32 (1, 2), float32 (1, 2)); expected"),
        (nn.Linear(25, 2), "continuous", "run", "observation float32 (1, 26): mat1 and mat2"),
        pytest.param(
            Branching(),
            "continuous",
            "graph",
            "torch.where instead of an if",
            marks=pytest.mark.slow,
        ),
        (3, "continuous", "graph", "of type int; it must be the path"),
    ],
)
def test_a_module_that_is_no_policy_is_refused(tmp_path, module, actions, code, said):
    with pytest.raises(EntryError) as caught:
        racer.write_entry(module, tmp_path / "e", name="mine", sensor="state", actions=actions)
    assert caught.value.code == code
    assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_module_of_floats_is_told_that_a_frame_is_of_bytes(tmp_path):
    with pytest.raises(EntryError, match=r"observation uint8 \(1, 12, 16, 1\).*divide by 255"):
        racer.write_entry(nn.Conv2d(1, 2, 3), tmp_path / "e", sensor=SMALL)


IDENTITY = "{ action = Identity (observation) }"


def test_a_graph_of_another_signature_is_told_what_to_change(subtests, tmp_path):
    for text, sensor, actions, code, said in [
        (
            "g (float[1, 26] obs) => (float[1, 26] action) { action = Identity (obs) }",
            "state",
            "continuous",
            "signature",
            "is 'obs' float32 (1, 26); the manifest asks for 'observation' float32 (1, 26): "
            "export it with input_names=['observation']",
        ),
        (
            f"g (float[N, 26] observation) => (float[N, 26] action) {IDENTITY}",
            "state",
            "continuous",
            "dynamic_shape",
            "a batch of 1, without dynamic axes",
        ),
        (
            f"g (float[1, 1, 12, 16] observation) => (float[1, 1, 12, 16] action) {IDENTITY}",
            SMALL,
            "continuous",
            "signature",
            "as the sensor gives it, with a permute and a division by 255 inside",
        ),
        (
            f"g (float[1, 12, 16, 1] observation) => (float[1, 12, 16, 1] action) {IDENTITY}",
            SMALL,
            "continuous",
            "signature",
            "as the sensor gives it, with a division by 255 inside",
        ),
        (
            f"g (float[1, 26] observation) => (float[1, 26] action) {IDENTITY}",
            "state",
            "discrete",
            "signature",
            "end it with the index of the largest value",
        ),
        (
            f"g (float[1, 9] observation) => (float[1, 9] action) {IDENTITY}",
            "state",
            "continuous",
            "signature",
            "with the sensor and actions it was trained with",
        ),
    ]:
        with subtests.test(text=text, sensor=sensor, actions=actions, code=code, said=said):
            with pytest.raises(EntryError) as caught:
                racer.write_entry(graph(text), tmp_path / "e", sensor=sensor, actions=actions)
            assert caught.value.code == code
            assert said in str(caught.value)
            assert list(tmp_path.iterdir()) == []


def test_a_policy_whose_answers_are_no_actions_is_refused_when_it_is_written(tmp_path):
    loud = graph(
        "g (float[1, 26] observation) => (float[1, 2] action)"
        "<int64[2] first = {0, 1}> { action = Gather <axis = 1> (observation, first) }"
    )
    with pytest.raises(EntryError) as caught:
        racer.write_entry(loud, tmp_path / "e", sensor="state")
    assert caught.value.code == "action"
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_argument_is_refused_by_its_name(subtests, tmp_path):
    for wrong, error, said in [
        ({"sensor": "stat"}, ConfigError, "did you mean 'state'"),
        ({"actions": "descrete"}, ConfigError, "actions: Input should be"),
        ({"track": "bowtye"}, TrackError, "bowtye"),
        ({"env": "CarRacing-v3"}, EntryError, "env"),
        ({"env": "racer/TimeTrial-v99"}, EntryError, "this racer has"),
        ({"car": "truck"}, ConfigError, "car"),
        ({"name": "two\nlines"}, EntryError, "printable"),
    ]:
        with subtests.test(wrong=wrong, error=error, said=said):
            with pytest.raises(error, match=said):
                racer.write_entry(STRAIGHT, tmp_path / "e", **{"sensor": "state", **wrong})
            assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(EntryError, match=r"gone\.onnx: cannot be read") as caught:
        racer.write_entry(tmp_path / "gone.onnx", tmp_path / "e", sensor="state")
    assert caught.value.code == "missing"


def test_the_command_writes_what_the_function_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("mine.onnx").write_bytes(STRAIGHT)
    cli.main(["entry", "write", "mine.onnx", "--sensor", "{kind: state}", "--author", "Ada"])
    said = capsys.readouterr().out
    assert "accepted: mine by Ada" in said
    assert "next: racer race mine.entry.zip --track bowtie" in said
    monkeypatch.chdir(tmp_path.parent)
    path = racer.write_entry(STRAIGHT, "mine.entry.zip", sensor="state", author="Ada")
    assert path.read_bytes() == (tmp_path / "mine.entry.zip").read_bytes()


def test_a_sensor_that_is_no_yaml_is_told(tmp_path, capsys):
    (tmp_path / "mine.onnx").write_bytes(STRAIGHT)
    with pytest.raises(SystemExit):
        cli.main(["entry", "write", str(tmp_path / "mine.onnx"), "--sensor", "{kind: state"])
    assert "--sensor {kind: state: not a name, and not valid YAML" in capsys.readouterr().err
