"""Whoever watches, pauses or evaluates a training changes none of its bits."""

import threading
import time

import numpy as np
import pytest

from racer.assets.document import validate_document
from racer.cli import main
from racer.errors import RunError
from racer.training import live_frames
from racer.training.callbacks import save
from racer.training.callbacks.live import LiveCallback
from racer.training.config import RunConfig
from racer.training.live_frames import LiveFrameReader, LiveFrameWriter, frame_dtype, ring_length
from racer.training.run_dir import Run
from racer.training.run_history import summarize_run
from racer.training.train import run_training
from tests.helpers.runs import QUIET, chunked_config, no_figures, weights_after

__all__ = ["no_figures"]


def same_weights(first, second):
    mine, theirs = weights_after(first, 1024), weights_after(second, 1024)
    return all((mine[key] == theirs[key]).all() for key in mine)


@pytest.fixture(scope="module")
def plain(tmp_path_factory, no_figures):
    """A training that nobody looks at."""
    return run_training(chunked_config(), tmp_path_factory.mktemp("plain") / "run", QUIET).run


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_watched_training_learns_the_same_to_the_bit(plain, tmp_path, monkeypatch, workers):
    config, frames = chunked_config(workers=workers), []
    monkeypatch.setattr(live_frames, "BURST_FRAMES", 10_000)
    monkeypatch.setattr(LiveFrameWriter, "is_watched", lambda self: True)
    reader = LiveFrameReader(tmp_path / "run", config)
    writes = LiveFrameWriter.write

    def write(self, *given):
        writes(self, *given)
        frames.extend(reader.read())

    monkeypatch.setattr(LiveFrameWriter, "write", write)
    watched = run_training(config, tmp_path / "run", QUIET).run
    assert same_weights(plain.folder, watched.folder)
    assert [int(one["number"]) for one in frames] == list(range(1, len(frames) + 1))
    assert len(frames) > 30
    poses = np.array([one["poses"] for one in frames])
    assert poses.shape[1:] == (8, 4)
    assert np.abs(np.diff(poses[:, :, 0], axis=0)).max() > 0.01
    assert not (watched.folder / "live.ring").exists()


def test_a_training_that_nobody_watches_writes_no_frame(plain):
    names = {one.name for one in plain.folder.iterdir()}
    assert not names & {"live.ring", "watching", "pause", "evaluate"}


def test_a_touch_counts_for_some_seconds(tmp_path, monkeypatch):
    config = chunked_config()
    writer, reader = LiveFrameWriter(tmp_path, config), LiveFrameReader(tmp_path, config)
    assert not writer.is_watched()
    reader.watch()
    assert writer.is_watched()
    now = time.time()
    monkeypatch.setattr(live_frames.time, "time", lambda: now + 2 * live_frames.WATCH_S)
    assert not writer.is_watched()


