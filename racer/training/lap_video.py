"""The video of a run's lap: of an evaluation in training, or of its best checkpoint afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from racer.evaluation import LapResult, evaluate_alone, make_race_rules
from racer.rendering.race_video import write_race_video
from racer.track import load_track
from racer.training.config import RunConfig
from racer.training.run_dir import Run
from racer.world import CONTROL_RATE_HZ

VIDEO_WITHOUT_LAP_S = 10.0
"""Length of the video of a race without a complete lap [s]."""
VIDEO_SIZE_PX = (640, 360)
"""Width and height of the videos; small, so that rendering them takes little time."""


def write_lap_video(
    run: Run,
    config: RunConfig,
    result: LapResult,
    steps: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the first lap of an evaluation's race to `videos/step-N.mp4`, and return its path.

    Without a complete lap, the video shows the first `VIDEO_WITHOUT_LAP_S` seconds.

    Args:
        run: The run.
        config: The run's config.
        result: The race, on the first track of the evaluations.
        steps: Control steps before the evaluation, over all cars.
        on_progress: Called after each picture with the number of pictures done and in total.

    Raises:
        RacerError: The file cannot be written.
    """
    path = run.video_path(steps)
    write_race_video(
        path,
        load_track(config.evaluation_tracks[0]),
        [result],
        config.race.model_copy(update={"laps": result.laps}),
        [run.folder.name],
        sensor=config.sensor,
        car=config.car,
        size=VIDEO_SIZE_PX,
        rate=CONTROL_RATE_HZ,
        until=result.lap_times_s[0] if result.lap_times_s else VIDEO_WITHOUT_LAP_S,
        on_progress=on_progress,
    )
    return path


def record_best_lap(run: Run, on_progress: Callable[[int, int], None] | None = None) -> Path:
    """Race a run's best checkpoint as its evaluation did, and write the video of the first lap.

    Args:
        run: The run.
        on_progress: Called after each picture with the number of pictures done and in total.

    Returns:
        The path of the video. One that exists already is not written again.

    Raises:
        RunError: The run has no checkpoint, or it cannot be read.
        RacerError: The track cannot be used, or the video cannot be written.
    """
    import torch

    from racer.networks.policy_network import TorchPolicy
    from racer.training.checkpoint_policy import load_checkpoint_policy

    policy = load_checkpoint_policy(run)
    if (path := run.video_path(policy.steps)).is_file():
        return path
    config, rules = policy.config, policy.config.evaluation
    race = config.race
    result = evaluate_alone(
        TorchPolicy(policy.network.actor(), torch.device("cpu")),
        config.sensor,
        config.actions,
        config.evaluation_tracks[0],
        make_race_rules(rules.laps, race.off_track_penalty, rules.time_limit, like=race),
        config.seed,
        config.car,
    )
    return write_lap_video(run, config, result, policy.steps, on_progress)
