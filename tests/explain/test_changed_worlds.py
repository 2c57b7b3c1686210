"""A lap is rendered again exactly, and a changed world is rendered as it would be."""

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.errors import ConfigError
from racer.evaluation import make_race_rules
from racer.explain.entry_policy import EntryPolicy
from racer.explain.picture_parts import PICTURE_PARTS, part_shares, picture_parts
from racer.explain.recorded_lap import record_lap
from racer.explain.scene_changes import (
    DIMMED_LIGHT,
    change_effect,
    check_changes,
    possible_changes,
    render_lap,
)
from racer.race import RaceConfig
from racer.sensors import CameraConfig, LidarConfig, Sensors, StateConfig
from racer.sensors.config import SectorLidarConfig, StereoConfig
from tests.helpers.entries import entry_of
from tests.helpers.graphs import counting

CAMERA = CameraConfig(width=40, height=30)


class Wheel:
    """A policy that steers gently to the left, whatever it sees."""

    name, hidden_state_size, has_scores = "wheel", 0, True

    def __init__(self, *sensor):
        self.sensor: Sensors = sensor
        self.actions = ActionSpace(speed=(1.0, 1.5))

    def answer(self, inputs, hidden_state):
        from racer.explain.policy_output import PolicyOutput

        n = len(next(iter(inputs.values())))
        action = np.tile(np.array([[0.1, 0.0]], np.float32), (n, 1))
        return PolicyOutput(action, action, np.zeros((n, 2)), hidden_state)

    def with_random_weights(self, seed):
        return self

    def close(self):
        pass


def lap_of(*sensor, seed=0, seconds=2.0, **race):
    rules = make_race_rules(1, time_limit=seconds, like=RaceConfig(**race))
    return record_lap(Wheel(*sensor), "bowtie", rules, seed)


@pytest.fixture(scope="module")
def camera_lap():
    return lap_of(CAMERA)


def test_an_unchanged_lap_is_rendered_byte_for_byte(subtests):
    for name, lap in {
        "stacked camera": lap_of(CameraConfig(width=24, height=18, stack=3, colour="rgb")),
        "noisy lidar": lap_of(LidarConfig(noise=0.05, rate=7.0, clip=4.0), seed=3, walls=True),
        "two sensors": lap_of(StereoConfig(width=24, height=18), SectorLidarConfig()),
        "state, reverse": lap_of(StateConfig(), direction="reverse"),
        "boxes": lap_of(CameraConfig(width=24, height=18), kind="object_avoidance", seed=5),
    }.items():
        with subtests.test(lap=name):
            again = render_lap(lap)
            assert again.keys() == lap.observations.keys()
            for key, seen in lap.observations.items():
                assert again[key].tobytes() == seen.tobytes()


def test_dimmed_light_scales_every_pixel(camera_lap):
    before = camera_lap.observations["observation"].astype(float)
    after = render_lap(camera_lap, "light")["observation"].astype(float)
    np.testing.assert_allclose(after, DIMMED_LIGHT * before, atol=1.5)


def test_a_moved_line_changes_the_pixels_of_the_line_alone(camera_lap):
    before = camera_lap.observations["observation"]
    after = render_lap(camera_lap, "line")["observation"]
    moved = (before != after)[..., 0]
    assert 0.0 < moved.mean() < 0.3
    parts = np.stack([picture_parts(camera_lap, CAMERA, k) for k in range(camera_lap.steps)])
    assert not moved[parts == PICTURE_PARTS.index("sky")].any()


def test_a_car_5_cm_to_the_left_sees_itself_there(subtests):
    lap = lap_of(StateConfig())
    before, after = lap.observations["observation"], render_lap(lap, "place")["observation"]
    half_width = before[:, 9]
    aside = (after[:, 6] - before[:, 6]) * half_width
    np.testing.assert_allclose(aside, 0.05 * before[:, 8], atol=0.003)
    with subtests.test("the beams to the left of a lidar between walls grow shorter"):
        wide = lap_of(LidarConfig(beams=4, span_deg=270.0, noise=0.0, clip=4.0), walls=True)
        moved = render_lap(wide, "place")["observation"] - wide.observations["observation"]
        assert np.median(moved[:, 1]) < 0.0 < np.median(moved[:, 2])  # 135 deg left, and right


def test_the_next_box_is_moved_and_no_other_one():
    lap = lap_of(CameraConfig(width=48, height=36), kind="object_avoidance", seed=5, seconds=3.0)
    assert possible_changes(lap) == ("line", "box", "light", "place")
    effect = change_effect(Wheel(*lap.sensor), lap, "box")
    assert effect.seen_share > 0.0
    assert effect.answer_share == 0.0
    moved = effect.observations["observation"] != lap.observations["observation"]
    assert moved.mean() < 0.5


def test_a_change_that_makes_no_sense_is_refused(camera_lap):
    with pytest.raises(ConfigError, match="object_avoidance"):
        check_changes(("box",), camera_lap)
    with pytest.raises(ConfigError, match="no camera"):
        check_changes(("light",), lap_of(StateConfig(), seconds=0.5))


def test_the_parts_of_a_picture_are_those_of_the_scene(camera_lap):
    parts = [picture_parts(camera_lap, CAMERA, k) for k in (0, 8)]
    shares = {name: area for name, _, area in part_shares([np.ones((30, 40))] * 2, parts)}
    assert {"road", "grass", "sky", "white lines"} <= set(shares)
    assert "walls" not in shares and "boxes and cars" not in shares
    assert sum(shares.values()) == pytest.approx(1.0)
    assert (parts[0][0] == PICTURE_PARTS.index("sky")).all()
    lap = lap_of(CAMERA, kind="object_avoidance", walls=True, seed=5)
    seen = np.unique([picture_parts(lap, CAMERA, k) for k in range(lap.steps)])
    assert {"walls", "boxes and cars"} <= {PICTURE_PARTS[k] for k in seen}


def test_a_recurrent_policy_is_given_what_it_remembered():
    policy = EntryPolicy(entry_of(counting(), hidden_state_size=3))
    lap = record_lap(policy, "bowtie", make_race_rules(1, time_limit=1.0))
    np.testing.assert_allclose(lap.hidden_state[:, 0], 0.0625 * np.arange(lap.steps))
    again = policy.answer(lap.observations, lap.hidden_state)
    policy.close()
    assert again.action.tobytes() == lap.output.action.tobytes()
