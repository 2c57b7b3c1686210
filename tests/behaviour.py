"""Hashes of what racer does, so that two versions of its code can be told to do the same.

    python tests/behaviour.py FILE [WORD ...]

writes FILE, a sorted JSON object from names of cases to SHA-256s, where it is not there yet.
Where it is, each case that differs, is new or is missing is printed, and the exit code is 1 if
there is any. With words only the cases run, and are compared, whose names contain one of them.

No test: the hashes depend on how the processor rounds and on the versions of the libraries, so
FILE is worth something only on the machine that made it. It takes some minutes on two cores.

Nothing of racer is touched but what stays while its insides move: Gymnasium's ids, the functions
of `racer` itself, `racer.sb3` and `racer.pettingzoo` as docs/libraries.md has them, the command
line, and the formats of version 0.1.0 (`fixtures/v1`), config keys included.

What a config is called inside may change, so of a resolved config only its values count, in
whatever order; and what holds its digest is a case of its own, `.../config_sha256`.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
import importlib
import json
import math
import multiprocessing
import os
import pickle
import runpy
import shutil
import sys
import tempfile
import time
import traceback
import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OLD = ROOT / "tests" / "fixtures" / "v1"
PROCESSES = 2
Parts = dict[str, str]
"""Hashes by the name of what was hashed."""

KINDS = {
    "time_trial": "racer/TimeTrial-v0",
    "object_avoidance": "racer/ObjectAvoidance-v0",
    "head_to_bot": "racer/HeadToBot-v0",
}
TRACKS = ["bowtie", "comb", "cove", "fork", "hairpin", "harbour",
          "oval", "serpent", "snake", "speedway", "wedge", "zigzag"]  # fmt: skip
SMALL = {"kind": "camera", "width": 40, "height": 30}
SENSORS: dict[str, Any] = {
    "camera": SMALL,
    "rgb_stack": {"kind": "camera", "width": 24, "height": 18, "colour": "rgb", "stack": 3,
                  "fov": 1.4, "pitch_deg": 20, "left": 0.02},
    "left_camera": {"kind": "left_camera", "width": 24, "height": 18},
    "stereo": {"kind": "stereo", "width": 32, "height": 24, "baseline": 0.08, "stack": 2},
    "lidar": {"kind": "lidar", "clip": 4.0, "stack": 2, "rate": 10, "noise": 0.03},
    "sector_lidar": "sector_lidar",
    "discretized": {"kind": "discretized_sector_lidar", "sectors": 4, "values": 5, "yaw_deg": 0},
    "state": {"kind": "state", "stack": 2},
    "several": [{"kind": "camera", "width": 24, "height": 18}, {"kind": "lidar", "beams": 16},
                "state"],
}  # fmt: skip


# Hashes


def digest(*values: Any) -> str:
    """SHA-256 of plain values and arrays, however deep; of a mapping in the order of its keys."""
    seen = hashlib.sha256()
    for value in values:
        _feed(seen, value)
    return seen.hexdigest()


def _feed(seen: Any, value: Any) -> None:
    import numpy as np

    if isinstance(value, dict):
        seen.update(b"{%d" % len(value))
        for key in sorted(value, key=str):
            _feed(seen, str(key))
            _feed(seen, value[key])
    elif isinstance(value, list | tuple):
        seen.update(b"[%d" % len(value))
        for one in value:
            _feed(seen, one)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        _feed(seen, value.tolist())
    elif isinstance(value, np.ndarray | np.generic):
        array = np.ascontiguousarray(value)
        seen.update(f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(seen, dataclasses.astuple(value))
    elif isinstance(value, bytes):
        seen.update(b"b%d:" % len(value) + value)
    else:
        seen.update(f"{type(value).__name__}:{value!r};".encode())


def leaves(tree: Any) -> list[str]:
    """The values of a tree without their keys, sorted."""
    if isinstance(tree, dict):
        return sorted(leaf for one in tree.values() for leaf in leaves(one))
    return [json.dumps(tree, sort_keys=True)]


def without(tree: Any, *keys: str) -> Any:
    """A tree without some keys, wherever they stand in it."""
    if isinstance(tree, dict):
        return {key: without(one, *keys) for key, one in tree.items() if key not in keys}
    return [without(one, *keys) for one in tree] if isinstance(tree, list) else tree


# The command line


def racer_says(*words: Any) -> str:
    """What `python -m racer.cli` prints, run in this process, which has all imported already."""
    said, complaint = StringIO(), StringIO()
    before, sys.argv = sys.argv, ["racer", *map(str, words)]
    code: Any = 0
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaint):
            runpy.run_module("racer.cli", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.argv = before
    if code:
        raise RuntimeError(f"racer {' '.join(map(str, words))}: {code}: {complaint.getvalue()}")
    return said.getvalue()


def racer_tells(*words: Any) -> Any:
    """The JSON that `racer ... --json` prints."""
    return json.loads(racer_says(*words, "--json"))


# Environments


def driver(sensor: Any, actions: Any, n: int) -> Callable[[Any, Any], Any]:
    """Return what chooses actions (n,): by the car's place on the road if it sees that, noisily."""
    import numpy as np

    several = sensor if isinstance(sensor, list) else [sensor]
    kinds = [one if isinstance(one, str) else one["kind"] for one in several]
    rng = np.random.default_rng(17)

    def state_of(seen: Any) -> Any:
        if "state" not in kinds:
            return None
        numbers = seen["state"] if isinstance(seen, dict) else seen
        return np.reshape(numbers, (n, -1))[:, -26:]

    def choose(seen: Any, space: Any) -> Any:
        noise = rng.uniform(-1, 1, (n, 2))
        care = 1 - np.arange(n) / n  # the first car keeps the road, the last leaves it
        state = state_of(seen)
        if state is None:
            steering, speed = 0.5 * noise[:, 0], -0.7 + 0.3 * noise[:, 1]
        else:
            steering = care * (-0.9 * state[:, 6] - 2.0 * state[:, 7]) + 0.3 * noise[:, 0]
            speed = -0.6 + 0.3 * noise[:, 1]
        if actions == "discrete":
            return np.clip(np.rint(4.5 + 4.5 * np.clip(steering, -1, 1)), 0, space - 1).astype(int)
        return np.clip(np.stack([steering, speed], axis=1), -1, 1).astype(np.float32)

    return choose


