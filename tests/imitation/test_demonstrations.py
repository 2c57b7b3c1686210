"""What a teacher shows: observations and actions that belong together, whoever drives."""

import numpy as np
import pytest

from racer.car.action_space import ActionSpace
from racer.entries.onnx_policy import OnnxPolicy
from racer.envs import RacerVectorEnv
from racer.errors import ConfigError
from racer.imitation.demonstrations import drive_demonstrations, last_rows
from racer.imitation.teachers import make_teacher
from racer.sensors.config import StateConfig
from racer.training.vec_env import CarsVecEnv
from tests.helpers.boards import LOOK
from tests.helpers.closing import closing
from tests.helpers.entries import entry_of
from tests.helpers.graphs import steady

SLOW = ActionSpace(speed=(1.0, 2.0))


@pytest.fixture
def make_env():
    def make(num_envs=3, **config):
        fields = {"track": "oval", "sensor": "state", "actions": SLOW, **config}
        env = CarsVecEnv(RacerVectorEnv(num_envs, **fields))
        env.seed(0)
        return env

    yield from closing(make)


class SpeedTeacher:
    """Steers straight, and wants 1.1 m/s and a fifth of a car's speed."""

    def __init__(self, env):
        self.env, self.started = env, []

    def start(self, cars):
        self.started += cars.tolist()

    def commands(self):
        speed = np.hypot(*self.env.race.world.state.velocity[:, :2].T)
        return np.stack([np.zeros(len(speed)), 1.1 + 0.2 * speed], axis=1)


def steps(count):
    return lambda driven, laps: driven >= count


def test_an_action_belongs_to_the_observation_in_which_the_teacher_chose_it(make_env):
    env = make_env()
    driven = drive_demonstrations(env, SpeedTeacher(env.cars), steps(60)).demonstrations
    assert len(driven.actions) == 60
    wanted = SLOW.command(driven.actions)[:, 1]
    # The state's first number is the forward speed, in shares of 4 m/s.
    seen = 4.0 * driven.observations[:, 0]
    assert np.ptp(wanted) > 0.2
    assert wanted == pytest.approx(1.1 + 0.2 * seen, abs=0.01)


def test_the_rows_are_car_after_car_and_the_last_ones_are_held_out(make_env):
    env = make_env(2)
    first = env.reset().copy()
    env.seed(0)
    driven = drive_demonstrations(env, SpeedTeacher(env.cars), steps(40)).demonstrations
    assert np.array_equal(driven.observations[[0, 20]], first)
    assert np.flatnonzero(driven.is_held_out).tolist() == [36, 37, 38, 39]


def test_a_single_pair_is_not_held_out():
    assert last_rows(1).tolist() == [False]
    assert last_rows(2).tolist() == [False, True]


def test_a_student_drives_while_the_teacher_says_what_it_would_have_done(make_env):
    env = make_env()
    stops = np.tile(np.array([[0.0, -1.0]], np.float32), (3, 1))
    driven = drive_demonstrations(
        env, SpeedTeacher(env.cars), steps(90), lambda seen: stops
    ).demonstrations
    speed = 4.0 * driven.observations[:, 0]
    assert 0.8 < speed.max() < 1.1, "the student drives at 1 m/s"
    assert SLOW.command(driven.actions)[:, 1].min() > 1.09, "the teacher wants more"


def test_an_episode_that_ends_starts_the_teacher_anew(make_env):
    env = make_env(1, race={"start": "line", "time_limit": 0.5})
    teacher = SpeedTeacher(env.cars)
    drive_demonstrations(env, teacher, steps(30))
    assert teacher.started == [0] * 4, "0.5 s end with the eighth step"


def test_a_controller_drives_laps_through_the_learner_s_actions(make_env):
    env = make_env(2)
    drive = drive_demonstrations(
        env, make_teacher("pure-pursuit", env.cars), lambda driven, laps: laps >= 2
    )
    assert drive.laps >= 2
    assert drive.faults == 0


@pytest.mark.slow
def test_each_car_has_a_controller_for_its_own_way_round(make_env):
    env = make_env(2, track=["oval", "bowtie"], race={"direction": "alternate"})
    drive = drive_demonstrations(env, make_teacher("raceline", env.cars), steps(600))
    assert drive.faults == 0
    assert drive.laps > 0


def test_an_entry_teaches_what_it_does_itself_through_its_own_sensors(make_env):
    entry = entry_of(steady(LOOK), (StateConfig(stack=1),), SLOW)
    env = make_env(2, sensor={"kind": "camera", "width": 16, "height": 12})
    same = make_env(2)
    taught = drive_demonstrations(env, make_teacher(entry, env.cars), steps(300))
    seen = drive_demonstrations(same, make_teacher(entry, same.cars), steps(300)).demonstrations
    policy = OnnxPolicy(entry)
    alone = np.concatenate([policy(one[None]) for one in seen.observations])
    assert taught.demonstrations.observations.shape == (300, 1, 12, 16)
    assert np.allclose(seen.actions, alone, rtol=0, atol=1e-5)
    assert np.array_equal(taught.demonstrations.actions, seen.actions)


def test_a_driver_of_another_car_or_an_unknown_one_is_refused(make_env):
    entry = entry_of(steady(LOOK), (StateConfig(),), SLOW)
    with pytest.raises(ConfigError, match="set car: deepracer in the config"):
        make_teacher(entry, make_env(car="f1tenth").cars)
    with pytest.raises(ConfigError, match="known: pure-pursuit, raceline"):
        make_teacher("nobody", make_env().cars)
