"""How fast cars are simulated and trained on a device, beside the same machine's processor."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from racer import assets
from racer.assets.document import read_document
from racer.errors import ConfigError
from racer.sensors import CameraConfig
from racer.tables import FittedTable, TableColumn
from racer.training.config import RunConfig
from racer.training.machine_description import describe_machine
from racer.training.time_to_clean_laps import one_rollout, time_to_clean_laps
from racer.training.training_env import TrainingEnv, make_training_env
from racer.training.training_rate import training_rate
from racer.training.vec_env import CarsVecEnv, channels_first_space
from racer.world import SUBSTEPS_PER_CONTROL

DEVICE_CARS = (256, 1024, 4096, 16_384, 65_536)
"""Numbers of cars that are measured on a GPU, if none are given."""
PROCESSOR_CARS = (256,)
"""Numbers of cars that are measured where Warp's target is the processor, if none are given."""
MOST_HOST_CARS = 4096
"""Most cars that the host simulates; more take longer and are no faster."""
DEVICE_CONFIGS = {"state": "gpu-state", "camera": "gpu-camera"}
"""The shipped configs that are trained on a device, by what the cars see."""
HOST_CONFIGS = {"state": "state", "camera": "quick"}
"""The shipped configs that are trained on the host, to time their clean laps."""
TIMED_S = 2.0
"""Least time that a figure is measured for [s]."""
STEPS_AT_ONCE = 16
"""Control steps between two looks at the clock, for which the host waits for the device."""
MINUTES = 3.0
"""Limit of a training that is timed until its clean laps [min]."""