def drive(
    kind: str,
    sensor: Any,
    n: int,
    steps: int,
    seed: Any = 3,
    midway: str | None = None,
    only_rewards: bool = False,
    **config: Any,
) -> Parts:
    """Drive one car (n = 1, by `make`) or n (by `make_vec`), and hash all that comes back."""
    import gymnasium

    import racer  # noqa: F401

    name = KINDS[kind]
    make = partial(gymnasium.make, name) if n == 1 else partial(gymnasium.make_vec, name, n)
    env: Any = make(sensor=sensor, **config)
    is_discrete = hasattr(env.unwrapped.action_space, "nvec") or hasattr(env.action_space, "n")
    choices = 0
    if is_discrete:
        single = env.action_space if n == 1 else env.unwrapped.single_action_space
        choices = int(single.n)
    choose = driver(sensor, "discrete" if is_discrete else "continuous", n)
    mode = config.get("autoreset_mode", "SameStep")
    hashes = {part: hashlib.sha256() for part in ("observations", "rewards", "endings", "infos")}

    def take(seen: Any, reward: Any, endings: Any, info: Any) -> None:
        for part, value in zip(hashes, (seen, reward, endings, info)):
            _feed(hashes[part], value)

    seen, info = env.reset(seed=seed)
    take(seen, 0.0, False, info)
    for step in range(steps):
        action = choose(seen, choices)
        if n == 1:
            action = int(action[0]) if is_discrete else action[0]
        seen, reward, terminated, truncated, info = env.step(action)
        take(seen, reward, (terminated, truncated), info)
        if n == 1 and (terminated or truncated):
            seen, info = env.reset()
            take(seen, 0.0, False, info)
        elif n > 1 and mode == "Disabled" and (done := terminated | truncated).any():
            seen, info = env.reset(options={"reset_mask": done})
            take(seen, 0.0, False, info)
        if step == steps // 2 and midway:
            env = _gone_on(env, midway, choose, seen, choices, n, is_discrete)
    space = env.observation_space
    env.close()
    parts = {part: one.hexdigest() for part, one in hashes.items()}
    if only_rewards:
        return {"rewards": parts["rewards"], "endings": parts["endings"]}
    return parts | {"space": digest(str(space))}


def _gone_on(
    env: Any, how: str, choose: Any, seen: Any, choices: int, n: int, is_discrete: bool
) -> Any:
    """The environment after a way that leads back to the same moment."""
    if how == "pickle":
        again = pickle.loads(pickle.dumps(env.unwrapped))
    elif how == "copy":
        again = copy.deepcopy(env.unwrapped)
    else:
        state = env.unwrapped.get_state()
        for _ in range(20):
            action = env.action_space.sample() * 0
            env.unwrapped.step(action)
        env.unwrapped.set_state(state)
        return env
    env.close()
    return again


