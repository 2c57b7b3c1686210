"""Lap speedruns: which config trains to fast clean laps sooner, timed in turn and tested.

The rules are in docs/speedrun.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any, NamedTuple

from racer.assets import assets_root
from racer.assets.overrides import with_overrides
from racer.car.spec import car_named
from racer.errors import ConfigError
from racer.laptime import committed_limit
from racer.reward.reward_file import SHIPPED_REWARDS
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.time_to_clean_laps import time_to_clean_laps

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
    """

    challenger: SpeedrunTimes
    record: SpeedrunTimes | None
    p: float | None

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

    Raises:
        ConfigError: There are too few runs for the test.
    """
    if count < MIN_SEEDS:
        raise ConfigError(
            f"seeds: {count}; with fewer than {MIN_SEEDS} runs of each config no difference gives "
            f"p < {SIGNIFICANCE}"
        )
    run = time_run or _time_training
    given = {"challenger": configs.challenger, "record": configs.record}
    timed = {name: config for name, config in given.items() if config is not None}
    for config in timed.values():
        run(_one_rollout(config), 0)
    seeds = {name: _fresh_seeds(count) for name in timed}
    seconds: dict[str, list[float | None]] = {name: [] for name in timed}
    for k in range(count):
        for name in sorted(timed, reverse=k % 2 == 1):
            took = run(timed[name], seeds[name][k])
            seconds[name].append(took)
            shown = "did not reach the target" if took is None else f"{took:.1f} s"
            say(f"{name}, run {k + 1} of {count}, seed {seeds[name][k]}: {shown}")
    limit_s = 60.0 * configs.challenger.minutes
    times = {name: _times(seeds[name], seconds[name], limit_s) for name in timed}
    record = times.get("record")
    p = one_sided_p(times["challenger"].seconds, record.seconds) if record else None
    return SpeedrunComparison(times["challenger"], record, p)


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


def _one_rollout(config: RunConfig) -> RunConfig:
    """Return a config whose training ends after its first rollout."""
    return config.model_copy(update={"total_timesteps": 1})


def _fresh_seeds(count: int) -> tuple[int, ...]:
    """Return seeds that nobody chose."""
    return tuple(secrets.randbelow(2**31) for _ in range(count))


def _times(seeds: Sequence[int], seconds: Sequence[float | None], limit_s: float) -> SpeedrunTimes:
    """Return times in which a run that did not reach the target within the limit has the limit."""
    within = [one if one is not None and one < limit_s else limit_s for one in seconds]
    reached = sum(one < limit_s for one in within)
    return SpeedrunTimes(tuple(seeds), tuple(within), reached)