def test_frames_are_limited_to_their_rate_after_a_burst(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(live_frames.time, "monotonic", lambda: clock[0])
    writer, due = LiveFrameWriter(tmp_path, chunked_config()), []
    for _ in range(1000):
        clock[0] += 0.01
        due.append(writer.is_due())
    assert all(due[:30])
    assert sum(due) == pytest.approx(30 + 10.0 * 15.0, abs=2)


def test_each_frame_is_read_once_and_a_torn_one_never(tmp_path):
    config = chunked_config(sensor=["camera", "state"])
    writer, reader = LiveFrameWriter(tmp_path, config), LiveFrameReader(tmp_path, config)
    seen = {
        "camera": np.full((8, 120, 160, 1), 7, np.uint8),
        "state": np.full((8, 26), 0.5, np.float32),
    }
    assert reader.read() == []
    for steps in (8, 16):
        writer.write(np.full((8, 4), steps, np.float32), seen, steps)
        time.sleep(0.001)
    first, second = reader.read()
    assert (int(first["steps"]), int(second["steps"])) == (8, 16)
    assert (second["camera"] == 7).all()
    assert (second["state"] == 0.5).all()
    assert reader.read() == []
    writer.write(np.zeros((8, 4), np.float32), seen, 24)
    assert writer._ring is not None
    writer._ring[3]["check"] = 0
    assert reader.read() == []
    (tmp_path / "live.ring").write_bytes(b"short")
    assert reader.read() == []


def test_the_file_of_large_frames_stays_small():
    layout = frame_dtype(chunked_config(sensor={"kind": "camera", "width": 1920, "height": 1080}))
    assert 2 <= ring_length(layout) < 64
    assert ring_length(layout) * layout.itemsize <= live_frames.MAX_RING_BYTES
    assert ring_length(frame_dtype(chunked_config())) == 64


@pytest.mark.slow
def test_a_training_that_is_paused_and_evaluated_learns_the_same_to_the_bit(
    plain, tmp_path, monkeypatch
):
    states, done = [], []

    def step(self):
        if self.num_timesteps == 384 and not states:
            # Within a rollout; the helper waits until the training waits.
            self_run.request("pause")
            self_run.request("evaluate")
            threading.Thread(target=go_on).start()
        return True

    def go_on():
        deadline = time.monotonic() + 60.0
        while "paused" not in (self_run.folder / "log.txt").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        states.append(summarize_run(self_run))
        main(["runs", "resume", str(self_run.folder)])

    self_run = Run(tmp_path / "run")
    monkeypatch.setattr(save, "STOP_CHECK_S", 0.0)
    monkeypatch.setattr(LiveCallback, "_on_step", step)
    result = run_training(
        chunked_config(), self_run.folder, QUIET, callback=lambda one: done.append(one.steps)
    )
    assert result.is_finished
    assert [(one["state"], one["is_resumable"]) for one in states] == [("paused", False)]
    assert same_weights(plain.folder, self_run.folder)
    assert done == [256, 384, 512, 768, 1024]
    assert [one["steps"] for one in self_run.records("evaluations")] == done
    assert "going on" in (self_run.folder / "log.txt").read_text()
    for name in ("pause", "evaluate"):
        assert not (self_run.folder / name).exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "learner",
    [
        {
            "algorithm": "recurrent_ppo",
            "recurrent_ppo": {"n_steps": 16, "batch_size": 64, "n_epochs": 1},
        },
        {"algorithm": "sac", "sac": {"learning_starts": 128, "gradient_steps": 2}},
        {"sensor": {"kind": "camera", "width": 32, "height": 24}, "network": {"dropout": 0.2}},
    ],
    ids=["recurrent_ppo", "sac", "dropout"],
)
def test_an_evaluation_on_request_changes_no_learner(tmp_path, monkeypatch, learner):
    if "network" in learner:
        layers = {"filters": [[8, 4, 4]], "features": [16], "hidden": [16]}
        learner = learner | {"network": learner["network"] | layers}
        config = chunked_config(**learner)
    else:
        tree = chunked_config().model_dump(exclude={"ppo"}) | learner
        config = validate_document(tree, RunConfig, "test")
    first = run_training(config, tmp_path / "first", QUIET).run
    run = Run(tmp_path / "second")

    def step(self):
        if self.num_timesteps in (128, 384, 640):
            run.request("evaluate")
        return True

    monkeypatch.setattr(LiveCallback, "_on_step", step)
    run_training(config, run.folder, QUIET)
    assert len(run.records("evaluations")) == len(first.records("evaluations")) + 3
    assert same_weights(first.folder, run.folder)


def test_a_paused_training_can_be_stopped(tmp_path, monkeypatch):
    run = Run(tmp_path / "run")

    def step(self):
        if self.num_timesteps == 384:
            run.request("pause")
            run.request_stop()
        return True

    monkeypatch.setattr(save, "STOP_CHECK_S", 0.0)
    monkeypatch.setattr(LiveCallback, "_on_step", step)
    assert run_training(chunked_config(), run.folder, QUIET).ended == "stopped"
    assert not run.is_requested("pause")
    assert summarize_run(run)["state"] == "stopped"


def test_a_run_that_nobody_trains_cannot_be_asked(plain, capsys):
    for what in ("pause", "evaluate"):
        with pytest.raises(SystemExit):
            main(["runs", what, str(plain.folder)])
        assert f"none to {what}" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["runs", "resume", str(plain.folder)])
    assert "racer train --resume" in capsys.readouterr().err
    with pytest.raises(RunError):
        plain.request("pause")