def environments() -> Iterator[tuple[str, Callable[[], Parts]]]:
    for kind in KINDS:
        for name, sensor in SENSORS.items():
            race = {"walls": "lidar" in name or name == "discretized"}  # else it sees nothing
            for n in (1, 7):
                for random in ("none", "sim2real"):
                    yield (
                        f"env/{kind}/{name}/{n} cars/{random}",
                        partial(drive, kind, sensor, n, 200, race=race, randomisation=random),
                    )
    yield "env/default camera", partial(drive, "time_trial", "camera", 2, 60)
    both = [{"kind": "lidar", "beams": 16}, "state"]
    options: dict[str, dict[str, Any]] = {
        "walls": {"race": {"walls": True}},
        "reset": {"race": {"faults": "reset", "walls": True, "laps": 2, "collision_penalty": 1}},
        "reset without walls": {"race": {"faults": "reset", "off_track_penalty": 1}},
        "reverse": {"race": {"direction": "reverse"}},
        "alternate": {"race": {"direction": "alternate", "start": "line"}},
        "round robin": {"race": {"start": "round_robin", "start_offset": 0.3}},
        "tracks": {"track": ["oval", "hairpin", "generated:4"], "race": {"walls": True}},
        "generated": {"track": "generated"},
        "f1tenth": {"car": "f1tenth", "randomisation": "sim2real"},
        "discrete": {"actions": "discrete"},
        "narrow actions": {"actions": {"steering_deg": [-20, 10], "speed": [0.3, 1.5]}},
        "metadata": {"actions": str(ROOT / "docs" / "my-model" / "model_metadata.json")},
        "latency": {"randomisation": {"latency": [2, 2]}},
        "dropped frames": {"randomisation": {"dropped_frames": [0.5, 0.5]}},
        "weather": {"randomisation": str(OLD / "configs" / "weather.yaml")},
        "next step": {"autoreset_mode": "NextStep", "race": {"time_limit": 4}},
        "disabled": {"autoreset_mode": "Disabled", "race": {"time_limit": 4}},
        "short": {"max_episode_steps": 40},
        "no reward": {"reward": None},
        "places": {"race": {"obstacles": {"count": 2, "places": [[0.3, "left"], [0.6, "right"]]}}},
        "bots": {"race": {"bots": {"count": 2, "speed": 0.5, "every": [1, 2]}}},
        "still bots": {"race": {"bots": {"count": 6, "speed": 0, "changes_lanes": False}}},
        "seeds": {"seed": [5, 5, 9, 0, 2]},
        "pickle": {"midway": "pickle", "randomisation": "sim2real"},
        "copy": {"midway": "copy", "randomisation": "sim2real"},
        "state": {"midway": "state", "randomisation": "sim2real"},
    }
    for name, option in options.items():
        for kind in KINDS:
            yield f"env/option/{name}/{kind}", partial(drive, kind, both, 5, 250, **option)
    for kind in ("pickle", "state"):
        yield (
            f"env/option/{kind}/one car",
            partial(drive, "head_to_bot", both, 1, 200, midway=kind, randomisation="sim2real"),
        )
    yield "env/ids", ids
    yield "env/picture", picture
    yield "env/errors", errors


def ids() -> Parts:
    """The registered ids, and the default configuration of each as its spaces tell it."""
    import gymnasium

    import racer  # noqa: F401

    found = {}
    for name in sorted(one for one in gymnasium.registry if one.startswith("racer/")):
        env = gymnasium.make(name)
        seen, info = env.reset(seed=0)
        found[name] = [str(env.observation_space), str(env.action_space), seen, info]
        env.close()
    return {"all": digest(found)}


def picture() -> Parts:
    """A frame for a person, of one car and of two."""
    import gymnasium

    import racer  # noqa: F401

    env = gymnasium.make(KINDS["object_avoidance"], sensor="state", render_mode="rgb_array")
    env.reset(seed=1)
    one: Any = env.render()
    env.close()
    envs: Any = gymnasium.make_vec(
        KINDS["head_to_bot"], 2, sensor="state", render_mode="rgb_array", race={"walls": True}
    )
    envs.reset(seed=1)
    two = envs.render()
    envs.close()
    return {"one": digest(one), "two": digest(list(two))}


def errors() -> Parts:
    """The kinds of errors of wrong arguments; their words may change."""
    import gymnasium

    import racer  # noqa: F401

    wrong: list[dict[str, Any]] = [
        {"sensor": "radar"}, {"track": "nowhere"}, {"car": "bus"}, {"race": {"laps": 0}},
        {"race": "head_to_bot"}, {"actions": {"kind": "discrete", "choices": [[0, 1]]}},
        {"reward": "nothing"}, {"randomisation": {"friction": [2, 1]}}, {"colour": 1},
        {"sensor": []}, {"sensor": ["state", "state"]}, {"max_episode_steps": 0},
    ]  # fmt: skip
    found = []
    for one in wrong:
        try:
            gymnasium.make(KINDS["time_trial"], **one).close()
            found.append("none")
        except Exception as problem:
            found.append(type(problem).__name__)
    return {"kinds": digest(found)}


def petting_zoo() -> Parts:
    """A race of four that see each other, by PettingZoo's parallel API."""
    import numpy as np

    race_v0 = importlib.import_module("racer.pettingzoo.race_v0")
    seen = hashlib.sha256()
    for faults in ("end", "reset"):
        env = race_v0.parallel_env(
            n_cars=4, sensor=["lidar", "state"], reward="overtaking", race={"faults": faults}
        )
        rng = np.random.default_rng(3)
        _feed(seen, env.reset(seed=2))
        for _ in range(150):
            if not env.agents:
                break
            actions = {
                agent: rng.uniform((-0.4, -1), (0.4, -0.5)).astype(np.float32)
                for agent in env.agents
            }
            _feed(seen, env.step(actions))
        env.close()
    return {"all": seen.hexdigest()}


