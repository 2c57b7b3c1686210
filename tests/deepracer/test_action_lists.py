"""Action spaces made from a grid or from a line."""

import json

import numpy as np
import pytest

from racer.assets.document import validate_document
from racer.car.action_space import ActionSpace
from racer.cli import main
from racer.deepracer.action_lists import action_grid, actions_from_line
from racer.deepracer.metadata import actions_as_json, read_action_space
from racer.deepracer.sim_trace import action_index, write_json
from racer.envs import EnvConfig
from racer.errors import ConfigError


def test_a_grid_has_each_angle_at_each_speed():
    space = action_grid((20.0, -20.0), (2.0, 1.0))
    assert space.choices == ((-20.0, 1.0), (20.0, 1.0), (-20.0, 2.0), (20.0, 2.0))


def test_the_actions_of_a_line_are_the_middles_of_its_clusters():
    rng = np.random.default_rng(0)
    wanted = np.array([[-25.0, 1.0], [0.0, 3.5], [15.0, 2.0]])
    driven = np.repeat(wanted, 200, axis=0) + rng.normal(0, [1.0, 0.05], (600, 2))
    space = actions_from_line(np.deg2rad(driven[:, 0]), driven[:, 1], 3)
    found = sorted(space.choices)
    assert np.allclose(found, wanted, atol=[0.4, 0.03])


@pytest.mark.parametrize("count", [1, 31, 5])
def test_more_actions_than_a_line_has_are_refused(count):
    with pytest.raises(ConfigError, match="2 to 30 are allowed"):
        actions_from_line(np.array([0.0, 0.1, 0.2]), np.array([1.0, 1.0, 2.0]), count)


def test_an_angle_beyond_the_lock_is_refused_in_one_sentence():
    with pytest.raises(ConfigError, match="steering must lie in -30 to 30 degrees"):
        action_grid((-40.0, 0.0), (1.0,))


@pytest.mark.parametrize(
    "space",
    [ActionSpace(kind="discrete"), ActionSpace(steering_deg=(-20.0, 25.0), speed=(0.7, 3.3))],
    ids=["discrete", "continuous"],
)
def test_a_space_survives_its_way_through_a_file_that_a_config_names(tmp_path, space):
    path = tmp_path / "model_metadata.json"
    write_json(path, actions_as_json(space))
    assert read_action_space(path) == space
    assert validate_document({"actions": str(path)}, EnvConfig, "test").actions == space


def test_a_command_finds_its_index():
    space = ActionSpace(kind="discrete")
    commands = space.command(np.arange(10))
    assert [action_index(space, *pair) for pair in commands.tolist()] == list(range(10))


def test_the_verb_shows_and_writes_a_grid(tmp_path, capsys):
    out = tmp_path / "model_metadata.json"
    main(["actions", "--steering", "-10", "10", "--speeds", "1.5", "--out", str(out)])
    assert "- [-10, 1.5]" in capsys.readouterr().out
    assert json.loads(out.read_text())["action_space"][1] == {
        "steering_angle": 10.0,
        "speed": 1.5,
        "index": 1,
    }
