"""Lap speedruns: which config trains to fast clean laps sooner, timed in turn and tested.

The rules are in docs/speedrun.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from racer.assets import assets_root
from racer.assets.overrides import with_overrides
from racer.car.spec import car_named
from racer.cluster.jobs import JobPool
from racer.errors import ConfigError
from racer.laptime import committed_limit
from racer.reward.reward_file import SHIPPED_REWARDS
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.file_copies import carried_config, read_carried
from racer.training.machine_description import describe_machine
from racer.training.time_to_clean_laps import one_rollout, time_to_clean_laps

TARGET_LAPS = 3
"""Laps of the evaluation that ends a run; all must be clean."""
TARGET_X_LIMIT = 1.5
"""Longest time of these laps, in multiples of the track's minimum lap time."""
SIGNIFICANCE = 0.01
"""A challenger is a record if the test's p-value is below this."""
MIN_SEEDS = 5
"""Least number of runs of each config: with four the smallest possible p-value is 1/70."""
EXACT_PERMUTATIONS = 200_000
"""Most ways to deal out the times that the test counts one by one; more are sampled. Ten runs of
each config have 184,756."""
EVALUATION_TIME_LIMIT_S = 90.0
"""Simulated time of an evaluation [s]."""


class SpeedrunConfigs(NamedTuple):
    """The two configs of a comparison, ready to be timed.

    Attributes:
        challenger: The challenger.
        record: The standing record's config; None if no record stands.
    """

    challenger: RunConfig
    record: RunConfig | None


class SpeedrunTimes(NamedTuple):
    """The times of one config.

    Attributes:
        seeds: The seed of each run.
        seconds: The time of each run [s]; the limit if it did not reach the target within it.
        reached: Number of runs that reached the target.
    """

    seeds: tuple[int, ...]
    seconds: tuple[float, ...]
    reached: int

    @property
    def median_s(self) -> float:
        """The median time [s]."""
        return median(self.seconds)


class SpeedrunComparison(NamedTuple):
    """The times of a challenger and of the standing record on the same machine.

    Attributes:
        challenger: The challenger's times.
        record: The record's times; None if no record stands.
        p: The p-value of `one_sided_p`; None if no record stands.
        machine: The machines of a cluster that were timed; "" for this one.
    """

    challenger: SpeedrunTimes
    record: SpeedrunTimes | None
    p: float | None
    machine: str = ""

    @property
    def is_record(self) -> bool:
        """Whether the challenger is the new record.

        The first record of a category needs no test, but a median within the limit.
        """
        if self.p is None:
            return 2 * self.challenger.reached > len(self.challenger.seconds)
        return self.p < SIGNIFICANCE


def speedrun_config(config: RunConfig, track: str, sensor: str, minutes: float) -> RunConfig:
    """Return a config with the speedrun's evaluation and time limit.

    Args:
        config: The config, which may choose everything else.
        track: The track of the category.
        sensor: The kind of the sensors of the category.
        minutes: Limit of one run.

    Raises:
        ConfigError: The config breaks a rule.
    """
    kinds = sorted({one.kind for one in config.sensor})
    race = config.race
    for wanted, got, what in (
        ([sensor], kinds, "sensor"),
        ("deepracer", config.car, "car"),
        ("time_trial", race.kind, "race.kind"),
        (False, race.walls, "race.walls"),
        ("forward", race.direction, "race.direction"),
    ):
        if wanted != got:
            said = ", ".join(got) if isinstance(got, list) else got
            asked = ", ".join(wanted) if isinstance(wanted, list) else wanted
            raise ConfigError(f"a speedrun needs {what}: {asked}; the config has {said}")
    if not (assets_root() / SHIPPED_REWARDS / f"{config.reward}.py").is_file():
        raise ConfigError(
            f"a speedrun needs the name of a reward in {SHIPPED_REWARDS}, so that a record can be "
            f"timed again; the config has {config.reward}"
        )
    if committed_limit(load_track(track), car_named(config.car)) is None:
        raise ConfigError(
            f"the minimum lap time of {track} is not known; a speedrun needs a shipped track"
        )
    judged = {
        "track": (track,),
        "laps": TARGET_LAPS,
        "time_limit": EVALUATION_TIME_LIMIT_S,
    }
    changes = {"minutes": minutes, "evaluation": judged}
    return with_overrides(config, changes, "speedrun")


