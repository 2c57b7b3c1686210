"""Maps find what a policy of known sight looks at, and say so where it looks at nothing."""

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.errors import ConfigError
from racer.evaluation import make_race_rules
from racer.explain.entry_graph import graph_with_random_weights, graph_with_scores
from racer.explain.entry_policy import EntryPolicy
from racer.explain.explanation import explain_lap
from racer.explain.map_proof import agreement_curves
from racer.explain.network_policy import NetworkPolicy
from racer.explain.policy_output import mean_command, probabilities
from racer.explain.recorded_lap import record_lap
from racer.networks.modules import DeterministicActor
from racer.sensors import CameraConfig
from tests.helpers.entries import entry_of
from tests.helpers.graphs import FLOAT, INT64, UINT8, graph, steady

CAMERA = CameraConfig(width=32, height=24)
ROWS, COLUMNS = slice(12, 18), slice(4, 12)
"""The patch of the picture that the patch policies look at."""
RULES = make_race_rules(1, time_limit=3.0)
CHOICES = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (20.0, 1.5)))


def patch_weights(outputs=2):
    """Steering grows with the brightness of the patch; the speed is always the same."""
    weights = np.zeros((24, 32, outputs), np.float32)
    weights[ROWS, COLUMNS, 0] = 0.05
    return weights.reshape(-1, outputs)


def picture_graph(weights, is_discrete=False):
    """A linear policy of a camera of 32 x 24 pixels."""
    nodes = [
        ("Cast", ["observation"], ["float"], {"to": FLOAT}),
        ("Div", ["float", "most"], ["share"]),
        ("Reshape", ["share", "flat"], ["row"]),
        ("MatMul", ["row", "w"], ["mixed"]),
        ("Add", ["mixed", "bias"], ["out"]),
    ]
    nodes.append(
        ("ArgMax", ["out"], ["action"], {"axis": 1, "keepdims": 0})
        if is_discrete
        else ("Clip", ["out", "low", "high"], ["action"])
    )
    held = {
        "most": np.float32(255.0),
        "flat": np.array([1, -1]),
        "w": weights,
        "bias": np.array([[-0.8, 0.0]], np.float32),
        "low": np.float32(-1.0),
        "high": np.float32(1.0),
    }
    done = ("action", INT64, (1,)) if is_discrete else ("action", FLOAT, (1, 2))
    return graph(*nodes, weights=held, seen=(("observation", UINT8, (1, 24, 32, 1)),), done=done)


def patch_network(weights):
    """The same policy as a torch network: a convolution as large as the picture, and a layer."""
    import torch
    from torch import nn

    first = nn.Conv2d(1, 2, 1, bias=False)
    last = nn.Linear(2 * 24 * 32, 2)
    with torch.no_grad():
        first.weight[:] = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
        joined = torch.as_tensor(weights.T)
        last.weight[:] = torch.cat([joined, torch.zeros_like(joined)], dim=1)
        last.bias[:] = torch.tensor([-0.8, 0.0])
    part = nn.Sequential(first, nn.Flatten())
    actor = DeterministicActor({"observation": part}, nn.Identity(), last, "continuous")
    return NetworkPolicy(actor.eval(), (CAMERA,), ActionSpace(speed=(0.8, 1.2)), "patch")


def on_patch(importance):
    """The share of a map that lies on the patch or next to it."""
    near = importance[ROWS.start - 3 : ROWS.stop + 3, max(COLUMNS.start - 4, 0) : COLUMNS.stop + 4]
    return near.sum() / importance.sum()


@pytest.fixture(scope="module")
def patch_entry():
    space = ActionSpace(speed=(0.8, 1.2))
    policy = EntryPolicy(entry_of(picture_graph(patch_weights()), (CAMERA,), space))
    yield policy
    policy.close()


@pytest.fixture(scope="module")
def patch_lap(patch_entry):
    return record_lap(patch_entry, "bowtie", RULES)


def test_a_map_finds_the_patch_that_a_strangers_policy_looks_at(patch_entry, patch_lap, subtests):
    for method in ("occlusion", "rise"):
        with subtests.test(method=method):
            (one,) = explain_lap(patch_entry, patch_lap, method, (), count=4).sensors
            assert all(on_patch(found) > 0.5 for found in one.maps)
            assert one.proof.holds
            assert one.proof.similarity < 0.5
            assert one.proof.deletion < 0.5 * one.proof.random_deletion
            assert one.proof.insertion > one.proof.random_insertion
            assert not one.is_ignored


def test_gradients_find_the_patch_that_a_network_looks_at(patch_lap, subtests):
    policy = patch_network(patch_weights())
    for method in ("integrated-gradients", "grad-cam"):
        with subtests.test(method=method):
            (one,) = explain_lap(policy, patch_lap, method, (), count=4).sensors
            if method == "integrated-gradients":
                assert all(on_patch(found) > 0.95 for found in one.maps)
                assert one.proof.holds
            assert one.maps[0].shape == (24, 32)


def test_a_network_and_its_graph_give_the_same_readings(patch_entry, patch_lap):
    network = patch_network(patch_weights())
    held = patch_lap.hidden_state
    first = network.answer(patch_lap.observations, held)
    second = patch_entry.answer(patch_lap.observations, held)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-5)
    assert np.abs(second.scores[:, 0]).max() > 0.01


