"""Under every shipped reward a clean lap earns the most, and a faster one no less."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from racer import assets
from racer.car.spec import deepracer
from racer.cli import main
from racer.reward import ParamsBuilder, RewardSource, StepFacts
from racer.reward.params import FRONT_OFFSET_M
from racer.reward.reward_file import find_reward
from racer.track import load_track

RATE = 15
ON_PURPOSE = {"exploitable"}
"""Ships as a bad example, which `racer reward check` must see through."""
NAMES = sorted(
    {path.stem for path in (assets.assets_root() / "configs/rewards").glob("*.py")} - ON_PURPOSE
)
TRACK = load_track("bowtie")
BUILDER = ParamsBuilder(TRACK, deepracer())
REWARDS = {name: RewardSource.find(name) for name in NAMES}


def pay(
    name: str,
    way: np.ndarray,
    aside: np.ndarray | float = 0.0,
    steering: np.ndarray | float = 0.0,
    speed: float = 4.0,
    function: Callable | None = None,
    is_crashed: bool = False,
) -> float:
    """Sum of the rewards of an episode.

    Args:
        name: A shipped reward.
        way: Way made good since the start at the end of each step [m], (T,).
        aside: Distance left of the centre line [m], (T,); beyond the border is off track.
        steering: Commanded angle [rad], (T,).
        speed: Commanded speed [m/s].
        function: The instance of the reward that the last episode was driven with.
        is_crashed: Whether the last step was a crash.
    """
    t = len(way)
    aside, steering = np.broadcast_to(aside, t), np.broadcast_to(steering, t)
    centre, yaw = TRACK.at(way)
    front = centre + aside[:, None] * np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
    segment = TRACK.locate(centre).segment
    half = TRACK.width[segment] / 2
    steps = np.arange(1, t + 1)
    # As `Race.progress`: a new lap counts from 0 in the step after the one that completes a lap.
    laps_before = np.floor(np.maximum(np.append(0.0, way[:-1]), 0.0) / TRACK.length)
    progress = np.minimum(100 * (way / TRACK.length - laps_before), 100.0)
    facts = StepFacts(
        xy=front - FRONT_OFFSET_M * np.stack([np.cos(yaw), np.sin(yaw)], axis=1),
        yaw=yaw,
        command=np.stack([steering, np.full(t, speed)], axis=1),
        segment=segment,
        progress=progress,
        steps=steps,
        all_wheels_on_track=np.abs(aside) < half - 0.1,
        is_offtrack=np.abs(aside) > half + 0.1,
        is_crashed=(steps == t) & is_crashed,
        time=steps / RATE,
    )
    function = function or REWARDS[name].functions(1)[0]
    return sum(REWARDS[name].call(function, params) for params in BUILDER.build_all(facts))


def lap(speed: float, metres: float = TRACK.length) -> np.ndarray:
    """The way at a constant speed until `metres` are made good."""
    return speed / RATE * np.arange(1, np.ceil(metres * RATE / speed) + 1)


def shuttle(forwards: float, backwards: float, cycles: int) -> np.ndarray:
    """The way of a car that goes 2 m forwards and back again at these speeds, over and over."""
    there, back = round(2.0 * RATE / forwards), round(2.0 * RATE / backwards)
    cycle = np.repeat([2.0 / there, -2.0 / back], [there, back])
    return np.cumsum(np.tile(cycle, cycles))


def clean_lap(name: str) -> float:
    return pay(name, lap(1.0))


def test_a_clean_lap_earns_more_than_nothing_and_at_most_some_tens(subtests):
    for name, speed in product(NAMES, [0.5, 1.0, 2.0, 3.0]):
        with subtests.test(name=name, speed=speed):
            assert 0.0 < pay(name, lap(speed)) < 50.0


def test_a_good_lap_earns_tens(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            assert pay(name, lap(2.0)) > 10.0


def test_a_faster_clean_lap_earns_more(subtests):
    for name in ["progress", "speed"]:
        with subtests.test(name=name):
            totals = [pay(name, lap(speed)) for speed in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)]
            assert totals == sorted(set(totals))


def test_a_second_lap_earns_as_much_as_the_first(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            two = pay(name, lap(2.0, 2 * TRACK.length))
            assert two == pytest.approx(2 * pay(name, lap(2.0)), rel=0.02)


def test_a_faster_clean_lap_earns_no_less_on_the_centre_line():
    assert pay("centerline", lap(3.0)) >= pay("centerline", lap(1.0)) - 1e-9


def test_standing_still_earns_nothing_whatever_speed_is_commanded(subtests):
    for name, steps in product(NAMES, [15, 60 * RATE]):
        with subtests.test(name=name, steps=steps):
            assert pay(name, np.zeros(steps), speed=4.0) <= 0.0 < clean_lap(name)


def test_driving_backwards_until_the_end_earns_less_than_nothing(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            assert pay(name, -lap(1.0)[:15]) < 0.0


def test_leaving_the_road_at_once_earns_less_than_nothing(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            way = lap(1.0)[:6]
            assert pay(name, way, aside=np.linspace(0.1, 0.6, 6)) < 0.0


def test_leaving_the_road_early_does_not_beat_driving_on_slowly(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            way = lap(4.0, 3.0)
            aside = np.where(np.arange(len(way)) == len(way) - 1, 1.0, 0.0)
            assert pay(name, way, aside=aside) < clean_lap(name)


def test_the_metres_of_a_cut_across_the_infield_are_not_paid(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            honest = pay(name, lap(2.0)[:30])
            way = np.append(lap(2.0)[:30], lap(2.0)[29] + 5.0)
            cut = pay(name, way, aside=np.append(np.zeros(30), 1.0))
            assert cut <= honest - 1.0


def test_a_crash_costs(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            assert pay(name, lap(2.0)[:30], is_crashed=True) < pay(name, lap(2.0)[:29])


def test_shuttling_to_and_fro_never_earns_anything(subtests):
    for name, (forwards, backwards) in product(NAMES, [(4.0, 0.5), (1.0, 1.0), (1.0, 4.0)]):
        with subtests.test(name=name, forwards=forwards, backwards=backwards):
            totals = [pay(name, shuttle(forwards, backwards, cycles)) for cycles in (1, 5, 10)]
            assert max(totals) < 1e-9
            assert totals[2] <= totals[1] + 1e-9 <= totals[0] + 2e-9


def test_coming_back_along_the_border_earns_no_more_than_along_the_centre(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            way = shuttle(1.0, 1.0, 5)
            aside = np.where(np.diff(way, prepend=0.0) > 0.0, 0.0, 0.4)
            assert pay(name, way, aside) < 1e-9


def test_weaving_earns_less_than_a_clean_lap_at_the_same_speed_over_the_ground(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            steps = np.arange(len(lap(1.0)) * 2)
            aside = 0.3 * np.sin(steps / 4)
            sideways = np.abs(np.diff(aside, prepend=0.0)) * RATE
            way = np.cumsum(np.sqrt(np.maximum(1.5**2 - sideways**2, 0.01))) / RATE
            done = int(np.searchsorted(way, TRACK.length)) + 1
            steering = np.deg2rad(30) * np.sign(np.cos(steps / 4))
            assert pay(name, way[:done], aside[:done], steering[:done]) < pay(name, lap(1.5))


def test_a_restless_hand_earns_less_speed():
    way = lap(2.0)
    restless = np.deg2rad(15) * (-1.0) ** np.arange(len(way))
    assert pay("speed", way, steering=restless) < 0.8 * pay("speed", way)
    assert pay("speed", way, steering=np.deg2rad(15)) == pytest.approx(pay("speed", way))


def test_the_centre_earns_more_than_the_border():
    totals = [pay("centerline", lap(1.0), aside=aside) for aside in (0.0, 0.2, -0.3, 0.42)]
    assert totals == sorted(totals, reverse=True)


def test_an_episode_is_paid_the_same_after_another_one(subtests):
    for name in NAMES:
        with subtests.test(name=name):
            function = REWARDS[name].functions(1)[0]
            first = pay(name, lap(2.0), steering=0.1, function=function)
            pay(name, lap(3.0)[:40], steering=-0.2, function=function)
            assert pay(name, lap(2.0), steering=0.1, function=function) == first


def test_a_new_reward_is_a_copy_that_the_check_finds_and_that_writes_over_nothing(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    main(["reward", "new", "--like", "no_zigzag"])
    assert "next: racer reward check mine.py" in capsys.readouterr().out
    assert Path("mine.py").read_bytes() == find_reward("no_zigzag").read_bytes()
    assert RewardSource.find("mine.py").path == Path("mine.py")
    Path("mine.py").write_text("# of mine\n")
    for words, said in (
        ([], "mine.py: cannot be written: another file is there"),
        (["--out", "mine.txt"], "let its name end with .py"),
        (["--out", "none/mine.py"], "cannot be written: No such file"),
        (["--out", "other.py", "--like", "progres"], "shipped there: avoidance"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(["reward", "new", *words])
        assert stop.value.code == 2
        assert said in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["# of mine\n"]
