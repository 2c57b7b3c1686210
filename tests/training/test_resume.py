"""A run that was interrupted goes on as if it had not been: the same weights, the same log."""

import io
import json
import os
import pickle
import resource
import shutil
from dataclasses import replace

import pytest
import torch
from rich.console import Console

from racer.cli import main
from racer.errors import RunError
from racer.training.callbacks.evaluate import ranking_key
from racer.training.callbacks.save import SaveCallback
from racer.training.checkpoint_content import lap_result_from_dict
from racer.training.checkpoints import Checkpoints
from racer.training.run_dir import Run
from racer.training.train import resume_training, run_training
from tests.helpers.runs import (
    CHUNK,
    QUIET,
    assert_same_run,
    chunked_config,
    no_figures,
    weights_after,
)

__all__ = ["no_figures"]

REWARD = (
    "import random\n"
    "seen = []\n"
    "def reward_function(params):\n"
    "    seen.append(params['speed'])\n"
    "    return 1e-3 * len(seen) + 0.1 * random.random() + params['progress'] / 100\n"
)
"""It remembers and it draws: neither may tell a resumed run from another."""


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    reward = tmp_path_factory.mktemp("reward") / "mine.py"
    reward.write_text(REWARD)
    return chunked_config(reward=str(reward))


@pytest.fixture(scope="module")
def whole(mine, tmp_path_factory):
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    run_training(mine, folder, QUIET)
    return folder


def cut(config, folder, steps):
    """A run that a signal ends after so many steps."""
    step = SaveCallback._on_step

    def until(self):
        self.is_stopping = self.is_stopping or self.num_timesteps >= steps
        return step(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaveCallback, "_on_step", until)
        assert run_training(config, folder, QUIET).ended == "stopped"
    return folder


@pytest.fixture(scope="module")
def ended(mine, tmp_path_factory):
    return cut(mine, tmp_path_factory.mktemp("ended") / "run", 3 * CHUNK + 8)


@pytest.fixture
def left(ended, tmp_path):
    """A run that was stopped in its fourth chunk of four."""
    return shutil.copytree(ended, tmp_path / "run")


@pytest.mark.parametrize("steps", [200, 2 * CHUNK], ids=["first", "boundary"])
def test_a_stopped_run_goes_on_to_the_same_weights_and_evaluations(mine, whole, tmp_path, steps):
    folder = cut(mine, tmp_path / "run", steps)
    assert f"step-{steps}" in {path.stem for path in (folder / "checkpoints").iterdir()}
    random_state = torch.get_rng_state()
    torch.manual_seed(99)
    assert resume_training(folder, QUIET).is_finished
    torch.set_rng_state(random_state)
    assert_same_run(folder, whole)
    assert Run.open(folder).story()["ended"] == "finished"


@pytest.mark.slow
def test_a_camera_with_batch_norm_and_dropout_goes_on_the_same(tmp_path):
    several = chunked_config(
        sensor={"kind": "camera", "width": 32, "height": 24},
        network={"preset": "small", "filters": [[4, 4, 2]], "batch_norm": True, "dropout": 0.3,
                 "features": [16], "hidden": [16]},
        total_timesteps=2 * CHUNK,
    )  # fmt: skip
    run_training(several, tmp_path / "whole", QUIET)
    cut(several, tmp_path / "cut", CHUNK + 40)
    resume_training(tmp_path / "cut", QUIET)
    assert_same_run(tmp_path / "cut", tmp_path / "whole", 2 * CHUNK)


@pytest.mark.slow
def test_what_scales_observations_and_rewards_goes_on_the_same(tmp_path):
    scaled = chunked_config(
        network={"hidden": [16], "normalize_obs": True},
        ppo={"n_steps": 32, "batch_size": 64, "n_epochs": 2, "normalize_reward": True},
        total_timesteps=2 * CHUNK,
    )
    run_training(scaled, tmp_path / "whole", QUIET)
    held = weights_after(tmp_path / "whole", 2 * CHUNK)
    count = next(value for key, value in held.items() if key.endswith("count"))
    assert count == 2 * CHUNK
    cut(scaled, tmp_path / "cut", CHUNK + 40)
    resume_training(tmp_path / "cut", QUIET)
    assert_same_run(tmp_path / "cut", tmp_path / "whole", 2 * CHUNK)


@pytest.mark.slow
@pytest.mark.parametrize("harm", ["truncated", "altered", "gone"])
def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_is_used(whole, left, harm):
    newest = left / "checkpoints" / f"step-{3 * CHUNK}.pt"
    content = newest.read_bytes()
    if harm == "gone":
        newest.unlink()
    else:
        half = len(content) // 2
        other = bytes([content[half] ^ 1])
        newest.write_bytes(content[:half] + (other + content[half + 1 :]) * (harm == "altered"))
    said = io.StringIO()
    resume_training(left, Console(file=said, width=1000))
    assert f"step-{3 * CHUNK}.pt: " in said.getvalue()
    assert f"resumed after {2 * CHUNK}" in said.getvalue()
    assert_same_run(left, whole)


