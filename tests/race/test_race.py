"""Laps, clocks and endings, with a car that is moved by hand."""

import numpy as np
import pytest

from racer.car.spec import deepracer
from racer.race import Ending, Race, RaceConfig
from racer.track import Track
from racer.world import CONTROL_RATE_HZ, CarState, Contact

RADIUS = 3.0
SPEC = deepracer()
PERIOD = 1.0 / CONTROL_RATE_HZ
NOTHING = np.zeros(1, dtype=int)


def ring(radius=RADIUS, points=720):
    angle = np.arange(points) * 2 * np.pi / points
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Track("ring", "", radius * circle, (radius - 0.4) * circle, (radius + 0.4) * circle)


def state_at(angle, radius=RADIUS, up=1.0):
    """A car on the ring at an angle, heading along it."""
    yaw = angle + np.pi / 2
    body = np.zeros((1, 13))
    body[0, :3] = radius * np.cos(angle), radius * np.sin(angle), 0.05
    body[0, 3:7] = 0.0, 0.0, np.sin(yaw / 2), np.cos(yaw / 2)
    if up < 0:
        body[0, 3:7] = 1.0, 0.0, 0.0, 0.0
    return CarState.of(body, np.zeros(1), np.zeros((1, 2)))


@pytest.fixture
def build():
    races = []

    def make(n=1, track=None, is_together=False, rate=CONTROL_RATE_HZ, **config):
        rules = RaceConfig(**config)
        races.append(Race(rules, [track or ring()], SPEC, n, is_together=is_together, rate=rate))
        return races[-1]

    yield make
    for race in races:
        race.world.close()


@pytest.fixture
def race_on_a_ring(build):
    def make(**config):
        race = build(**{"start": "line"} | config)
        race.start(np.array([0]), generators(1))
        return race

    return make


def generators(n, seed=0):
    return [np.random.default_rng(seed + k) for k in range(n)]


def drive(race, speed, steps, radius=RADIUS, angle=0.0, period=PERIOD):
    for _ in range(steps):
        angle += speed * period / radius
        race.update(state_at(angle, radius), NOTHING)
        if race.ending[0] != Ending.RUNNING:
            break
    return angle


