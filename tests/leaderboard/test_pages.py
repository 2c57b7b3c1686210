"""A board's pages: whole, harmless whatever the names say, and true to the races."""

import base64
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from racer import write_entry
from racer.cli import main
from racer.entries.package import Ancestor, read_entry
from racer.errors import BoardError
from racer.leaderboard.pages import site
from racer.leaderboard.pages.context import RunRecording
from racer.leaderboard.pages.entry_page import entry_page
from racer.leaderboard.pages.markup import FILES, POLICY, embedded, refusal_page, render_page
from racer.leaderboard.pages.season_page import season_page
from racer.leaderboard.pages.site import seasons_of, write_site
from racer.leaderboard.pages.trajectory import ANGLE_STEP_RAD, SPEED_STEP_M_S, race_trajectory
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.season_secret import commitment
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.leaderboard.verification import resimulate_run
from racer.world import yaw_of
from tests.helpers.boards import BITE, FAIR, LONG, fill, forge
from tests.helpers.html import HOSTILE, Tags, assert_is_harmless


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("fair"))


@pytest.fixture(scope="module")
def out(store):
    folder = store.folder.parent / "pages"
    assert write_site(store, folder, seasons_of(store), lambda season: None) == 5
    return folder


def pages(folder):
    return {path: Tags(path.read_text()) for path in folder.rglob("*.html")}


@pytest.mark.parametrize("held", ["index.html", "notes.txt"])
def test_a_folder_of_somebody_s_own_is_not_written_over(store, tmp_path, held):
    (tmp_path / held).write_text("<p>mine</p>")
    with pytest.raises(BoardError, match="holds files that are not a board's pages"):
        write_site(store, tmp_path, [], lambda season: None)
    assert [path.name for path in tmp_path.iterdir()] == [held]
    for _ in range(2):
        write_site(store, tmp_path / "pages", [], lambda season: None)


def test_a_page_loads_nothing_but_what_lies_beside_it(out):
    found = pages(out)
    assert len(found) == 5
    for path, page in found.items():
        for tag, given in page.tags:
            for name in ("src", "href"):
                to = (given.get(name) or "").partition("#")[0]
                if to and to != "data:,":
                    assert (path.parent / to).is_file(), (path, tag, to)
        (policy,) = [
            given["content"]
            for _, given in page.tags
            if given.get("http-equiv") == "Content-Security-Policy"
        ]
        assert policy == POLICY
        assert "unsafe" not in policy


def test_a_name_an_author_and_a_reason_that_bite_are_only_text(out):
    for path in out.rglob("*.html"):
        assert_is_harmless(path.read_text())
    for page in pages(out).values():
        assert not any("style" in given for _, given in page.tags)
    swift = next(page for path, page in pages(out).items() if path.name == "entry-2.html")
    assert swift.text.count(BITE) >= 3, "author, track and reason, as they are"
    badge = next(
        given for _, given in swift.tags if "disputed" in str(given) or "cuts" in str(given)
    )
    assert badge["title"] == f"cuts {BITE}"


def test_a_page_says_with_whose_weights_a_policy_began(store):
    rows = store.rows(FAIR)
    row = next(one for one in rows if one.id == 2)
    manifest = read_entry(store.entry_path(row.entry_sha256)).manifest
    parents = (
        Ancestor(kind="run", name="first", steps=40_960, sha256="a" * 64),
        Ancestor(kind="entry", name="swift", sha256="b" * 64),
    )
    origin = manifest.trained_on.model_copy(update={"lineage": parents})
    clone = manifest.model_copy(update={"trained_on": origin})
    view, history = site._view(FAIR, rows, True), store.history("swift")
    plain, page = (entry_page(view, row, one, history).decode() for one in (manifest, clone))
    began = f"first after 40,960 steps (SHA-256 {'a' * 12}); the entry swift (SHA-256 {'b' * 12})"
    assert began in Tags(page).text
    assert "began with" not in plain


