"""A simulation goes back to a state that was taken, and copies of it go their own ways."""

import copy
import pickle
import textwrap

import cloudpickle
import gymnasium
import numpy as np
import pytest
from gymnasium.error import ClosedEnvironmentError

from racer.envs import RacerEnv, RacerVectorEnv
from racer.errors import ConfigError, RewardError
from tests.helpers.closing import closing

SMALL = {"kind": "camera", "width": 32, "height": 24}
KINDS = {
    "time trial": {"sensor": "state"},
    "another car": {"sensor": "state", "car": "f1tenth", "track": "speedway"},
    "randomised, late commands, dropped frames": {
        "sensor": [{**SMALL, "stack": 3}, {"kind": "lidar", "rate": 5.0}, "state"],
        "randomisation": "sim2real",
    },
    "bots that change lanes": {
        "sensor": "state",
        "race": {"kind": "head_to_bot", "bots": {"every": [0.4, 0.9], "speed": 1.0}},
    },
    "boxes, walls, put back": {
        "sensor": ["lidar", "state"],
        "race": {"kind": "object_avoidance", "walls": True, "faults": "reset", "laps": 3},
    },
    "several tracks, both ways": {
        "sensor": "state",
        "track": ["oval", "hairpin", "bowtie"],
        "race": {"direction": "alternate", "walls": True},
    },
}


def drive(env, actions):
    """What an environment's steps return, as bytes."""
    seen = []
    for action in actions:
        returned = env.step(action)
        seen.append(pickle.dumps(plain(returned)))
    return seen


def plain(value):
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [plain(one) for one in value]
    return value.tobytes() if isinstance(value, np.ndarray) else value


def samples(env, steps, seed):
    env.action_space.seed(seed)
    return [env.action_space.sample() for _ in range(steps)]


def touched(env):
    """Whether a car touches something just now."""
    return bool(env.world.contact.any())


@pytest.fixture
def make():
    yield from closing(lambda n=3, **config: RacerVectorEnv(n, **config))


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_a_restore_is_what_follows_without_one_to_the_byte(make, kind):
    env, other = make(**KINDS[kind]), make(**KINDS[kind])
    env.reset(seed=1)
    before = samples(env, 40, 0)
    drive(env, before)
    while touched(env):
        drive(env, samples(env, 1, 3))
    state = pickle.loads(pickle.dumps(env.get_state()))
    actions = samples(env, 60, 2)
    expected = drive(env, actions)
    drive(env, samples(env, 25, 4))
    env.set_state(state)
    assert drive(env, actions) == expected
    other.reset(seed=77)
    drive(other, samples(env, 10, 5))
    other.set_state(state)
    assert drive(other, actions) == expected


REWARDS = {
    "a global": """
        last = 0.0
        def reward_function(params):
            global last
            paid, last = params["progress"] - last, params["progress"]
            return paid
    """,
    "a global that comes later": """
        def reward_function(params):
            global count
            count = globals().get("count", 0) + 1
            return float(count)
    """,
    "an attribute of a class": """
        class STATE:
            speeds = []
        def reward_function(params):
            STATE.speeds.append(params["speed"])
            return sum(STATE.speeds)
    """,
    "an attribute of the function": """
        def reward_function(params):
            reward_function.total += params["speed"]
            return reward_function.total
        reward_function.total = 0.0
    """,
    "what a function encloses": """
        def made():
            count = 0
            def reward_function(params):
                nonlocal count
                count += 1
                return float(count)
            return reward_function
        reward_function = made()
    """,
    "an object that is called": """
        class Paying:
            def __init__(self):
                self.count = 0
            def __call__(self, params):
                self.count += 1
                return float(self.count)
        reward_function = Paying()
    """,
    "a method of an object": """
        class Paying:
            def __init__(self):
                self.count = 0
            def pay(self, params):
                self.count += 1
                return float(self.count)
        reward_function = Paying().pay
    """,
    "classes of the kinds that people write": """
        import abc, collections, dataclasses, enum, functools, random, typing
        class Mode(enum.Enum):
            SLOW, FAST = 1, 2
        class Step(typing.NamedTuple):
            speed: float
            mode: Mode = Mode.SLOW
        @dataclasses.dataclass
        class Memory:
            steps: list = dataclasses.field(default_factory=list)
        class Base(abc.ABC):
            weight = 1.0
            @abc.abstractmethod
            def pay(self): ...
        class Paying(Base):
            def __init__(self):
                self.memory, self.luck = Memory(), random.Random(3)
                self.last = collections.deque(maxlen=5)
            @property
            def mean(self):
                return sum(step.speed for step in self.last) / len(self.last)
            def pay(self):
                return self.weight * self.mean + self.luck.random()
        paying = Paying()
        @functools.lru_cache
        def doubled(number):
            return 2 * number
        def reward_function(params):
            step = Step(params["speed"], Mode.FAST if params["speed"] > 1 else Mode.SLOW)
            paying.memory.steps.append(step)
            paying.last.append(step)
            assert all(one.mode in Mode for one in paying.memory.steps)
            Base.weight += doubled(len(paying.memory.steps))
            return paying.pay()
    """,
    "an object whose method reads a global": """
        import math
        factor = 1.0
        class Memory:
            def __init__(self, maths):
                self.seen, self.maths = [], maths
            def pay(self, speed):
                self.seen.append(speed)
                return factor * self.maths.fsum(self.seen)
        memory = Memory(math)
        alias = memory
        def reward_function(params):
            global factor
            factor += 1.0
            assert alias is memory
            return memory.pay(params["speed"])
    """,
}