def sb3_cars() -> Parts:
    """What Stable-Baselines3 gets, and what it learns of it."""
    import numpy as np
    import torch
    from stable_baselines3 import PPO

    torch.set_num_threads(1)
    make = importlib.import_module("racer.sb3").make_vec_env
    env = make(KINDS["time_trial"], n_envs=4, seed=0, sensor="state")
    rng, seen = np.random.default_rng(0), hashlib.sha256()
    _feed(seen, env.reset())
    for _ in range(150):
        _feed(seen, env.step(rng.uniform(-1, 1, (4, 2)).astype(np.float32))[:3])
    env.seed(1)
    model = PPO("MlpPolicy", env, n_steps=64, batch_size=64, n_epochs=2, seed=0, device="cpu")
    model.learn(512)
    weights = {key: one.numpy() for key, one in model.policy.state_dict().items()}
    env.close()
    return {"steps": seen.hexdigest(), "weights": digest(weights)}


# Rewards

REWARDS = sorted(path.stem for path in (ROOT / "configs" / "rewards").glob("*.py"))
SPY = """
import hashlib
seen = hashlib.sha256()
def reward_function(params):
    for key in sorted(params):
        seen.update(f"{key}={params[key]!r};".encode())
    with open(PATH, "w") as out:
        out.write(seen.hexdigest())
    return float(params["progress"])
"""
"""Keeps a hash of all that a reward is told, of one car."""


def told(kind: str, **race: Any) -> Parts:
    """All that a reward function is told on its way."""
    path = Path("told.txt").resolve()
    Path("spy.py").write_text(SPY.replace("PATH", repr(str(path))))
    drive(kind, "state", 1, 150, reward=str(Path("spy.py").resolve()), race=race)
    return {"params": path.read_text()}


UNCOMPARED = ("path", "call_us", "compiled", "in_python")
"""What `racer reward check` says about the file's speed and place."""


def reward_checked(name: str, *words: str) -> Parts:
    found = racer_tells("reward", "check", name, *words)
    found = {key: one for key, one in found.items() if key not in UNCOMPARED}
    file = found.pop("sha256")
    return {"report": digest(found), "file": file}


def rewards() -> Iterator[tuple[str, Callable[[], Parts]]]:
    for name in REWARDS:
        for kind in KINDS:
            race = {"walls": kind == "object_avoidance", "direction": "alternate"}
            yield (
                f"reward/{name}/{kind}",
                partial(drive, kind, "state", 4, 300, reward=name, race=race, only_rewards=True),
            )
        yield f"reward/check/{name}", partial(reward_checked, name, "--track", "hairpin")
    for name in ("progress", "raceline", "exploitable"):
        yield f"reward/check/{name}/everywhere", partial(reward_checked, name)
    for kind in KINDS:
        yield f"reward/params/{kind}", partial(told, kind, walls=True)
        yield f"reward/params/{kind}/reverse", partial(told, kind, direction="reverse")


# Training

TINY: dict[str, Any] = {
    "reward": "progress",
    "cars": 8,
    "device": "cpu",
    "workers": 1,
    "threads": 1,
    "network": {"hidden": [16]},
    "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 2},
    "evaluation": {"every": 1024, "laps": 1, "time_limit": 10, "film": 0},
}
FRAME = {"kind": "camera", "width": 64, "height": 56}
TRAININGS: dict[str, dict[str, Any]] = {
    "state": {
        "sensor": "state",
        "steps": 3072,
        "track": ["oval", "bowtie"],
        "actions": {"speed": [0.8, 2.0]},
        "network": {"hidden": [16], "vectors": [12], "standardise": True, "activation": "tanh"},
        "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 3, "scale_rewards": True,
                "final_learning_rate": 1e-5, "value_loss": "huber", "ent_coef": 0.01},
        "evaluation": {"every": 1024, "track": ["oval", "bowtie"], "laps": 1, "time_limit": 10,
                       "film": 2, "keep": 2},
    },
    "camera": {
        "sensor": {"kind": "camera", "width": 40, "height": 30, "stack": 2},
        "steps": 2048,
        "randomisation": "sim2real",
        "actions": "discrete",
        "network": {"filters": [[8, 6, 3], [8, 3, 2]], "features": [16], "hidden": [],
                    "normalise": True, "dropout": 0.2},
    },
    "two workers": {
        "sensor": [{"kind": "lidar", "beams": 16, "clip": 3.0}, "state"],
        "race": {"kind": "object_avoidance", "walls": True, "obstacles": {"count": 2}},
        "reward": "avoidance",
        "steps": 2048,
        "workers": 2,
    },
    "two workers, rewards scaled": {
        "sensor": {"kind": "stereo", "width": 48, "height": 36},
        "race": {"kind": "head_to_bot", "direction": "alternate"},
        "reward": "overtaking",
        "steps": 1024,
        "workers": 2,
        "ppo": {"n_steps": 32, "batch_size": 64, "n_epochs": 2, "scale_rewards": True},
    },
    "shallow": {"sensor": FRAME, "steps": 512, "network": "shallow"},
    "standard": {"sensor": FRAME, "steps": 512, "network": {"preset": "standard"}},
    "deep": {
        "sensor": [{"kind": "camera", "width": 96, "height": 80}, "state"],
        "steps": 512,
        "network": {"preset": "deep", "features": [32], "hidden": 16},
    },
    "f1tenth": {"sensor": "state", "steps": 1024, "car": "f1tenth", "track": "speedway"},
}  # fmt: skip


