"""Many entries at once: the same rows as one by one, nothing twice, and nothing stops the rest."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from racer.cli import main
from racer.cluster import LocalPool
from racer.entries.package import read_entry
from racer.errors import BoardError
from racer.leaderboard import batch
from racer.leaderboard.batch import run_season
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from tests.helpers.boards import LOOK, package

QUICK = Season(
    name="quick",
    tracks=("oval",),
    seeds=(0, 1),
    ranking="iqm",
    race=SeasonRaceConfig(laps=1, time_limit=4),
)


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Two good entries and four bad ones, judged by two workers."""
    folder = tmp_path_factory.mktemp("many")
    entries = folder / "entries"
    entries.mkdir()
    first = package(entries / "a.entry.zip", name="a")
    package(entries / "b.entry.zip", name="b", look=0.5 * LOOK)
    (entries / "c.entry.zip").write_bytes(b"no zip")
    package(entries / "d.entry.zip", name="d", car="f1tenth")
    (entries / "e.entry.zip").write_bytes(first.read_bytes())
    package(entries / "f.entry.zip", name="f", look=np.full_like(LOOK, np.nan))
    store, told = BoardStore(folder / "board"), []
    found = run_season(store, QUICK, entries, workers=2, tell=lambda *news: told.append(news))
    return store, entries, found, told


def test_the_rows_are_those_that_a_submission_each_makes(judged, tmp_path):
    store, entries, found, told = judged
    assert [row.name for row in found.added] == ["a", "b"]
    assert (found.races, found.kept, told[0], told[-1]) == (4, 0, (0, 4), (4, 4))
    for row in found.added:
        alone = evaluate_season(
            BoardStore(tmp_path), QUICK, read_entry(entries / f"{row.name}.entry.zip"), None
        )
        assert row.runs == alone
        assert row.box in ("namespaces", "limits only")
    assert store.chain().fault is None
    assert found.ratio > 1


def test_a_bad_entry_is_refused_by_its_code_and_stops_nothing(judged):
    refused = {name[0]: code for name, (code, _) in judged[2].refused.items()}
    assert refused == {"c": "not_a_zip", "d": "board", "e": "twice", "f": "action"}


@pytest.fixture(scope="module")
def good(judged):
    """A folder of the two good entries."""
    entries = judged[1]
    folder = entries.parent / "good"
    folder.mkdir()
    for name in "ab":
        os.link(entries / f"{name}.entry.zip", folder / f"{name}.entry.zip")
    return folder


def test_a_second_time_costs_no_race_and_adds_no_row(judged, good, monkeypatch):
    store = judged[0]
    monkeypatch.setattr(LocalPool, "_run", None)
    found = run_season(store, QUICK, good)
    assert (found.races, found.kept, found.added) == (0, 4, [])
    assert found.there == ["a.entry.zip", "b.entry.zip"]
    assert found.ratio is None


def test_another_season_entry_or_racer_is_judged_anew(judged, monkeypatch):
    _, entries, _, _ = judged
    entry = read_entry(entries / "a.entry.zip")
    run = QUICK.runs()[0]
    heat = batch.RaceJob(entry.sha256, QUICK, run, 0)
    others = [
        heat._replace(sha256="0" * 64),
        heat._replace(
            season=QUICK.model_copy(update={"race": SeasonRaceConfig(laps=2, time_limit=4)})
        ),
        heat._replace(run=QUICK.runs()[1], number=1),
        heat._replace(run=run._replace(track="bowtie")),
    ]
    keys = {one.key for one in [heat, *others]}
    name = "racer.leaderboard.batch_worker.platform_fingerprint"
    monkeypatch.setattr(name, lambda: {"racer": "9.9.9"})
    assert len(keys | {heat.key}) == 6


def test_a_result_whose_replay_is_gone_is_judged_again(judged, tmp_path):
    shutil.copytree(judged[0].folder, tmp_path / "board")
    store = BoardStore(tmp_path / "board")
    results = batch.ResultCache(store)
    key = next(
        path.stem for path in (store.folder / "results").iterdir() if "replay" in path.read_text()
    )
    found = results.find_run(key)
    assert found and found.replay
    replay = store.replay_path(found.replay)
    replay.rename(tmp_path / "aside")
    assert results.find_run(key) is None
    (tmp_path / "aside").rename(replay)
    (store.folder / "results" / f"{key}.json").write_text("{")
    assert results.find_run(key) is None


NAMED = {"ann": "first", "bob": "first", "Zoe\u0308": "first", "x": "ann", "y": "swift"}
"""Names in the manifests of entries by the names of their files."""


