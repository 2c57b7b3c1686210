"""A recurrent policy remembers what its own car saw since the start of its race, and no more."""

import json
import zipfile

import numpy as np
import pytest
from torch import nn

import racer
from racer.entries.entry_check import check_entry
from racer.entries.onnx_policy import OnnxPolicy
from racer.entries.package import read_entry, save_entry
from racer.entries.sandbox import SandboxedPolicy
from racer.errors import ConfigError, EntryError
from racer.evaluation import (
    Driver,
    evaluate_alone,
    evaluate_entries,
    evaluate_together,
    make_race_rules,
)
from racer.sensors.config import StateConfig
from racer.sensors.state_sensor import STATE_SIZE
from tests.helpers.entries import CONTINUOUS, FIELDS, POLICY, STATE, entry_of
from tests.helpers.graphs import counting, steady

SIZE = 3
COUNTING = entry_of(counting(SIZE), hidden_state_size=SIZE)
SOME_STATE = np.linspace(-1, 1, STATE_SIZE, dtype=np.float32)[None]
SHORT = make_race_rules(1, time_limit=0.3)
COUNT = [0.0625, 0.125, 0.1875, 0.25]


def test_a_recurrent_policy_remembers_until_it_is_reset_in_a_sandbox_too():
    here = OnnxPolicy(COUNTING)
    with SandboxedPolicy(COUNTING) as boxed:
        for policy in (here, boxed):
            assert policy.hidden_state_size == SIZE
            for _ in range(2):
                counted = [policy(SOME_STATE)[0].tolist() for _ in range(4)]
                assert counted == np.transpose([COUNT, COUNT]).tolist()
                policy.reset()


def test_every_race_begins_without_memory_of_the_last():
    policy = OnnxPolicy(COUNTING)
    races = [evaluate_alone(policy, STATE, CONTINUOUS, "oval", SHORT) for _ in range(2)]
    for result in races:
        assert result.actions[:4, 0].tolist() == COUNT


def test_each_car_of_a_race_has_a_memory_of_its_own():
    for result in evaluate_entries([COUNTING, COUNTING], "oval", SHORT):
        assert result.actions[:4, 0].tolist() == COUNT


def test_two_cars_cannot_share_one_memory():
    driver = Driver(OnnxPolicy(COUNTING), STATE, CONTINUOUS)
    with pytest.raises(ConfigError, match="share one recurrent policy"):
        evaluate_together([driver, driver], "oval", SHORT)
    forgetful = Driver(OnnxPolicy(entry_of(steady())), STATE, CONTINUOUS)
    assert len(evaluate_together([forgetful, forgetful], "oval", SHORT)) == 2


def test_a_graph_without_the_hidden_state_of_its_manifest_is_refused(subtests):
    for policy, size, said in [
        (counting(SIZE), None, "graph's input is .*'hidden_state'"),
        (counting(SIZE), SIZE + 1, "graph's input is .*'hidden_state'"),
        (steady(), SIZE, "manifest asks for .*'hidden_state' float32 \\(1, 3\\)"),
        (counting(SIZE, kept_size=4), SIZE, "graph's output is .*'next_hidden_state'"),
    ]:
        with subtests.test(size=size), pytest.raises(EntryError, match=said) as caught:
            OnnxPolicy(entry_of(policy, hidden_state_size=size))
        assert caught.value.code == "signature"


def test_a_hidden_state_that_is_not_finite_ends_the_race():
    broken = entry_of(counting(SIZE, step=float("nan")), hidden_state_size=SIZE)
    with SandboxedPolicy(broken) as boxed:
        for policy in (OnnxPolicy(broken), boxed):
            with pytest.raises(EntryError, match="next_hidden_state is not finite") as caught:
                policy(SOME_STATE)
            assert caught.value.code == "run"


def test_the_size_of_the_hidden_state_is_in_the_package_of_recurrent_policies_alone(tmp_path):
    fields = {**FIELDS, "sensor": (StateConfig(),)}
    manifests = {}
    for name, size in (("plain", None), ("recurrent", SIZE)):
        path = tmp_path / f"{name}.entry.zip"
        graph = counting(SIZE) if size else POLICY
        save_entry(path, graph, **fields, hidden_state_size=size)
        with zipfile.ZipFile(path) as archive:
            manifests[name] = json.loads(archive.read("manifest.json"))
        assert read_entry(path).manifest.hidden_state_size == size
    plain, recurrent = manifests["plain"], manifests["recurrent"]
    assert (plain["schema_version"], recurrent["schema_version"]) == (2, 3)
    assert "hidden_state_size" not in plain
    assert list(recurrent["interface"]["inputs"]) == ["observation", "hidden_state"]
    assert list(recurrent["interface"]["output"]) == ["action", "next_hidden_state"]
    assert check_entry(read_entry(tmp_path / "recurrent.entry.zip")).answer_s > 0.0


def test_a_hidden_state_has_its_limits(tmp_path):
    for size in (0, -1, 65537):
        with pytest.raises(EntryError, match="hidden_state_size: Input should be"):
            save_entry(tmp_path / "e", POLICY, **FIELDS, hidden_state_size=size)


class Counter(nn.Module):
    """Counts steps, as `counting` does."""

    def forward(self, observation, hidden_state):
        more = hidden_state + 0.0625
        return more[:, :2] + 0.0 * observation[:, :2], more


@pytest.mark.slow
def test_a_recurrent_policy_trained_elsewhere_becomes_an_entry(tmp_path):
    (tmp_path / "counting.onnx").write_bytes(counting(SIZE))
    for policy in (tmp_path / "counting.onnx", Counter()):
        path = tmp_path / "counting.entry.zip"
        racer.write_entry(policy, path, sensor="state", hidden_state_size=SIZE)
        (result,) = evaluate_entries([read_entry(path)], "oval", SHORT)
        assert result.actions[:4, 0].tolist() == COUNT


def test_a_module_that_returns_no_hidden_state_is_told_what_is_expected(tmp_path):
    said = r"returns \(float32 \(1, 2\), float32 \(1, 3\)\); expected is a pair: .*float32 \(1, 4\)"
    with pytest.raises(EntryError, match=said):
        racer.write_entry(Counting3(), tmp_path / "e", sensor="state", hidden_state_size=4)
    assert list(tmp_path.iterdir()) == []


class Counting3(nn.Module):
    """Returns a hidden state of three numbers, whatever it is given."""

    def forward(self, observation, hidden_state):
        return observation[:, :2], hidden_state[:, :3]