def test_a_policy_that_ignores_the_picture_is_reported(subtests):
    entry = entry_of(picture_graph(patch_weights() * 0.0), (CAMERA,), ActionSpace())
    policy = EntryPolicy(entry)
    lap = record_lap(policy, "bowtie", RULES)
    found = explain_lap(policy, lap, "rise", count=3)
    policy.close()
    (one,) = found.sensors
    assert one.is_ignored
    assert one.proof.is_flat and not one.proof.holds
    assert "ignores its camera" in found.sentences[0]
    assert found.as_dict()["sensors"][0]["deletion"] is None
    for effect in found.effects:
        with subtests.test(change=effect.change):
            assert effect.seen_share > 0.0
            assert effect.answer_share == 0.0
            assert not effect.moved.any()


def test_a_discrete_graph_tells_the_values_of_its_choices(patch_lap):
    plain = picture_graph(patch_weights(), is_discrete=True)
    policy = EntryPolicy(entry_of(plain, (CAMERA,), CHOICES))
    output = policy.answer(patch_lap.observations, patch_lap.hidden_state)
    policy.close()
    assert policy.has_scores
    assert output.scores.shape == (patch_lap.steps, 2)
    assert (output.scores.argmax(axis=1) == output.action).all()
    shares = probabilities(output.scores)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    expected = shares @ CHOICES.command(np.arange(2))
    np.testing.assert_allclose(mean_command(output, CHOICES), expected)


def test_a_graph_whose_choice_cannot_be_seen_through_is_still_explained(patch_lap):
    nodes = [
        ("Cast", ["observation"], ["float"], {"to": FLOAT}),
        ("ReduceMax", ["float", "axes"], ["most"], {"keepdims": 0}),
        ("Greater", ["most", "limit"], ["is_bright"]),
        ("Cast", ["is_bright"], ["action"], {"to": INT64}),
    ]
    held = {"axes": np.array([1, 2, 3]), "limit": np.float32(128.0)}
    seen, done = (("observation", UINT8, (1, 24, 32, 1)),), ("action", INT64, (1,))
    policy = EntryPolicy(
        entry_of(graph(*nodes, weights=held, seen=seen, done=done), (CAMERA,), CHOICES)
    )
    output = policy.answer(patch_lap.observations, patch_lap.hidden_state)
    policy.close()
    assert not policy.has_scores
    assert (output.scores.argmax(axis=1) == output.action).all()
    assert set(np.unique(output.scores)) <= {0.0, 1.0}


def test_random_weights_change_the_weights_of_a_graph_and_nothing_else():
    import onnx
    from onnx import numpy_helper

    plain = picture_graph(patch_weights())

    def held(content):
        model = onnx.load_model_from_string(content)
        return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}

    before, after = held(plain), held(graph_with_random_weights(plain, 1))
    assert [name for name in before if not np.array_equal(before[name], after[name])] == [
        "w",
        "bias",
    ]
    size = [float(np.sqrt(np.mean(np.square(one["w"])))) for one in (before, after)]
    assert size[1] == pytest.approx(size[0], rel=0.1)
    assert graph_with_random_weights(plain, 1) == graph_with_random_weights(plain, 1)
    assert graph_with_random_weights(plain, 1) != graph_with_random_weights(plain, 2)
    assert graph_with_scores(steady(), 2) is None


@pytest.mark.slow
def test_bars_name_the_number_that_a_policy_of_the_state_reads():
    weights = np.zeros((26, 2), np.float32)
    weights[6, 0] = -1.0  # the distance left of the centre line
    policy = EntryPolicy(entry_of(steady(weights)))
    lap = record_lap(policy, "bowtie", RULES)
    found = explain_lap(policy, lap, "occlusion", count=4)
    policy.close()
    (one,) = found.sensors
    name, share, area = one.parts[0]
    assert name == "distance left of the centre line"
    assert share == pytest.approx(1.0)
    assert area == pytest.approx(1 / 26)
    aside = next(effect for effect in found.effects if effect.change == "place")
    assert (aside.moved[:, 0] < 0.0).all()  # further left, it steers to the right


def test_the_right_order_deletes_faster_than_the_wrong_one(patch_entry, patch_lap):
    from racer.explain.explanation import lap_moments

    reference = patch_lap.mean_observation()["observation"]
    (moment,) = lap_moments(patch_entry, patch_lap, np.array([20]))
    right = np.zeros((24, 32))
    right[ROWS, COLUMNS] = 1.0
    told = [
        agreement_curves(patch_entry, moment, "observation", reference, order)
        for order in (right, -right)
    ]
    assert told[0] is not None and told[1] is not None
    assert told[0][0].mean() < 0.2 and told[1][0].mean() > 0.8
    assert told[0][1].mean() > 0.8 and told[1][1].mean() < 0.2
    assert (told[0][:, 0] == [1.0, 0.0]).all()


def test_gradients_of_a_graph_are_refused(patch_entry, patch_lap):
    with pytest.raises(ConfigError, match="use occlusion or rise"):
        explain_lap(patch_entry, patch_lap, "grad-cam")