def compare_configs(
    configs: SpeedrunConfigs,
    count: int,
    say: Callable[[str], None],
    time_run: Callable[[RunConfig, int], float | None] | None = None,
    pool: JobPool | None = None,
) -> SpeedrunComparison:
    """Time a challenger and the standing record in turn, and test whether the challenger is faster.

    Each config first drives one rollout that is not timed, so that compiled kernels are cached.
    Then pairs of runs follow, in alternating order: a machine that becomes slower meanwhile slows
    both. Each run has a seed of its own that was never used before.

    Args:
        configs: The configs, as `speedrun_config` returns them.
        count: Number of runs of each config.
        say: Called with a line for each run.
        time_run: Returns the seconds of a run of a config with a seed, None if it does not reach
            the target; a training by default.
        pool: Where pairs of runs are trained, several at a time; each needs a machine for itself.
            Both runs of a pair are on the same machine, one after the other. None: here.

    Raises:
        ConfigError: There are too few runs for the test.
    """
    if count < MIN_SEEDS:
        raise ConfigError(
            f"seeds: {count}; with fewer than {MIN_SEEDS} runs of each config no difference gives "
            f"p < {SIGNIFICANCE}"
        )
    given = {"challenger": configs.challenger, "record": configs.record}
    timed = {name: config for name, config in given.items() if config is not None}
    seeds = {name: _fresh_seeds(count) for name in timed}
    pairs = [[(name, seeds[name][k]) for name in _turns(timed, k)] for k in range(count)]
    seconds: dict[str, list[float | None]] = {name: [None] * count for name in timed}
    machines: set[str] = set()
    for k, name, took, machine in _timed_pairs(timed, pairs, time_run, pool):
        seconds[name][k] = took
        machines.add(machine)
        shown = "did not reach the target" if took is None else f"{took:.1f} s"
        say(f"{name}, run {k + 1} of {count}, seed {seeds[name][k]}: {shown}")
    limit_s = 60.0 * configs.challenger.minutes
    times = {name: _times(seeds[name], seconds[name], limit_s) for name in timed}
    record = times.get("record")
    p = one_sided_p(times["challenger"].seconds, record.seconds) if record else None
    where = " and ".join(sorted(filter(None, machines)))
    return SpeedrunComparison(times["challenger"], record, p, where)


def _turns(timed: Mapping[str, RunConfig], k: int) -> list[str]:
    """Return the names of the configs in the order of pair k."""
    return sorted(timed, reverse=k % 2 == 1)


def _timed_pairs(
    timed: dict[str, RunConfig],
    pairs: list[list[tuple[str, int]]],
    time_run: Callable[[RunConfig, int], float | None] | None,
    pool: JobPool | None,
) -> Iterator[tuple[int, str, float | None, str]]:
    """Yield for each run its pair's index, its config's name, its seconds, and where it was.

    Args:
        timed: The configs by their names.
        pairs: Name and seed of each run of each pair.
        time_run: As in `compare_configs`.
        pool: As in `compare_configs`.
    """
    if pool is None:
        run = time_run or _time_training
        for config in timed.values():
            run(one_rollout(config), 0)
        for k, pair in enumerate(pairs):
            for name, seed in pair:
                yield k, name, run(timed[name], seed), ""
        return
    with ExitStack() as opened:
        folders = {name: opened.enter_context(carried_config(one)) for name, one in timed.items()}
        names = list(folders)
        given = {
            k: ([(names.index(name), seed) for name, seed in pair], *folders.values())
            for k, pair in enumerate(pairs)
        }
        for one in pool.run(time_pair, given):
            seconds, machine = one.outcome
            for (name, _), took in zip(pairs[one.key], seconds):
                yield one.key, name, took, machine


def time_pair(runs: list[tuple[int, int]], *folders: Path) -> tuple[list[float | None], str]:
    """Return the seconds of a pair of runs on the machine of this process, and what it is.

    Each config first drives one rollout that is not timed.

    Args:
        runs: For each run the index of its config's folder, and its seed.
        folders: The folder of each config; see `carried_config`.
    """
    configs = [read_carried(folder) for folder in folders]
    for config in configs:
        _time_training(one_rollout(config), 0)
    machine = describe_machine(configs[0].device)
    return [_time_training(configs[k], seed) for k, seed in runs], machine


def one_sided_p(challenger: Sequence[float], record: Sequence[float]) -> float:
    """Return the p-value of the test whether the challenger's times are shorter than the record's.

    It is Mann and Whitney's rank test: training times are not normally distributed, and a run that
    reaches the limit is only known to be slower than the others. All ways to deal out the times are
    counted, so equal times are treated exactly.

    Args:
        challenger: Times of the challenger [s].
        record: Times of the record [s].

    Example:
        >>> round(one_sided_p([1, 2, 3, 4], [5, 6, 7, 8]), 4)  # the least that four runs give
        0.0143
        >>> round(one_sided_p([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 4)
        0.004
    """
    from scipy.stats import PermutationMethod, mannwhitneyu

    counted: Any = PermutationMethod(n_resamples=EXACT_PERMUTATIONS, random_state=0)
    return float(mannwhitneyu(challenger, record, alternative="less", method=counted).pvalue)


def _time_training(config: RunConfig, seed: int) -> float | None:
    return time_to_clean_laps(config, seed, TARGET_X_LIMIT)["laps_s"]


def _fresh_seeds(count: int) -> tuple[int, ...]:
    """Return seeds that nobody chose."""
    return tuple(secrets.randbelow(2**31) for _ in range(count))


def _times(seeds: Sequence[int], seconds: Sequence[float | None], limit_s: float) -> SpeedrunTimes:
    """Return times in which a run that did not reach the target within the limit has the limit."""
    within = [one if one is not None and one < limit_s else limit_s for one in seconds]
    reached = sum(one < limit_s for one in within)
    return SpeedrunTimes(tuple(seeds), tuple(within), reached)
