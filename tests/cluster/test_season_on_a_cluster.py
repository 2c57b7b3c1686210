"""A season that is judged on a cluster has the bytes of one that is judged on one core."""

from dataclasses import replace

import pytest

from racer.assets import assets_root
from racer.cluster import open_pool
from racer.leaderboard.batch import run_season
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from tests.helpers.boards import LOOK, package
from tests.helpers.clusters import machines

pytestmark = pytest.mark.slow(minutes=1)


def content(folder):
    """Return what a board holds but the time of each record: records, replays, packages."""
    store = BoardStore(folder)
    assert store.chain().fault is None
    records = [replace(one, created="", hash="") for name in "abc" for one in store.history(name)]
    files = {
        path.name: path.read_bytes()
        for kind in ("replays", "entries")
        for path in (folder / kind).iterdir()
    }
    return records, files


@pytest.mark.ci
def test_a_season_on_three_nodes_has_the_bytes_of_one_on_one_core(tmp_path):
    own = (assets_root() / "tracks" / "oval.yaml").read_text().replace("set: train\n", "")
    (tmp_path / "mine.yaml").write_text(own.replace("name: oval", "name: mine"))
    entries = tmp_path / "entries"
    entries.mkdir()
    for k, name in enumerate("abc", start=1):
        package(entries / f"{name}.entry.zip", name=name, look=(1 / k) * LOOK)
    (entries / "d.entry.zip").write_bytes(b"no zip")
    rules = Season(
        name="quick",
        tracks=("oval", str(tmp_path / "mine.yaml")),
        seeds=(0, 1),
        ranking="iqm",
        race=SeasonRaceConfig(laps=1, time_limit=4),
    )
    said = []
    with machines(3) as cluster, open_pool(cluster.address, say=said.append) as pool:
        far = run_season(BoardStore(tmp_path / "far"), rules, entries, pool=pool)
    near = run_season(BoardStore(tmp_path / "near"), rules, entries, workers=1)
    assert (far.races, far.workers, len(far.added)) == (12, 3, 3)
    assert set(far.boxes.values()) == {near.boxes[""]}
    assert len(far.boxes) > 1
    assert sum(line.startswith("node ") for line in said) == 4
    assert content(tmp_path / "far") == content(tmp_path / "near")
    assert far.core_s > far.race_s > 0.0