def test_a_run_whose_checkpoints_are_all_damaged_is_refused(left):
    for path in (left / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(RunError, match="no checkpoint is left that is not damaged"):
        resume_training(left, QUIET)


def test_the_newest_and_the_best_are_kept(whole, tmp_path):
    kept = Checkpoints(tmp_path)
    kept.folder.mkdir()
    best = {1: 1, 2: 1, 3: 1, 4: 4, 5: 4, 6: 4}
    for steps, its_best in best.items():
        kept.save(b"%d" % steps, steps, True, f"step-{its_best}.pt", keep=2)
        names = {path.stem for path in kept.folder.iterdir()}
        assert names == {one.file.removesuffix(".pt") for one in kept.known()}
        assert {f"step-{max(steps - 1, 1)}", f"step-{steps}", f"step-{its_best}"} <= names
        assert f"step-{best[max(steps - 1, 1)]}" in names, "the best as the one before knew it"
    last = {path.stem for path in kept.folder.iterdir()}
    assert sorted(last) == ["step-4", "step-5", "step-6"]
    assert len(Run.open(whole).saved.known()) in (3, 4)


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_checkpoints_and_says_what_to_do(
    mine, whole, tmp_path, monkeypatch
):
    folder, save = tmp_path / "run", Checkpoints.save
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full(self, content, steps, *rest):
        if steps >= 3 * CHUNK:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(content) // 2, before[1]))
        return save(self, content, steps, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", full)
        try:
            with pytest.raises(
                RunError, match=r"File too large.*free some disk space, then run `racer train -"
            ):
                run_training(mine, folder, QUIET)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(folder.glob("**/*.part"))
    assert [one.steps for one in Run.open(folder).saved.known()] == [CHUNK, 2 * CHUNK]
    resume_training(folder, QUIET)
    assert_same_run(folder, whole)


def test_a_run_that_trains_is_not_trained_twice(left):
    with Run.open(left).locked(), pytest.raises(RunError, match="trains this run now"):
        resume_training(left, QUIET)


def test_a_finished_run_has_nothing_to_resume(whole, capsys):
    with pytest.raises(SystemExit):
        main(["train", "--resume", str(whole)])
    assert "1,024 steps are trained; nothing is left" in capsys.readouterr().err


def test_the_minutes_of_all_parts_count(left):
    held = Run.open(left).saved.newest_whole(print)
    assert held
    spent = json.loads(torch.load(io.BytesIO(held[1]), weights_only=True)["progress"])["seconds"]
    assert spent > 0.05
    with pytest.raises(RunError, match=r"minutes have passed after 768 of 1,024 .* with --minutes"):
        resume_training(left, QUIET, minutes=0.9 * spent / 60.0)
    result = resume_training(left, QUIET, minutes=1.0)
    assert result.is_finished
    assert result.seconds > spent


def test_a_checkpoint_that_carries_code_runs_none_of_it(left, tmp_path):
    class Code:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    Run.open(left).saved.save(pickle.dumps(Code()), 4 * CHUNK, True, None, 3)
    with pytest.raises(RunError, match="not a checkpoint"):
        resume_training(left, QUIET)
    assert not (tmp_path / "pwned").exists()


def test_a_last_line_that_a_power_loss_cut_short_is_left_out(whole, left):
    with (left / "episodes.jsonl").open("ab") as file:
        file.write(b'{"steps": 77')
    resume_training(left, QUIET)
    assert_same_run(left, whole)


def test_a_best_result_is_recalled_as_it_was_recorded(whole):
    record = json.loads((whole / "best.json").read_text())["result"]
    assert lap_result_from_dict(record, None).as_dict() | {"limit_s": record["limit_s"]} == record


@pytest.mark.slow
def test_an_evaluation_on_other_tracks_than_those_of_training_is_kept_and_goes_on(tmp_path):
    exam = {"eval_freq": CHUNK, "laps": 1, "time_limit": 4.0, "track": ["wedge", "cove"]}
    exam["races"] = 2
    several = chunked_config(track=["oval", "bowtie"], evaluation=exam, total_timesteps=2 * CHUNK)
    run_training(several, tmp_path / "whole", QUIET)
    cut(several, tmp_path / "cut", CHUNK + 40)
    resume_training(tmp_path / "cut", QUIET)
    assert_same_run(tmp_path / "cut", tmp_path / "whole", 2 * CHUNK)
    for one in Run.open(tmp_path / "cut").records("evaluations"):
        races = [(race["track"], race["seed"]) for race in (one, *one["others"])]
        assert races == [("wedge", 0), ("cove", 0), ("wedge", 1), ("cove", 1)]


def test_the_best_of_several_tracks_is_the_one_with_the_most_laps_over_all(whole):
    (record,) = Run.open(whole).records("evaluations")[-1:]
    one = lap_result_from_dict(record, None)
    some = replace(one, laps=3, laps_completed=2, lap_times_s=[9.0, 9.0], resets=0)
    every = replace(one, laps=3, laps_completed=3, lap_times_s=[9.0] * 3, resets=0)
    faulty, slow = replace(every, resets=2), replace(every, lap_times_s=[9.0, 9.0, 9.5])
    order = [[some, some], [some, every], [every, faulty], [every, slow], [every, every]]
    mixed = order[::-1]
    assert sorted(mixed, key=ranking_key) == order
