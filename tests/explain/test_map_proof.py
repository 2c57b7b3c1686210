"""The arithmetic of explanations, without a policy that runs."""

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.explain.attribution import number_groups, occlusion_windows, rise_masks
from racer.explain.map_proof import MapProof, map_similarity
from racer.explain.overlay import map_scale, newest_frame, overlaid
from racer.explain.picture_parts import part_shares
from racer.explain.policy_output import PolicyOutput, mean_command, probabilities, readings
from racer.sensors import CameraConfig, LidarConfig, StateConfig
from racer.sensors.config import DiscretizedSectorLidarConfig


def test_groups_hold_every_number_of_a_sensor_once(subtests):
    for sensor, count in (
        (StateConfig(stack=2), 26),
        (LidarConfig(beams=9), 9),
        (DiscretizedSectorLidarConfig(stack=3), 8),
    ):
        with subtests.test(sensor=sensor.kind):
            groups = number_groups(sensor)
            assert len(groups) == count
            indices = np.concatenate([group.indices for group in groups])
            assert sorted(indices) == list(range(sensor.space.shape[0]))
    # The lidar looks back: its middle beam is behind, its ends are left and right of ahead.
    names = [group.name for group in number_groups(LidarConfig(beams=3, span_deg=180.0))]
    assert names == ["90 deg left", "180 deg right", "90 deg right"]


def test_windows_cover_a_frame_and_masks_stay_between_0_and_1():
    covered = np.zeros((24, 32), int)
    for window in occlusion_windows(24, 32):
        covered[window] += 1
    assert covered.min() >= 1
    masks = rise_masks(24, 32, 5)
    assert masks.min() >= 0.0 and masks.max() <= 1.0
    assert masks.mean() == pytest.approx(0.5, abs=0.05)
    assert rise_masks(24, 32, 5).tobytes() == masks.tobytes()


def test_maps_are_alike_only_beyond_what_both_follow_anyway():
    apart, same = (np.random.default_rng(k).random((24, 32)) for k in (0, 1))
    assert map_similarity(same, same, apart) == 1.0
    assert map_similarity(same, same**3, apart) == pytest.approx(1.0)
    assert map_similarity(apart, same, np.random.default_rng(2).random((24, 32))) < 0.2
    first, second = (np.random.default_rng(k).normal(0.0, 0.02, (24, 32)) + apart for k in (4, 5))
    assert map_similarity(first, second, apart) < 0.2
    assert np.isnan(map_similarity(np.zeros((24, 32)), same, apart))


def proof(similarity=0.1, insertion=0.8, deletion=0.1, is_flat=False):
    return MapProof(deletion, insertion, 0.5, 0.5, similarity, is_flat, np.zeros((4, 13)))


def test_a_map_fails_that_is_empty_or_like_random_or_no_better_than_chance():
    assert proof().holds
    assert "empty" in proof(is_flat=True).verdict
    assert "random weights" in proof(similarity=0.9).verdict
    assert "not scored" in proof(similarity=float("nan")).verdict
    assert not proof(similarity=float("nan")).holds
    assert "random order" in proof(insertion=0.4, deletion=0.6).verdict
    assert "not scored" in proof(deletion=float("nan")).verdict


def test_readings_are_shares_of_the_ranges():
    actions = ActionSpace(steering_deg=(-10.0, 30.0), speed=(1.0, 2.0))
    scores = np.array([[-1.0, 1.0], [1.0, 3.0]])
    output = PolicyOutput(scores.clip(-1, 1), scores, np.zeros((2, 2)), np.zeros((2, 0)))
    np.testing.assert_allclose(readings(output, actions), [[0.0, 1.0], [1.0, 2.0]])
    one_speed = ActionSpace(kind="discrete", choices=((-20.0, 1.0), (20.0, 1.0)))
    shares = np.array([[0.25, 0.75]])
    output = PolicyOutput(np.array([1]), shares, np.zeros((1, 2)), np.zeros((1, 0)))
    assert (probabilities(shares) == shares).all()
    np.testing.assert_allclose(np.rad2deg(mean_command(output, one_speed)[0, 0]), 10.0)
    np.testing.assert_allclose(readings(output, one_speed), [[0.75, 0.0]])


def test_shares_of_parts_count_each_map_alike():
    parts = [np.array([[0, 2]]), np.array([[0, 2]])]
    found = part_shares([np.array([[3.0, 1.0]]), np.array([[100.0, 300.0]])], parts)
    assert found == [
        ("white lines", pytest.approx(0.5), 0.5),
        ("road", pytest.approx(0.5), 0.5),
    ]


def test_an_overlay_keeps_pixels_of_no_importance():
    frame = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    importance = np.zeros((4, 6))
    importance[1, 2] = 5.0
    shown = overlaid(frame, importance, map_scale([importance]))
    assert (np.argwhere((shown != frame).any(axis=2)) == [[1, 2]]).all()
    stacked = np.concatenate([frame, frame + 1], axis=2)
    newest = newest_frame(CameraConfig(width=8, height=8, colour="rgb", stack=2), stacked)
    assert (newest == frame + 1).all()