@pytest.fixture
def hostile(store):
    """The pages of a season in which every text that a person or a file can choose is hostile."""
    season = FAIR.model_copy(update={"name": HOSTILE, "description": HOSTILE})
    texts = ("name", "entry_sha256", "racer_version", "box", "signer", "hash")
    rows = [
        replace(
            row,
            **dict.fromkeys(texts, HOSTILE),
            runs=[replace(run, track=HOSTILE, ending=HOSTILE, failure=HOSTILE) for run in row.runs],
            withdrawn=row.withdrawn and HOSTILE,
            disputes=(HOSTILE,),
        )
        for row in store.rows(FAIR)
    ]
    view = replace(site._view(season, rows, True), roads=[HOSTILE, HOSTILE])
    for row in rows:
        view.recordings[row.id] = [RunRecording(HOSTILE, HOSTILE, False)] * 2
    manifest = read_entry(store.entry_path(store.row(2).entry_sha256)).manifest
    parent = Ancestor.model_construct(kind=HOSTILE, name=HOSTILE, steps=1, sha256=HOSTILE)
    origin: dict[str, Any] = {"track": HOSTILE, "config_sha256": HOSTILE, "reward_sha256": HOSTILE}
    origin["lineage"] = (parent,)
    manifest = manifest.model_copy(
        update=dict.fromkeys(("name", "author", "car", "env", "racer_version"), HOSTILE)
        | {"trained_on": manifest.trained_on.model_copy(update=origin)}
        | {"sensor": [one.model_copy(update={"name": HOSTILE}) for one in manifest.sensor]}
        | {"files": {"policy.onnx": HOSTILE}}
    )
    history = [
        replace(one, name=HOSTILE, season=HOSTILE, kind=HOSTILE, body={"why": HOSTILE})
        for one in store.history("swift")
    ]
    made = {
        "index": render_page("index.html", views=[view, view]),
        "season": season_page(view),
        "entry": entry_page(view, rows[1], manifest, history),
        "withdrawn": entry_page(view, rows[2], HOSTILE, history),
        "refusal": refusal_page(HOSTILE, 404, HOSTILE),
    }
    return {name: page.decode() for name, page in made.items()}


@pytest.mark.parametrize(
    ("name", "times"),
    [("index", 6), ("season", 12), ("entry", 39), ("withdrawn", 25), ("refusal", 3)],
)
def test_hostile_words_are_only_text_on_every_page(hostile, name, times):
    assert_is_harmless(hostile[name])
    page = Tags(hostile[name])
    assert page.shows(HOSTILE) >= times
    names = {given["name"] for tag, given in page.tags if tag == "meta" and "name" in given}
    assert names == {"generator", "viewport", "referrer", "color-scheme"}


@pytest.mark.parametrize("name", ["season", "entry"])
def test_hostile_words_reach_the_replay_as_they_are(hostile, name):
    start = '<script type="application/json" id="races">'
    races = json.loads(hostile[name].split(start)[1].split("</script>")[0])
    assert {run["name"].partition(", seed")[0] for run in races["runs"]} == {HOSTILE}
    assert all(car["name"].startswith(HOSTILE) for car in races["cars"])
    assert {key for car in races["cars"] for key in car["films"]} == {HOSTILE}