def test_entries_of_one_name_are_called_by_their_files(tmp_path):
    for k, (file, name) in enumerate(NAMED.items(), start=1):
        package(tmp_path / f"{file}.entry.zip", name=name, look=(1 / k) * LOOK)
    package(tmp_path / f"{61 * 'l'}.entry.zip", name="first", look=0.12 * LOOK)
    summary = batch.BatchSummary(1)
    racers = batch._racers(tmp_path, QUICK, set(), summary)
    assert sorted(one.name for one in racers) == ["Zo\u00eb", "ann", "bob", "swift", "x"]
    assert sorted(summary.named.values()) == ["Zo\u00eb", "ann", "bob", "x"]
    assert {name[:3]: code for name, (code, _) in summary.refused.items()} == {"lll": "name"}


def test_an_entry_alone_has_its_own_name_unless_the_season_knows_its_file_s(tmp_path):
    package(tmp_path / "ann.entry.zip", name="first")
    for known, name in (set(), "first"), ({"bob"}, "first"), ({"ann"}, "ann"):
        (racer,) = batch._racers(tmp_path, QUICK, known, batch.BatchSummary(1))
        assert racer.name == name


@pytest.mark.slow
def test_a_class_that_exported_one_name_stands_under_the_names_of_its_files(tmp_path):
    entries, store = tmp_path / "class", BoardStore(tmp_path / "board")
    entries.mkdir()
    for k, file in enumerate(("ann", "bob"), start=1):
        package(entries / f"{file}.entry.zip", name="first", look=(1 / k) * LOOK)
    found = run_season(store, QUICK, entries, workers=1)
    assert [row.name for row in found.added] == ["ann", "bob"]
    (entries / "bob.entry.zip").unlink()
    package(entries / "ann.entry.zip", name="first", look=0.11 * LOOK)
    assert [row.name for row in run_season(store, QUICK, entries, workers=1).added] == ["ann"]


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_it_was(judged, tmp_path):
    store, entries, _, _ = judged
    (tmp_path / "a.entry.zip").write_bytes((entries / "a.entry.zip").read_bytes())
    rules = QUICK.model_copy(update={"seeds": (0, 1, 2)})

    def stop(done, all):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_season(store, rules, tmp_path, workers=1, tell=stop)
    assert store.rows(rules) == []
    found = run_season(store, rules, tmp_path, workers=1)
    assert (found.kept, found.races, len(found.added)) == (1, 2, 1)


@pytest.mark.ci
@pytest.mark.slow
def test_a_run_that_is_killed_keeps_what_was_finished_and_goes_on(tmp_path):
    entries, season = tmp_path / "entries", tmp_path / "season.yaml"
    entries.mkdir()
    package(entries / "a.entry.zip")
    rules = QUICK.model_dump(mode="json") | {"seeds": list(range(8))}
    season.write_text(json.dumps(rules))
    words = [sys.executable, "-m", "racer.cli", "board", "run-season", str(entries)]
    words += ["--season", str(season), "--workers", "1"]
    to = {**os.environ, "RACER_BOARD": str(tmp_path / "board")}
    child = subprocess.Popen(words, env=to, stderr=subprocess.DEVNULL, start_new_session=True)
    results = tmp_path / "board" / "results"
    until = time.monotonic() + 60
    while len(list(results.glob("*.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    until = time.monotonic() + 20
    while _group_lives(child.pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _group_lives(child.pid), "the workers end with their parent"
    store = BoardStore(tmp_path / "board")
    assert store.every_row() == []
    found = run_season(store, Season.model_validate(rules), entries, workers=1)
    assert found.kept >= 2
    assert found.kept + found.races == 8
    assert len(found.added) == 1


def _group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_folder_without_entries_and_a_wrong_count_are_named(tmp_path):
    store = BoardStore(tmp_path / "board")
    with pytest.raises(BoardError, match="no file there ends with"):
        run_season(store, QUICK, tmp_path)
    with pytest.raises(BoardError, match="1 or more"):
        run_season(store, QUICK, tmp_path, workers=0)


@pytest.mark.slow
def test_the_verb_tells_a_person_and_a_program(judged, good, monkeypatch, capsys, tmp_path):
    store = judged[0]
    season = tmp_path / "quick.yaml"
    season.write_text(json.dumps(QUICK.model_dump(mode="json")))
    monkeypatch.setenv("RACER_BOARD", str(store.folder))
    asked = ["board", "run-season", str(good), "--season", str(season)]
    main(asked)
    assert "0 entries added, 2 there already, 0 refused" in capsys.readouterr().out
    main([*asked, "--json", "--workers", "2"])
    told = json.loads(capsys.readouterr().out)
    assert (told["kept"], told["workers"], told["ratio"]) == (4, 2, None)