@pytest.mark.parametrize("rate", [5, 15, 50, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize("speed", [0.73, 1.9, 3.99])
def test_the_lap_time_of_a_known_speed_is_right_to_a_millisecond(speed, rate, build):
    race = build(laps=2, start="line", rate=rate)
    race.start(np.array([0]), generators(1))
    drive(race, speed, 20_000, period=1.0 / rate)
    assert race.ending[0] == Ending.LAPS_COMPLETE
    lap = 2 * np.pi * RADIUS / speed
    assert race.lap_times[0] == pytest.approx([lap, lap], abs=1e-3)
    thirds = np.array(race.sector_times[0])
    assert thirds == pytest.approx(np.full((2, 3), lap / 3), abs=1e-3)
    assert thirds.sum(axis=1) == pytest.approx(race.lap_times[0], abs=1e-9)


def test_a_sector_counts_once_however_often_its_end_is_crossed(race_on_a_ring):
    race = race_on_a_ring(time_limit=200.0)
    third = 2 * np.pi / 3
    drive(race, 2.0, 45)
    for angle in [third + 0.1, third - 0.1] * 20:
        race.update(state_at(angle), NOTHING)
    assert [len(times) for times in race.sector_times[0]] == [1]


def test_a_shortcut_across_the_inside_gains_no_lap_and_is_a_fault(race_on_a_ring):
    race = race_on_a_ring(faults="reset", off_track_penalty=3.0)
    angle = drive(race, 2.0, 5)
    for share in np.linspace(0.0, 1.0, 30):
        chord = (1 - share) * np.array([np.cos(angle), np.sin(angle)]) + share * np.array([-1, 0])
        radius = float(np.hypot(*chord)) * RADIUS
        race.update(state_at(float(np.arctan2(chord[1], chord[0])), radius), NOTHING)
        race.reset_to_track(generators(1))
        if race.resets[0]:
            break
    assert race.off_tracks[0] == 1
    assert race.progress[0] < 30.0
    assert race.time[0] > 3.0


def test_a_lap_needs_the_whole_way_round_and_no_more(race_on_a_ring):
    race = race_on_a_ring()
    per_step = 1.0 * PERIOD / RADIUS
    steps = int(2 * np.pi / per_step)
    drive(race, 1.0, steps)
    assert race.ending[0] == Ending.RUNNING
    assert race.progress[0] == pytest.approx(100.0, abs=100.0 / steps)
    drive(race, 1.0, 1, angle=steps * per_step)
    assert race.ending[0] == Ending.LAPS_COMPLETE


def test_crossing_the_line_to_and_fro_counts_no_lap(race_on_a_ring):
    race = race_on_a_ring(time_limit=100.0)
    for angle in [0.1, -0.1] * 40:
        race.update(state_at(angle), NOTHING)
    assert race.laps[0] == 0
    assert abs(race.progress[0]) < 5.0


def test_driving_backwards_is_reversed_after_fifteen_steps_and_earns_no_progress(race_on_a_ring):
    race = race_on_a_ring()
    drive(race, -1.0, 14)
    assert race.ending[0] == Ending.RUNNING
    drive(race, -1.0, 1, angle=-14 * PERIOD / RADIUS)
    assert race.ending[0] == Ending.REVERSED
    assert race.progress[0] < 0.0


def test_standing_still_is_immobilised_after_fifteen_steps(race_on_a_ring):
    race = race_on_a_ring()
    drive(race, 0.0, 14)
    assert race.ending[0] == Ending.RUNNING
    drive(race, 0.0, 1)
    assert race.ending[0] == Ending.IMMOBILISED


def test_off_track_is_when_no_wheel_is_on_the_road(race_on_a_ring):
    race = race_on_a_ring()
    race.update(state_at(0.05, RADIUS + 0.4 + 0.07), NOTHING)
    assert race.wheels_on_road[0] == 2
    assert race.ending[0] == Ending.RUNNING
    race.update(state_at(0.1, RADIUS + 0.4 + 0.09), NOTHING)
    assert race.wheels_on_road[0] == 0
    assert race.ending[0] == Ending.OFF_TRACK
    assert race.off_tracks[0] == 1


def test_a_car_on_its_roof_has_crashed(race_on_a_ring):
    race = race_on_a_ring()
    race.update(state_at(0.05, up=-1.0), NOTHING)
    assert race.ending[0] == Ending.CRASHED


def test_time_up_comes_at_the_limit_and_only_truncates(race_on_a_ring):
    race = race_on_a_ring(time_limit=2.0)
    drive(race, 1.0, 29)
    assert race.ending[0] == Ending.RUNNING
    drive(race, 1.0, 1, angle=29 * PERIOD / RADIUS)
    assert race.ending[0] == Ending.TIME_UP


def test_a_lap_that_ends_with_the_time_still_counts(race_on_a_ring):
    race = race_on_a_ring(time_limit=np.ceil(2 * np.pi * RADIUS / 2.0 / PERIOD) * PERIOD)
    drive(race, 2.0, 1000)
    assert race.ending[0] == Ending.LAPS_COMPLETE


def test_leaving_the_road_in_a_race_costs_the_penalty_and_goes_on_from_there(race_on_a_ring):
    race = race_on_a_ring(faults="reset", off_track_penalty=3.0, laps=1)
    angle = drive(race, 2.0, 30)
    race.update(state_at(angle, RADIUS + 1.0), NOTHING)
    race.reset_to_track(generators(1))
    xy, yaw = race.world.state.xy, race.world.state.yaw
    lane = RADIUS + 0.2  # The right lane is the nearer one for a car that left to the outside.
    assert np.allclose(xy, [[lane * np.cos(angle), lane * np.sin(angle)]], atol=0.02)
    assert np.allclose(np.cos(yaw - angle - np.pi / 2), 1.0, atol=1e-4)
    drive(race, 2.0, 1000, angle=angle)
    assert race.ending[0] == Ending.LAPS_COMPLETE
    assert (race.off_tracks[0], race.resets[0]) == (1, 1)
    stopped = PERIOD
    assert race.lap_times[0][0] == pytest.approx(np.pi * RADIUS + 3.0 + stopped, abs=0.02)


@pytest.mark.parametrize(
    ("speed", "faults", "steps"), [(0.0, "off_tracks", 15), (-1.0, "off_tracks", 15)]
)
def test_in_a_race_standing_and_driving_backwards_cost_a_penalty_too(
    race_on_a_ring, speed, faults, steps
):
    race = race_on_a_ring(faults="reset", off_track_penalty=2.0)
    drive(race, speed, steps)
    race.reset_to_track(generators(1))
    assert race.ending[0] == Ending.RUNNING
    assert (race.resets[0], getattr(race, faults)[0]) == (1, 0)
    assert race.time[0] == pytest.approx(steps * PERIOD + 2.0)


def test_progress_is_that_of_the_lap_and_a_hundred_where_it_ends(race_on_a_ring):
    race = race_on_a_ring(laps=2)
    per_step, angle, seen = 2.0 * PERIOD / RADIUS, 0.0, []
    while race.ending[0] == Ending.RUNNING:
        angle += per_step
        race.update(state_at(angle), NOTHING)
        seen.append(float(race.progress[0]))
    ends = [k for k, value in enumerate(seen) if value == 100.0]
    assert len(ends) == 2
    assert 0.0 < seen[ends[0] + 1] < 2.5
    assert seen[ends[0] + 1] == pytest.approx(100 * ((ends[0] + 2) * per_step / 2 / np.pi - 1))


def test_a_random_start_is_on_the_road_and_the_seed_s(build):
    race = build(50)
    cars = np.arange(50)
    race.start(cars, generators(50))
    xy, yaw = race.world.state.xy.copy(), race.world.state.yaw
    race.start(cars, generators(50))
    assert np.array_equal(xy, race.world.state.xy)
    assert ring().on_road(xy).all()
    assert np.ptp(ring().locate(xy).s) > 10.0
    assert (np.cos(yaw - np.arctan2(xy[:, 1], xy[:, 0]) - np.pi / 2) > 0.99).all()


def test_round_robin_starts_lie_a_twentieth_of_the_lap_apart(build):
    race = build(2, start="round_robin", start_offset=0.5)
    length = race.tracks[0].length
    for turn in (0, 1, 2):
        race.start(np.array([1]), generators(2))
        assert race.place.s[1] == pytest.approx((0.5 + 0.05 * turn) * length, abs=1e-6)
    race.rewind(1)
    race.start(np.array([1]), generators(2))
    assert race.place.s[1] == pytest.approx(0.5 * length, abs=1e-6)


def test_in_reverse_the_car_faces_and_is_timed_the_other_way(build):
    race = build(1, start="line", direction="reverse")
    race.start(np.array([0]), generators(1))
    assert race.world.state.yaw[0] == pytest.approx(-np.pi / 2, abs=0.02)
    angle = 0.0
    for _ in range(20):
        angle -= 1.0 * PERIOD / RADIUS
        race.update(state_at(angle), NOTHING)
    assert race.distance[0] == pytest.approx(20 * PERIOD, rel=1e-3)
    race.update(state_at(angle, RADIUS - 0.1), NOTHING)
    assert race.place.d[0] == pytest.approx(-0.1, abs=1e-3)


def test_directions_alternate_where_asked(build):
    race = build(3, direction="alternate")
    for turn in (False, True, False):
        race.start(np.array([2]), generators(3))
        assert race.is_reversed.tolist() == [False, False, turn]


def test_a_race_against_the_clock_has_no_objects(build):
    assert build().world.boxes.shape == (1, 0, 10)


@pytest.mark.parametrize("seed", range(5))
def test_random_boxes_stand_on_a_lane_ahead_of_the_start_and_far_enough_apart(build, seed):
    race = build(4, kind="object_avoidance", obstacles={"count": 6})
    race.start(np.arange(4), generators(4, seed))
    length = race.tracks[0].length
    ahead = (race.objects.s - race.place.s[:, None]) % length / length
    assert ahead.min() > 0.069
    assert ahead.max() < 0.901
    assert np.diff(np.sort(ahead, axis=1), axis=1).min() > 0.1299
    assert np.abs(race.objects.d) == pytest.approx(0.2, abs=1e-6)
    where = race.tracks[0].locate(race.objects.pose[..., :2])
    assert where.d == pytest.approx(race.objects.d, abs=1e-3)
    assert race.world.boxes[..., 7:] == pytest.approx(np.tile([0.2, 0.15, 0.125], (4, 6, 1)))


def test_fixed_boxes_stay_where_they_were_asked_and_starts_keep_clear_of_them(build):
    places = [(0.0, "left"), (0.5, "right")]
    for direction, side in (("forward", 1.0), ("reverse", -1.0)):
        race = build(
            1, kind="object_avoidance", start="line", direction=direction,
            obstacles={"places": places},
        )  # fmt: skip
        race.start(np.array([0]), generators(1))
        x = race.objects.pose[0, :, 0]
        assert x == pytest.approx([RADIUS - 0.2, -RADIUS - 0.2], abs=0.01)
        assert race.objects.d[0] == pytest.approx([0.2 * side, -0.2 * side], abs=1e-6)
        assert race.place.s[0] == pytest.approx(race.tracks[0].length - 1.0, abs=1e-6)


def test_a_touch_ends_the_episode_and_in_a_race_costs_the_collision_penalty(race_on_a_ring):
    race = race_on_a_ring()
    race.update(state_at(0.05), np.array([Contact.WALL]))
    assert race.ending[0] == Ending.CRASHED
    race = race_on_a_ring(faults="reset", collision_penalty=5.0)
    race.update(state_at(0.05), np.array([Contact.BOX]))
    race.reset_to_track(generators(1))
    assert (race.ending[0], race.collisions[0], race.off_tracks[0]) == (Ending.RUNNING, 1, 0)
    assert race.time[0] == pytest.approx(5.0 + PERIOD)


def test_a_car_that_hit_a_box_goes_on_a_metre_behind_it(build):
    race = build(
        1, kind="object_avoidance", start="line", faults="reset",
        obstacles={"places": [(0.25, "left")]},
    )  # fmt: skip
    race.start(np.array([0]), generators(1))
    touching = np.pi / 2 - 0.3 / RADIUS
    angle = drive(race, touching * RADIUS / PERIOD / 20, 20)
    assert angle == pytest.approx(touching)
    race.update(state_at(touching, RADIUS - 0.2), np.array([Contact.BOX]))
    distance = race.distance[0]
    race.reset_to_track(generators(1))
    assert race.place.s[0] == pytest.approx(race.objects.s[0, 0] - 1.0, abs=0.01)
    assert race.distance[0] == pytest.approx(distance - 0.7, abs=0.02)
    assert race.place.d[0] == pytest.approx(0.2, abs=0.01)


def test_bots_follow_their_lane_at_their_speed(build):
    race = build(1, kind="head_to_bot", bots={"speed": 1.5, "changes_lanes": False})
    race.start(np.array([0]), generators(1))
    before, lane = race.objects.s.copy(), race.objects.d.copy()
    still = np.zeros((1, 2))
    for _ in range(10):
        race.step(still, generators(1))
    driven = (race.objects.s - before) % race.tracks[0].length
    assert driven == pytest.approx(1.5 * 10 * PERIOD)
    assert race.objects.d == pytest.approx(lane, abs=1e-6)
    assert race.world.boxes[0, :, :2] == pytest.approx(race.objects.pose[0, :, :2])
    spot = race.tracks[0].locate(race.objects.pose[0, :, :2])
    assert spot.s == pytest.approx(race.objects.s[0], rel=0.02)


def test_bots_change_lanes_every_few_seconds_over_a_metre(build):
    race = build(1, kind="head_to_bot", bots={"count": 1, "speed": 1.0, "every": [3.0, 5.0]})
    chance = generators(1)
    race.start(np.array([0]), chance)
    lanes = []
    for _ in range(round(20 / PERIOD)):
        race.objects.advance(PERIOD, chance, np.array([0]))
        lanes.append(float(race.objects.d[0, 0]))
    lanes = np.array(lanes)
    assert np.abs(lanes).max() == pytest.approx(0.2, abs=1e-6)
    between = np.abs(lanes) < 0.1999
    starts = np.flatnonzero(np.diff(between.astype(int)) == 1)
    ends = np.flatnonzero(np.diff(between.astype(int)) == -1)
    assert 3 <= len(starts) <= 6
    assert (np.diff(starts) * PERIOD > 2.9).all()
    assert (np.diff(starts) * PERIOD < 5.2).all()
    assert ends[0] - starts[0] == pytest.approx(1.0 / PERIOD, abs=2)
    assert np.abs(np.diff(lanes)).max() < 0.05


def test_bots_drive_on_while_a_car_waits_out_its_penalty(race_on_a_ring):
    race = race_on_a_ring(
        kind="head_to_bot", faults="reset", off_track_penalty=4.0, bots={"speed": 0.5}
    )
    before = race.objects.s.copy()
    race.update(state_at(0.01, RADIUS + 1.0), NOTHING)
    race.reset_to_track(generators(1))
    assert (race.objects.s - before) % race.tracks[0].length == pytest.approx(2.0)


def test_cars_together_start_from_a_grid_on_alternating_lanes(build):
    race = build(4, is_together=True, start="line")
    race.start(np.arange(4), generators(4))
    length = race.tracks[0].length
    assert (-race.place.s % length) == pytest.approx([0.0, 0.75, 1.5, 2.25], abs=0.01)
    assert race.place.d == pytest.approx([0.2, -0.2, 0.2, -0.2], abs=0.01)
    assert race.distance == pytest.approx([0.0, -0.75, -1.5, -2.25])


def test_of_two_cars_that_meet_the_hind_one_waits_off_the_road_and_comes_back(build):
    race = build(2, is_together=True, start="line", faults="reset", collision_penalty=2.0)
    chance = generators(2)
    race.start(np.arange(2), chance)
    race.world.reset(np.arange(2), np.array([[3.0, 0.4], [3.0, 0.0]]), np.full(2, np.pi / 2))
    commands = np.array([[0.0, 0.0], [0.0, 2.0]])
    while not race.collisions.any():
        race.step(commands, chance)
        race.reset_to_track(chance)
        assert race.steps[0] < 30
    assert race.collisions.tolist() == [0, 1]
    waited = 0
    while race.is_waiting[1]:
        assert (race.world.boxes[0, 1, 7:] == 0.0).all(), "nobody sees it"
        assert race.world.state.body[1, 2] == pytest.approx(race.world.spec.mass_height)
        race.step(np.array([[0.3, 1.0], [0.0, 2.0]]), chance)
        race.reset_to_track(chance)
        waited += 1
    assert waited * PERIOD == pytest.approx(2.0, abs=2 * PERIOD)
    assert race.resets[1] == 1
    assert race.tracks[0].on_road(race.world.state.xy[1])
    assert race.ending[1] == Ending.RUNNING


def test_a_car_that_has_finished_keeps_its_result_and_leaves_the_road(build):
    race = build(2, is_together=True, start="line", faults="reset", time_limit=0.5)
    chance = generators(2)
    race.start(np.arange(2), chance)
    for _ in range(12):
        race.step(np.tile([0.0, 0.5], (2, 1)), chance)
        race.reset_to_track(chance)
    assert race.ending.tolist() == [Ending.TIME_UP] * 2
    assert race.time == pytest.approx([0.5, 0.5], abs=PERIOD)
    assert (race.world.boxes[..., 7:] == 0.0).all()
    assert not race.is_waiting.any(), "its race is over"