@pytest.mark.parametrize("style", REWARDS)
def test_a_reward_s_memory_goes_back_too_and_is_not_shared_by_copies(make, tmp_path, style):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(REWARDS[style]))
    env = make(2, sensor="state", reward=str(path))
    env.reset(seed=0)
    actions = samples(env, 12, 0)
    drive(env, actions)
    state = env.get_state()
    expected = drive(env, actions)
    env.set_state(state)
    copied = copy.deepcopy(env)
    assert drive(copied, actions) == expected
    assert drive(env, actions) == expected
    copied.close()


def test_the_memory_of_a_reward_s_siblings_goes_back_too(make, tmp_path):
    (tmp_path / "helper.py").write_text("class Seen:\n    count = 0\n")
    (tmp_path / "mine.py").write_text(
        "from helper import Seen\n"
        "def reward_function(params):\n"
        "    Seen.count += 1\n"
        "    return float(Seen.count)\n"
    )
    env = make(1, sensor="state", reward=str(tmp_path / "mine.py"))
    env.reset(seed=0)
    action = samples(env, 1, 0)[0]
    paid = [env.step(action)[1][0] for _ in range(3)]
    copied = copy.deepcopy(env)
    assert [*paid, copied.step(action)[1][0], env.step(action)[1][0]] == [1, 2, 3, 4, 4]
    copied.close()


def test_a_reward_that_keeps_what_cannot_be_saved_is_named(make, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import threading\nLOCK = threading.Lock()\ndef reward_function(params):\n    return 1.0\n"
    )
    env = make(1, sensor="state", reward=str(path))
    env.reset(seed=0)
    with pytest.raises(RewardError, match=r"mine\.py: 'LOCK' cannot be saved: .*lock"):
        copy.deepcopy(env)


COPIERS = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),
    "cloudpickle": lambda env: pickle.loads(cloudpickle.dumps(env)),
}


@pytest.mark.parametrize("copier", COPIERS)
@pytest.mark.parametrize("is_vector", [True, False])
def test_a_copy_is_a_world_of_its_own_that_goes_on_from_the_same_state(copier, is_vector):
    if is_vector:
        env = gymnasium.make_vec("racer/HeadToBot-v0", num_envs=3, sensor="state")
    else:
        env = gymnasium.make("racer/HeadToBot-v0", sensor="state")
    env.reset(seed=1)
    actions = samples(env, 20, 0)
    drive(env, actions)
    copied = COPIERS[copier](env)
    assert copied.spec == env.spec
    expected = drive(copied, actions)
    assert drive(env, actions) == expected
    copied.close()
    drive(env, actions)
    env.close()


def test_a_copy_of_an_environment_that_was_never_reset_is_new(make):
    env = make(2, sensor="state")
    copied = pickle.loads(pickle.dumps(env))
    assert copied.reset(seed=4)[0].tobytes() == env.reset(seed=4)[0].tobytes()
    copied.close()


def test_branches_from_one_state_give_the_same_and_leave_it_as_it_was():
    env = RacerEnv(sensor="state", reward="centerline")
    env.reset(seed=2)
    state, returns = env.get_state(), []
    for steering in (-0.5, 0.0, 0.5, -0.5, 0.0, 0.5):
        env.set_state(state)
        returns.append(sum(env.step(np.array([steering, -0.5]))[1] for _ in range(15)))
    assert returns[:3] == returns[3:]
    assert len(set(returns)) == 3
    env.close()


def test_the_single_environment_s_generator_goes_back_too():
    env = RacerEnv(sensor="state", randomisation="sim2real")
    env.reset(seed=3)
    state = env.get_state()
    first = env.reset()[0].tobytes()
    env.set_state(state)
    assert (env.np_random_seed, env.reset()[0].tobytes()) == (3, first)
    env.close()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"n": 2}, "another num_envs: 1; this one has 2"),
        ({"track": "oval"}, "another track"),
        ({"sensor": "lidar"}, "another sensor"),
        ({"race": "head_to_bot"}, "another race"),
        ({"randomisation": "sim2real"}, "another randomisation"),
    ],
)
def test_a_state_of_another_environment_is_refused_and_changes_nothing(make, other, said):
    state = make(1, sensor="state").get_state()
    env = make(**{"n": 1, "sensor": "state", **other})
    env.reset(seed=0)
    before = env.world.state.body.copy()
    with pytest.raises(ConfigError, match=said):
        env.set_state(state)
    assert np.array_equal(env.world.state.body, before)


def test_a_closed_environment_has_no_state_and_no_copies(make):
    env = make(1, sensor="state")
    state = env.get_state()
    env.close()
    for call in (env.get_state, lambda: env.set_state(state), lambda: copy.deepcopy(env)):
        with pytest.raises(ClosedEnvironmentError):
            call()
