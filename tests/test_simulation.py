"""The one simulation loop: its order, its sensors, and all that drive by it."""

from collections.abc import Iterator

import numpy as np
import pytest

import racer
from racer.car.spec import deepracer
from racer.envs import RacerEnv
from racer.race import Ending, Race, RaceConfig
from racer.reward_check.probes import drive_probe, follow_at_speed
from racer.sensors import Sensors
from racer.sensors.config import CameraConfig, LidarConfig, StateConfig
from racer.simulation import Simulation
from racer.track import load_track

STATE: Sensors = (StateConfig(),)
LIDAR: Sensors = (LidarConfig(),)
BOTH: Sensors = (StateConfig(), CameraConfig(width=32, height=24))


@pytest.fixture
def simulate() -> Iterator:
    made = []

    def make(sensors: list[Sensors], rules: RaceConfig | None = None, **options) -> Simulation:
        track = load_track("bowtie")
        made.append(Simulation(rules or RaceConfig(), [track], deepracer(), sensors, **options))
        return made[-1]

    yield make
    for simulation in made:
        simulation.close()


def generators(n: int) -> list[np.random.Generator]:
    return [np.random.default_rng(i) for i in range(n)]


def drive(simulation: Simulation, n: int, steps: int = 20) -> None:
    chance = generators(n)
    simulation.start(np.arange(n), chance)
    for _ in range(steps):
        simulation.step(np.tile([0.1, 1.5], (n, 1)), chance)


def test_a_step_drives_then_rewards_then_returns_to_the_track_then_observes(simulate, monkeypatch):
    simulation, order = simulate([STATE]), []

    def noted(owner, name):
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: [order.append(name), real(*given)][1])

    noted(simulation.race, "step")
    noted(simulation.race, "reset_to_track")
    noted(simulation.suite_of(0), "observe")
    chance = generators(1)
    simulation.start(np.array([0]), chance)
    order.clear()
    simulation.step(np.array([[0.0, 1.0]]), chance, lambda: order.append("on_driven"))
    assert order == ["step", "on_driven", "reset_to_track", "observe"]


def test_cars_with_different_sensors_see_what_each_would_see_among_its_like(simulate):
    mixed = simulate([STATE, LIDAR, BOTH, STATE])
    drive(mixed, 4)
    for car, sensors in enumerate([STATE, LIDAR, BOTH, STATE]):
        alike = simulate([sensors] * 4)
        drive(alike, 4)
        own, other = mixed.observations_of(car), alike.observations_of(car)
        for name in own if isinstance(own, dict) else [None]:
            mine = own[name][car] if name else own[car]
            assert mine.tobytes() == (other[name][car] if name else other[car]).tobytes()
            assert mine.any()


def test_a_car_without_sensors_observes_nothing_and_drives(simulate):
    simulation = simulate([()])
    drive(simulation, 1)
    assert simulation.observations_of(0) == {}
    assert simulation.race.steps[0] == 20


@pytest.mark.parametrize("observes_ended", [True, False])
def test_a_car_that_has_ended_observes_only_where_that_is_asked_for(simulate, observes_ended):
    rules = RaceConfig(start="line", time_limit=0.2)
    simulation, seen = simulate([STATE], rules, observes_ended=observes_ended), []
    chance = generators(1)
    simulation.start(np.array([0]), chance)
    while simulation.race.ending[0] == Ending.RUNNING:
        seen.append(simulation.observations_of(0).copy())
        simulation.step(np.array([[0.0, 2.0]]), chance)
    is_new = not np.array_equal(simulation.observations_of(0), seen[-1])
    assert is_new == observes_ended


def test_environments_evaluations_and_probes_all_drive_by_the_one_loop(monkeypatch):
    steps, by_hand = [], Simulation.step

    def counted(self, *given):
        steps.append("loop")
        return by_hand(self, *given)

    real = Race.step
    monkeypatch.setattr(Simulation, "step", counted)
    monkeypatch.setattr(Race, "step", lambda *given: [steps.append("race"), real(*given)][1])
    env = RacerEnv(sensor="state")
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env.close()
    racer.drive("pure-pursuit", "bowtie", laps=1)
    drive_probe(follow_at_speed(1.4), load_track("bowtie"), RaceConfig(time_limit=1.0))
    assert len(steps) > 100
    assert steps == ["loop", "race"] * (len(steps) // 2)