def weights_of(run: Path) -> str:
    import racer

    model = racer.to_sb3(run)
    tensors = {key: one.numpy() for key, one in model.policy.state_dict().items()}
    return digest(list(tensors.values()), model.num_timesteps)


def records(run: Path, name: str) -> list[Any]:
    lines = (run / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [without(json.loads(line), "seconds", "time_s", "wall_s", "began") for line in lines]


def trained(run: Path) -> Parts:
    """What a run came to."""
    import yaml

    config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    shown = racer_tells("runs", "show", run)
    lines = sorted((run / "lines").glob("*.npz"))
    return {
        "weights": weights_of(run),
        "evaluations": digest(records(run, "evaluations")),
        "episodes": digest(records(run, "episodes")),
        "config values": digest(leaves(config)),
        "lines": digest([_arrays(path) for path in lines]),
        "shown": digest(
            shown["state"], shown["steps"], [one["file"] for one in shown["checkpoints"]]
        ),
    }


def _arrays(path: Path) -> list[Any]:
    import numpy as np

    with np.load(path, allow_pickle=False) as held:
        return [held[key] for key in sorted(held)]


def entry_of(path: Path) -> Parts:
    """What an entry holds, and how its graph answers."""
    with zipfile.ZipFile(path) as package:
        manifest = json.loads(package.read("manifest.json"))
        graph = package.read("policy.onnx")
        names = package.namelist()
    origin = manifest.get("trained_on", {}).pop("config_sha256", "")
    del manifest["racer_version"]
    return {
        "manifest": digest(names, manifest),
        "config_sha256": origin or "none",
        "graph": hashlib.sha256(graph).hexdigest(),
        "answers": digest(answers(graph)),
    }


def answers(graph: bytes) -> list[Any]:
    """What a graph answers to 20 observations."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    rng, found = np.random.default_rng(0), []
    for _ in range(20):
        given = {}
        for one in session.get_inputs():
            if one.type == "tensor(uint8)":
                given[one.name] = rng.integers(0, 256, one.shape, dtype=np.uint8)
            else:
                given[one.name] = rng.uniform(0, 1, one.shape).astype(np.float32)
        found.append(session.run(None, given))
    return found


def training(name: str) -> Parts:
    """Train by the command line, export, and race the entry."""
    import yaml

    Path("tiny.yaml").write_text(yaml.safe_dump(TINY | TRAININGS[name]))
    run = Path("run")
    racer_says("train", "tiny.yaml", "--run", run)
    parts = trained(run)
    racer_says("export", run, "--out", "a.entry.zip", "--name", "a")
    parts |= {f"entry/{key}": one for key, one in entry_of(Path("a.entry.zip")).items()}
    if name in ("state", "camera"):
        racer_says("export", run, "--out", "b.entry.zip", "--name", "b", "--int8")
        parts |= {f"int8/{key}": one for key, one in entry_of(Path("b.entry.zip")).items()}
    if name == "state":
        said = racer_says("actions", "--like", run, "--count", "5", "--out", "acts.json")
        parts["actions"] = digest(said.splitlines()[:8], Path("acts.json").read_bytes())
    parts["race"] = digest(racer_tells("race", "a.entry.zip", "--laps", 1))
    return parts


def resumed() -> Parts:
    """A run that a callback ended, and that went on; the same as one that was not."""
    import yaml

    import racer

    Path("tiny.yaml").write_text(yaml.safe_dump(TINY | TRAININGS["state"]))
    sys.stdout.flush()
    racer.train("tiny.yaml", "run", callback=lambda one: one.steps < 2000)
    parts = {f"stopped/{key}": one for key, one in trained(Path("run")).items()}
    racer_says("train", "--resume", "run")
    return parts | {f"resumed/{key}": one for key, one in trained(Path("run")).items()}


class Enough(Exception):
    """Ends a training before it began."""


def shipped_config(name: str) -> Parts:
    """A shipped config's resolved values, and the weights that it begins with."""
    import yaml
    from stable_baselines3.common.callbacks import BaseCallback

    import racer

    class End(BaseCallback):
        def _on_training_start(self) -> None:
            raise Enough

        def _on_step(self) -> bool:
            return False

    with contextlib.suppress(Enough):
        racer.train(name, "run", callback=End())
    config = yaml.safe_load(Path("run/config.yaml").read_text(encoding="utf-8"))
    return {"config values": digest(leaves(config)), "weights": weights_of(Path("run"))}


def old_run(name: str) -> Parts:
    """A run that version 0.1.0 left, resumed if it was stopped, and exported."""
    run = shutil.copytree(OLD / "runs" / name, "run")
    if name == "stopped":
        racer_says("train", "--resume", run)
    parts = trained(Path(run))
    racer_says("export", run, "--out", "a.entry.zip", "--name", "a")
    return parts | {f"entry/{key}": one for key, one in entry_of(Path("a.entry.zip")).items()}


def every_key() -> Parts:
    """The config in which every key of version 0.1.0 is spelled."""
    racer_says("train", OLD / "configs" / "every-key.yaml", "--run", "run")
    return trained(Path("run"))


def own_policy() -> Parts:
    """An entry of a graph and one of a torch module, trained elsewhere."""
    import torch

    import racer

    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(26, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    racer.write_entry(network, "a.entry.zip", sensor="state", track="oval", author="Ann")
    network = torch.nn.Sequential(torch.nn.Linear(26, 10))
    racer.write_entry(network, "b.entry.zip", sensor="state", actions="discrete")
    with zipfile.ZipFile(OLD / "entries" / "lidar.entry.zip") as package:
        Path("c.onnx").write_bytes(package.read("policy.onnx"))
    racer_says(
        "entry", "write", "c.onnx", "--sensor", "{kind: lidar, beams: 16, clip: 2.0, stack: 2}",
        "--sensor", "state", "--actions", "{speed: [0.5, 1.5]}", "--walls",
        "--env", KINDS["object_avoidance"],
    )  # fmt: skip
    found = {}
    for name in "abc":
        found |= {f"{name}/{key}": one for key, one in entry_of(Path(f"{name}.entry.zip")).items()}
    return found


def trainings() -> Iterator[tuple[str, Callable[[], Parts]]]:
    for name in TRAININGS:
        yield f"train/{name}", partial(training, name)
    yield "train/resumed", resumed
    yield "train/every key", every_key
    yield "train/own policy", own_policy
    for name in ("state", "stopped"):
        yield f"train/old run/{name}", partial(old_run, name)
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        yield f"train/config/{path.stem}", partial(shipped_config, path.stem)


# Races

ENTRIES = ("state", "state-signed", "state-int8", "camera", "lidar")


def result_of(result: Any) -> str:
    """Hash of all that a race's result holds, whatever its parts are called."""
    held = [getattr(result, one.name) for one in dataclasses.fields(result) if one.name != "scene"]
    return digest(sorted(digest(one) for one in held))


def driven(who: str, track: str, laps: int, seed: int) -> Parts:
    import racer

    entry = OLD / "entries" / f"{who}.entry.zip"
    result = racer.drive(entry if entry.exists() else who, track, laps, seed)
    return {"result": result_of(result), "figures": digest(result.as_dict(), result.summary)}


def raced(*words: str) -> Parts:
    named = [str(OLD / "entries" / f"{one}.entry.zip") if one in ENTRIES else one for one in words]
    return {"result": digest(racer_tells("race", *named))}


def raced_for_deepracer() -> Parts:
    entry = OLD / "entries" / "camera.entry.zip"
    racer_says("race", entry, "--laps", 1, "--deepracer-logs", "logs", "--plot", "line.png")
    return {"plot": digest(Path("line.png").read_bytes()), "files": digest(_names(Path("logs")))}


def _names(folder: Path) -> list[str]:
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def filmed() -> Parts:
    words = ("race", "raceline", "pure-pursuit", "--track", "oval", "--laps", 1)
    racer_says(*words, "--kind", "object_avoidance", "--walls", "on", "--video", "still.png")
    return {"still": digest(Path("still.png").read_bytes())}


def checked(name: str) -> Parts:
    found = racer_tells("board", "check", OLD / "entries" / f"{name}.entry.zip")
    return {"report": digest(without(found, "answer_ms"))}


def generalised(who: str) -> Parts:
    entry = OLD / "entries" / f"{who}.entry.zip"
    words = ("generalisation", entry if entry.exists() else who, "--laps", 1)
    return {"report": digest(racer_tells(*words))}


def races() -> Iterator[tuple[str, Callable[[], Parts]]]:
    for track in TRACKS:
        for who in ("pure-pursuit", "raceline", "state"):
            yield f"race/drive/{who}/{track}", partial(driven, who, track, 1, 0)
    for who, track in (("camera", "oval"), ("camera", "wedge"), ("state-int8", "bowtie")):
        yield f"race/drive/{who}/{track}", partial(driven, who, track, 2, 3)
    yield "race/drive/lidar/oval", partial(driven, "lidar", "oval", 1, 3)
    yield "race/drive/raceline/generated", partial(driven, "raceline", "generated:9", 2, 0)
    for kind in KINDS:
        for walls in ("on", "off"):
            words = ("--kind", kind, "--walls", walls, "--seed", "4")
            one = ("pure-pursuit", "--track", "hairpin", "--laps", "1", *words)
            yield f"race/cli/{kind}/walls {walls}/pilot", partial(raced, *one)
            one = ("camera", "state", "lidar", "raceline", "--laps", "1", *words)
            yield f"race/cli/{kind}/walls {walls}/together", partial(raced, *one)
    one = ("raceline", "pure-pursuit", "--track", "speedway", "--car", "f1tenth")
    yield "race/cli/f1tenth", partial(raced, *one)
    yield "race/logs", raced_for_deepracer
    yield "race/film", filmed
    for name in ENTRIES:
        yield f"race/check/{name}", partial(checked, name)
    for who in ("pure-pursuit", "state"):
        yield f"race/generalisation/{who}", partial(generalised, who)
    yield "race/car", partial(printed, "car", "report", "--json")
    yield "race/car/f1tenth", partial(printed, "car", "report", "--car", "f1tenth", "--json")


def printed(*words: str) -> Parts:
    return {"output": digest(racer_says(*words))}


# Boards

SEASONS = ("open", "boxes", "validation", "sealed")
LONG = ("boxes", "validation", "sealed")
OWN = {
    "flat": OLD / "seasons" / "flat.yaml",
    "short": OLD / "seasons" / "short.yaml",
    "drawn": OLD / "seasons" / "drawn.yaml",
}
MARKS = ("created", "hash", "racer_version", "box", "replay", "began")
"""What of a row tells when and by what it was judged; a replay's hash depends on its racer's."""


def replay_of(path: Path) -> Any:
    """What a replay holds but for the machine that made it."""
    _, _, packed = path.read_bytes().partition(b"\n")
    line, _, body = zlib.decompress(packed).partition(b"\n")
    return without(json.loads(line), "fingerprint"), body


def board_of(*seasons: Any, is_policy_run: bool = True) -> Parts:
    """What stands on the board of this folder."""
    parts = {}
    for season in seasons:
        rows = racer_tells("board", "show", "--season", season, "--all")
        name = Path(str(season)).stem
        parts[f"{name}/rows"] = digest(without(rows, *MARKS))
        kept = [run["replay"] for row in rows for run in row["runs"]]
        held = [replay_of(Path("board/replays") / f"{one}.replay") for one in kept]
        parts[f"{name}/replays"] = digest(held)
        parts[f"{name}/table"] = digest(racer_says("board", "show", "--season", season))
    found = racer_tells("board", "verify", "--all", *(() if is_policy_run else ("--no-policy",)))
    parts["verified"] = digest(found)
    parts["records"] = digest(racer_tells("board", "chain")["records"])
    return parts


def judged(season: str) -> Parts:
    """A pilot and two entries on a shipped season, or on one of version 0.1.0."""
    which = str(OWN.get(season, season))
    is_long = season in LONG
    own = ("state-signed",) if is_long else ("state-signed", "camera")
    entries = ["pure-pursuit", *(str(OLD / "entries" / f"{one}.entry.zip") for one in own)]
    said = [racer_says("board", "submit", one, "--season", which) for one in entries]
    racer_says("board", "dispute", 1, "--why", "doubt", "--yes")
    shown = racer_tells("board", "season", "show", which)
    return board_of(which, is_policy_run=not is_long) | {
        "digest": shown["digest"],
        "runs": digest(shown["runs"]),
        "values": digest(leaves(shown["rules"])),
        "said": digest(said),
    }


def many_judged() -> Parts:
    """A folder of entries on a season, by two processes."""
    shutil.copytree(OLD / "entries", "entries")
    said = racer_says("board", "run-season", "entries", "--season", OWN["flat"], "--workers", 2)
    del said  # It tells how long that took.
    return board_of(OWN["flat"])


def old_board() -> Parts:
    shutil.copytree(OLD / "board", "board")
    racer_says("board", "submit", "raceline", "--season", OWN["flat"], "--name", "late")
    parts = board_of(OWN["flat"])
    parts["drawn"] = digest(without(racer_tells("board", "show", "--season", OWN["drawn"])))
    parts["history"] = digest(without(racer_tells("board", "history", "bob")))
    racer_says("board", "page", "--out", "pages")
    return parts | {"pages": digest(_names(Path("pages")))}


def new_season() -> Parts:
    """A season as the command line makes it, of which each option is given."""
    racer_says(
        "board", "season", "new", "club", "--tracks", "oval", "bowtie", "--kind",
        "object_avoidance", "--directions", "forward", "reverse", "--laps", 2, "--seeds", 3,
        "--time-limit", 50, "--off-track-penalty", 1, "--collision-penalty", 2, "--faults", "end",
        "--car", "f1tenth", "--ranking", "iqm", "--description", "A club's.",
    )  # fmt: skip
    shown = racer_tells("board", "season", "show", "club")
    return {"digest": shown["digest"], "runs": digest(shown["runs"])}


def boards() -> Iterator[tuple[str, Callable[[], Parts]]]:
    for season in (*SEASONS, "flat", "short"):
        yield f"board/{season}", partial(judged, season)
    yield "board/many", many_judged
    yield "board/old", old_board
    yield "board/new season", new_season


# Tracks and DeepRacer's files


def track_of(name: str) -> Parts:
    parts = {"shown": digest(racer_tells("tracks", "show", name))}
    for form in ("npy", "csv"):
        racer_says("tracks", "export", name, "--format", form, "--out", f"line.{form}")
        parts[form] = digest(Path(f"line.{form}").read_bytes())
    return parts


def tracks_listed() -> Parts:
    return {"json": digest(racer_tells("tracks", "list"))}


def generated() -> Parts:
    parts = {}
    for seed in (0, 7):
        racer_says("tracks", "generate", "--seed", seed, "--out", f"{seed}.yaml")
        parts[str(seed)] = digest(Path(f"{seed}.yaml").read_bytes())
    racer_says("tracks", "generate", "--seed", 3, "--length", 30, "--width", 0.8, "--out", "3.yaml")
    return parts | {"with a length": digest(Path("3.yaml").read_bytes())}


def brought() -> Parts:
    """A track that is written, read back at another size, and solved."""
    racer_says("tracks", "export", "hairpin", "--format", "csv", "--out", "line.csv")
    racer_says("tracks", "import", "line.csv", "--name", "mine", "--length", 25, "--width", 0.9)
    limit = racer_tells("tracks", "limit", "mine.npy")
    return {"file": digest(Path("mine.npy").read_bytes()), "limit": digest(limit)}


def deepracer_model() -> Parts:
    import yaml

    racer_says(
        "import-deepracer",
        ROOT / "docs" / "my-model",
        "--name",
        "mine",
        "--out",
        "mine",
        "--no-rate",
    )
    parts = {}
    for path in sorted(Path("mine").rglob("*")):
        if path.suffix == ".yaml":
            parts["config values"] = digest(leaves(yaml.safe_load(path.read_text())))
        elif path.is_file():
            parts[path.name] = digest(path.read_bytes())
    return parts


def tracks() -> Iterator[tuple[str, Callable[[], Parts]]]:
    for name in (*TRACKS, "generated:1", "generated:123456", str(OLD / "tracks" / "loop.yaml")):
        yield f"track/{Path(name).stem}", partial(track_of, name)
    yield "track/list", tracks_listed
    yield "track/generate", generated
    yield "track/import", brought
    yield "track/limit", partial(printed, "tracks", "limit", "oval", "--json")
    yield "deepracer/import", deepracer_model
    yield "deepracer/actions", partial(printed, "actions", "--steering", "-20", "0", "20")


# All of them


def cases() -> dict[str, Callable[[], Parts]]:
    """Every case by its name, the long ones first."""
    found = [*boards(), *trainings(), *environments(), *rewards(), *races(), *tracks()]
    found += [("pettingzoo/race", petting_zoo), ("sb3/cars", sb3_cars)]
    assert len(dict(found)) == len(found)
    return dict(found)


def run(name: str) -> tuple[str, Parts, float]:
    """Run one case in a folder of its own; one that fails is the case of its error."""
    before, began = Path.cwd(), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="behaviour-") as folder:
        os.chdir(folder)
        os.environ["RACER_BOARD"] = str(Path(folder) / "board")
        os.environ["RACER_SECRETS"] = str(Path(folder) / "secrets")
        try:
            parts = cases()[name]()
        except BaseException as problem:
            if isinstance(problem, KeyboardInterrupt):
                raise
            print(f"{name} failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
            parts = {"failed": f"{type(problem).__name__}"}
        finally:
            os.chdir(before)
    return (
        name,
        {f"{name}: {part}": one for part, one in parts.items()},
        time.perf_counter() - began,
    )


def _prepare() -> None:
    """Make this process, and those that it starts, use the racer beside this file."""
    os.environ["PYTHONPATH"] = str(ROOT)
    os.environ["COLUMNS"] = "120"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    sys.path.insert(0, str(ROOT))
    import racer

    assert Path(racer.__file__).is_relative_to(ROOT), racer.__file__
    # Trainings tell how far they are; what is wanted goes to the terminal by the parent.
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115


def record(names: list[str]) -> dict[str, str]:
    """The hashes of some cases."""
    found = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, spawn, _prepare) as pool:
        waiting = [pool.submit(run, name) for name in names]
        for number, done in enumerate(as_completed(waiting), 1):
            name, parts, seconds = done.result()
            found |= parts
            print(f"{number}/{len(names)} {seconds:5.1f} s  {name}", file=sys.stderr, flush=True)
    return found


def differences(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not the same, a line each."""
    told = [f"differs: {name}" for name in sorted(before.keys() & now.keys())
            if before[name] != now[name]]  # fmt: skip
    told += [f"new: {name}" for name in sorted(now.keys() - before.keys())]
    return told + [f"missing: {name}" for name in sorted(before.keys() - now.keys())]


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__)
        return 2
    path, words = Path(sys.argv[1]), sys.argv[2:]
    chosen = [name for name in cases() if not words or any(word in name for word in words)]
    began = time.perf_counter()
    now = record(chosen)
    took = f"{len(chosen)} cases, {len(now)} hashes, {math.ceil(time.perf_counter() - began)} s"
    failed = [name for name in now if name.endswith(": failed")]
    if not path.exists():
        path.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path}: {took}" + "".join(f"\n{name}" for name in failed))
        return 1 if failed else 0
    before = json.loads(path.read_text(encoding="utf-8"))
    names = set(chosen)
    before = {name: one for name, one in before.items() if name.rpartition(": ")[0] in names
              or not words}  # fmt: skip
    told = differences(before, now)
    print("\n".join([*told, f"{took}: {len(told)} differences"]))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