def benchmark_device(
    cars: Sequence[int] = (),
    device: str = "auto",
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Return how fast cars are simulated and trained on a device, beside this machine's host.

    Args:
        cars: Numbers of cars; those of `DEVICE_CARS`, or of `PROCESSOR_CARS`, by default.
        device: `cuda`; `cpu` for Warp's kernels on the processor; `auto`: cuda.
        say: Called with a line before each measurement, and with the reason if one fails.

    Returns:
        `device` and `machine`, in words. `rows`: `what`, `cars`, and figures per second over all
            cars, `device_per_s` (None if that failed, as for want of memory) and `host_per_s` (None
            beyond `MOST_HOST_CARS` cars). `clean_laps`: `what`, `simulator`, `config`, `cars`,
            `steps`, and seconds until the judge saw a clean lap and a clean race, `first_lap_s` and
            `laps_s`, None if it did not. `memory`: `what`, `cars`, and the bytes that a car takes,
            `env_bytes` and `rollout_bytes`.

    Raises:
        ConfigError: There is no such device, or a number of cars is out of range.
        RacerError: Warp is not installed.
    """
    chosen = refuse_missing_device(device)
    counts = tuple(cars) or (DEVICE_CARS if chosen == "cuda" else PROCESSOR_CARS)
    figures: dict[str, Any] = {
        "device": device_in_words(chosen),
        "machine": describe_machine("cpu"),
        "rows": [],
        "clean_laps": [],
        "memory": [],
    }
    for count in counts:
        for what, rate, config in _subjects(count, chosen):
            say(f"{what}, {count:,} cars ...")
            figures["rows"].append(_compare(what, rate, config, say))
    for what, name in DEVICE_CONFIGS.items():
        memory = training_memory(_on_device(_shipped(name), chosen))
        figures["memory"] += [{"what": what, "cars": count, **memory} for count in counts]
        for count in counts:
            config = _on_device(_for_cars(name, count), chosen)
            figures["clean_laps"].append(_clean_laps(what, name, config, say))
    for what, name in HOST_CONFIGS.items():
        figures["clean_laps"].append(_clean_laps(what, name, _on_host(_shipped(name)), say))
    return figures


def refuse_missing_device(device: str) -> str:
    """Return `cuda` or `cpu`, the kind of device to measure.

    Args:
        device: `cuda`, `cpu`, or `auto`, which is cuda.

    Raises:
        ConfigError: torch or Warp finds no CUDA device, or the name is unknown.
        RacerError: Warp is not installed.
    """
    from racer.gpu.runtime import choose_device
    from racer.training.learner import pick_device

    wanted = "cuda" if device == "auto" else device
    try:
        chosen = pick_device(wanted)
        choose_device(chosen)
    except ConfigError as problem:
        raise ConfigError(
            f"there is nothing to measure here: {problem}; --device cpu runs the same kernels on "
            "the processor"
        ) from problem
    return chosen


def device_in_words(device: str) -> str:
    """Return the name and the memory of the CUDA device, or that the processor stands in for one.

    Args:
        device: `cuda` or `cpu`.
    """
    import torch

    if device == "cpu":
        return "the processor, by Warp's kernels"
    found = torch.cuda.get_device_properties(0)
    return f"{found.name}, {found.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}"


def training_memory(config: RunConfig) -> dict[str, int]:
    """Return the bytes of device memory that a car of a training takes, from the arrays' sizes.

    Args:
        config: The run; its cars are on a device.

    Returns:
        `env_bytes`, of the simulator's arrays, and `rollout_bytes`, of the rollout's. What torch
        needs to compute an update is not in it; it grows with the minibatch, not with the cars.

    Raises:
        RacerError: The config cannot be used.
    """
    from racer.gpu.array_sizes import bytes_per_car
    from racer.gpu.gpu_env import GpuVectorEnv
    from racer.gpu.rollout_storage import DeviceRolloutStorage

    def make(cars: int) -> GpuVectorEnv:
        return GpuVectorEnv(cars, device=config.device, seed=0, **config.env)

    one = make(1)
    seen = channels_first_space(one.single_observation_space)
    action, steps = one.single_action_space, config.ppo.n_steps
    storage = DeviceRolloutStorage(steps, seen, action, one.device)
    return {"env_bytes": bytes_per_car(make), "rollout_bytes": storage.bytes_per_car}


def _shipped(name: str) -> RunConfig:
    return read_document(assets.find_file(name, "configs"), RunConfig)


def _for_cars(name: str, cars: int) -> RunConfig:
    """Return a shipped config with another number of cars, and minibatches in proportion."""
    return _with_cars(_shipped(name), cars)


def _with_cars(config: RunConfig, cars: int) -> RunConfig:
    """Return a config with another number of cars, and as many minibatches in a rollout.

    It has as many rollouts before an evaluation, after which all cars start anew, and in all.

    Raises:
        ConfigError: The number is out of range.
    """
    most = 65_536
    if not 2 <= cars <= most:
        raise ConfigError(f"cars: got {cars}; allowed are 2 to {most}")
    batch = max(2, config.ppo.batch_size * cars // config.num_envs)
    ppo = config.ppo.model_copy(update={"batch_size": batch})
    times = max(1, cars // config.num_envs)
    rules = config.evaluation
    rules = rules.model_copy(update={"eval_freq": rules.eval_freq * times})
    steps = config.total_timesteps * times
    changes = {"num_envs": cars, "ppo": ppo, "evaluation": rules, "total_timesteps": steps}
    return config.model_copy(update=changes)


def _on_device(config: RunConfig, device: str) -> RunConfig:
    return config.model_copy(update={"device": device, "simulator": "device"})


def _on_host(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"device": "cpu", "simulator": "host"})


def _subjects(
    cars: int, device: str
) -> Iterator[tuple[str, Callable[[RunConfig], float], RunConfig]]:
    """Yield what is measured: its name, the function that measures it, and the run on the device.

    Args:
        cars: Number of cars.
        device: `cuda` or `cpu`.
    """
    state = _on_device(_for_cars(DEVICE_CONFIGS["state"], cars), device)
    camera = _on_device(_for_cars(DEVICE_CONFIGS["camera"], cars), device)
    yield "physics steps", _physics_rate, state
    for width, height in ((160, 120), (80, 60)):
        frames = state.model_copy(update={"sensor": (CameraConfig(width=width, height=height),)})
        yield f"frames {width}x{height}", _simulation_rate, frames
    yield "trained steps, state", _trained_rate, state
    yield "trained steps, camera", _trained_rate, camera


def _compare(
    what: str,
    rate: Callable[[RunConfig], float],
    config: RunConfig,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Return a row of the figures.

    Args:
        what: Its name.
        rate: Measures a run, per second.
        config: The run on the device.
        say: Called with the reason if the device fails.
    """
    cars, on_device = config.num_envs, None
    _free_memory()
    try:
        on_device = rate(config)
    except RuntimeError as problem:  # as torch and Warp raise where the memory is used up
        say(f"{what}, {cars:,} cars: {problem}")
    host = rate(_on_host(config)) if cars <= MOST_HOST_CARS else None
    return {"what": what, "cars": cars, "device_per_s": on_device, "host_per_s": host}


def _free_memory() -> None:
    """Free what earlier measurements held on a device: learners refer to their cars in circles."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _physics_rate(config: RunConfig) -> float:
    return SUBSTEPS_PER_CONTROL * _simulation_rate(config)


def _trained_rate(config: RunConfig) -> float:
    return training_rate(config, TIMED_S)


def _simulation_rate(config: RunConfig) -> float:
    """Return the control steps per second, over all cars, with random actions and no learner."""
    with closing(make_training_env(config, is_logged=False)) as env:
        env.seed(config.seed)
        env.reset()
        step, finish = _stepper(env)
        for _ in range(STEPS_AT_ONCE):  # What is compiled at first is not timed.
            step()
        finish()
        began, steps, spent = time.perf_counter(), 0, 0.0
        while spent < TIMED_S:
            for _ in range(STEPS_AT_ONCE):
                step()
            finish()
            steps += STEPS_AT_ONCE
            spent = time.perf_counter() - began
    return steps * config.num_envs / spent


def _stepper(env: TrainingEnv) -> tuple[Callable[[], Any], Callable[[], None]]:
    """Return a function that steps all cars by random actions, and one that waits for the device.

    Args:
        env: The cars, which have been reset.
    """
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (STEPS_AT_ONCE, env.num_envs, 2)).astype(np.float32)
    if isinstance(env, CarsVecEnv):
        turns = itertools.cycle(actions)

        def step_host() -> None:
            env.step(next(turns))

        return step_host, lambda: None
    import torch

    device, cars = env.cars.device, env.cars
    on_device = itertools.cycle(torch.as_tensor(actions, device=device).unbind())
    wait = torch.cuda.synchronize if torch.device(device).type == "cuda" else lambda: None
    return lambda: cars.step(next(on_device)), wait


def _clean_laps(
    what: str, name: str, config: RunConfig, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return how long a config trains until the judge sees a clean lap, and a clean race.

    Args:
        what: What the cars see.
        name: The config's name.
        config: The run.
        say: Called before it begins, and with the reason if it fails.
    """
    own = {"what": what, "simulator": config.simulator, "config": name, "cars": config.num_envs}
    found: dict[str, Any] = {"first_lap_s": None, "laps_s": None, "steps": 0}
    timed = config.model_copy(update={"minutes": MINUTES})
    told = f"clean laps, {name}, {config.num_envs:,} cars on the {config.simulator}"
    say(f"{told} ...")
    _free_memory()
    try:
        time_to_clean_laps(one_rollout(timed), 0)  # so that what is compiled is there
        found = time_to_clean_laps(timed, 0)
    except RuntimeError as problem:
        say(f"{told}: {problem}")
    return own | {key: found[key] for key in ("first_lap_s", "laps_s", "steps")}


def device_benchmark_tables(figures: dict[str, Any]) -> list[FittedTable]:
    """Return the figures of `benchmark_device` as tables for the terminal.

    Args:
        figures: The figures.
    """
    rates = FittedTable(
        TableColumn("per second", "left"),
        TableColumn("cars"),
        TableColumn("device"),
        TableColumn("host"),
        TableColumn("ratio", drop=1),
        title=f"device: {figures['device']}; host: {figures['machine']}",
    )
    for row in figures["rows"]:
        both = row["device_per_s"], row["host_per_s"]
        shown = ["-" if one is None else f"{one:,.0f}" for one in both]
        ratio = "-" if None in both else f"{both[0] / both[1]:.1f}"
        rates.add_row(row["what"], f"{row['cars']:,}", *shown, ratio)
    laps = FittedTable(
        TableColumn("config", "left"),
        TableColumn("cars"),
        TableColumn("simulated", "left", drop=1),
        TableColumn("one lap"),
        TableColumn("all laps"),
        TableColumn("steps", drop=2),
        title="seconds of training until the judge saw a clean lap, and a whole clean race",
    )
    for row in figures["clean_laps"]:
        times = (_time_in_words(row[key]) for key in ("first_lap_s", "laps_s"))
        own = row["config"], f"{row['cars']:,}", f"on the {row['simulator']}"
        laps.add_row(*own, *times, f"{row['steps'] / 1000:,.0f}k")
    memory = FittedTable(
        TableColumn("bytes a car", "left"),
        TableColumn("cars"),
        TableColumn("simulator"),
        TableColumn("rollout"),
        TableColumn("all cars"),
        title="device memory by the sizes of the arrays",
    )
    for row in figures["memory"]:
        parts = row["env_bytes"], row["rollout_bytes"]
        whole = f"{row['cars'] * sum(parts) / 1e9:,.2f} GB"
        memory.add_row(row["what"], f"{row['cars']:,}", *(f"{one:,}" for one in parts), whole)
    return [rates, laps, memory]


def _time_in_words(value: float | None) -> str:
    return "not yet" if value is None else f"{value:.1f}"