def test_what_is_embedded_ends_no_script_and_no_line():
    value = {"name": f"{BITE}\u2028\u2029<!--]]>"}
    text = embedded(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")


def test_the_table_shows_flags_and_leaves_out_who_was_withdrawn(out):
    page = (out / next(out.glob("fair-*")) / "index.html").read_text()
    standing, gone = page.split("<h2>Withdrawn</h2>")
    assert "disputed" in standing and "signed" in standing and "box: namespaces" in standing
    assert f">{LONG}<" not in standing
    assert f">{LONG}<" in gone and "the wrong file" in gone


def test_the_poses_are_the_race_to_a_millimetre(store):
    result = resimulate_run(store, store.row(2), 0)[2]
    film = race_trajectory(result)
    raw = np.frombuffer(base64.b64decode(film["place"]), "<i2").reshape(-1, 4)
    assert len(raw) == film["steps"] == len(result.body) + 1
    assert np.abs(raw[1:, :2] * film["unit"] - result.xy).max() <= 0.0006
    assert np.abs(raw[1:, 2] * ANGLE_STEP_RAD - yaw_of(result.body)).max() <= ANGLE_STEP_RAD
    assert np.abs(raw[1:, 3] * SPEED_STEP_M_S - result.speed).max() <= SPEED_STEP_M_S
    assert film["laps"] == pytest.approx(np.cumsum(result.lap_times_s), abs=0.001)


def test_waits_and_faults_of_a_race_are_at_their_steps(tmp_path):
    store = BoardStore(tmp_path)
    season = Season(
        name="boxy",
        tracks=("oval",),
        race=SeasonRaceConfig(kind="object_avoidance", laps=1, time_limit=9),
    )
    row = store.add(season, "blind", None, evaluate_season(store, season, "pure-pursuit", None))
    result = resimulate_run(store, row, 0)[2]
    film = race_trajectory(result)
    assert film["waits"], "the pilot sees no boxes and must hit one"
    waits = dict(film["waits"])
    told = np.cumsum([film["period"] + waits.get(k, 0) for k in range(1, film["steps"])])
    assert np.abs(told - result.time).max() < 1e-3
    assert {name for _, name in film["faults"]} == {"crashed"}
    assert len(film["objects"]["sizes"]) == 6
    assert not film["objects"]["is_moving"]


def test_bots_move(tmp_path):
    store = BoardStore(tmp_path)
    season = Season(
        name="busy",
        tracks=("oval",),
        race=SeasonRaceConfig(kind="head_to_bot", laps=1, time_limit=4),
    )
    row = store.add(season, "one", None, evaluate_season(store, season, "pure-pursuit", None))
    film = race_trajectory(resimulate_run(store, row, 0)[2])
    things = np.frombuffer(base64.b64decode(film["objects"]["place"]), "<i2")
    assert film["objects"]["is_moving"]
    assert things.size == film["steps"] * len(film["objects"]["sizes"]) * 3


def test_pages_made_again_simulate_nothing(store, out, monkeypatch):
    monkeypatch.setattr(site, "verify_run", None)
    before = {path: path.read_bytes() for path in out.rglob("*.html")}
    write_site(store, out, seasons_of(store), lambda season: None)
    assert {path: path.read_bytes() for path in out.rglob("*.html")} == before


def test_a_row_that_was_forged_is_marked_on_its_page(tmp_path):
    store = BoardStore(tmp_path / "board")
    store.add(FAIR, "one", None, evaluate_season(store, FAIR, "pure-pursuit", None))
    forge(
        store, ("UPDATE record SET body = replace(body, '\"off_tracks\":0', '\"off_tracks\":5')",)
    )
    write_site(store, tmp_path / "pages", [FAIR], lambda season: None)
    (page,) = (tmp_path / "pages").rglob("entry-1.html")
    assert "the row has another off_tracks" in page.read_text()


def test_the_page_of_a_policy_trained_elsewhere_says_no_more_of_its_origin_than_is_known(tmp_path):
    graph = onnx.parser.parse_model("""
        <ir_version: 10, opset_import: ["": 18]>
        still (float[1, 26] observation) => (float[1, 2] action)
        <float[1, 2] zero = {0, 0}> { action = Identity (zero) }
    """)
    path = write_entry(graph.SerializeToString(), tmp_path / "own.entry.zip", sensor="state")
    store, season = (
        BoardStore(tmp_path / "board"),
        Season(name="short", tracks=("oval",), race=SeasonRaceConfig(time_limit=1)),
    )
    entry = read_entry(path)
    store.add(season, "own", entry, evaluate_season(store, season, entry, None))
    write_site(store, tmp_path / "pages", [season], lambda season: None)
    (page,) = (tmp_path / "pages").rglob("entry-1.html")
    facts = Tags(page.read_text())
    assert "acts" in facts.text and "bit-exact" in facts.text
    told = re.findall(r"<dt>(.*?)</dt>", page.read_text())
    assert "graph" in told
    assert not {"trained on", "config", "reward"} & set(told)


def test_the_races_of_a_sealed_season_stay_hidden_until_its_secret_is_out(tmp_path):
    secret, store = "ab" * 32, BoardStore(tmp_path / "board")
    drawn = {"sha256": commitment(secret), "tracks": 1}
    season = Season.model_validate({"name": "dark", "laps": 1, "time_limit": 9, "sealed": drawn})
    store.add(season, "one", None, evaluate_season(store, season, "pure-pursuit", secret))
    write_site(store, tmp_path / "pages", [season], lambda season: None)
    assert list((tmp_path / "pages" / "data").iterdir()) == []
    assert "no replay here" in next((tmp_path / "pages").rglob("dark-*/index.html")).read_text()
    write_site(store, tmp_path / "pages", [season], lambda season: secret)
    assert len(list((tmp_path / "pages" / "data").iterdir())) == 2


def test_the_verb_writes_the_board_and_an_empty_one(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RACER_BOARD", str(store.folder))
    main(["board", "page", "--out", str(tmp_path / "all")])
    assert "pages: 5" in capsys.readouterr().out
    monkeypatch.setenv("RACER_BOARD", str(tmp_path / "none"))
    main(["board", "page", "--out", str(tmp_path / "open"), "--season", "open"])
    assert "Nobody has raced here yet" in next(tmp_path.rglob("open-*/index.html")).read_text()


def test_a_folder_that_cannot_be_written_is_named(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(site.BoardError, match=r"file.*cannot be written"):
        write_site(store, tmp_path / "file", [FAIR], lambda season: None)


def test_the_pages_own_files_are_there():
    assert {"board.css", "replay.js"} <= {path.name for path in FILES.iterdir()}
