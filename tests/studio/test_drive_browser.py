"""A person drives in the studio: keys in a headless browser, a ghost, a row on the board."""

import re
import signal
import time

import numpy as np
import pytest

from racer.car.spec import car_named
from racer.controllers.path_following import pursuit_angle
from racer.leaderboard.drives import DriveRecord, drives_in
from racer.leaderboard.ranking import rank
from racer.leaderboard.season import Season, SeasonRaceConfig
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.leaderboard.verification import verify_submission
from racer.track import load_track
from racer.world import yaw_of
from tests.helpers.boards import package
from tests.helpers.browser import BROWSER, launched, opened_tabs
from tests.helpers.studio import WEBGL, Server

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
pytestmark = [
    pytest.mark.slow(minutes=1),
    pytest.mark.needs("nicegui"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]
WAIT_MS = 120_000.0
WIDE = "document.documentElement.scrollWidth"
SPRINT = Season(name="sprint", tracks=("oval",), race=SeasonRaceConfig(laps=1, time_limit=60))
AIM_M = 0.8
"""How far ahead on the centre line the keys steer to [m]."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("studio") / "runs"


@pytest.fixture(scope="module")
def url(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RACER_BOARD", str(folder.parent / "board"))
        patch.setenv("RACER_DRIVES", str(folder.parent / "drives"))
        store = BoardStore(folder.parent / "board")
        store.add(SPRINT, "raceline", None, evaluate_season(store, SPRINT, "raceline", None))
        server = Server(folder, "--port", "0")
        yield server.urls[0]
        server.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def browser():
    yield from launched(playwright, *WEBGL)


@pytest.fixture
def look(browser, url):
    """Return a function that opens the page; fail if it has an error."""
    with opened_tabs(browser) as (new_tab, _):

        def open_(page="drive", width=800, scheme="light", **context):
            tab = new_tab(width, 700, scheme, **context)
            tab.set_default_timeout(WAIT_MS)
            tab.goto(url + page)
            tab.get_by_role("heading", level=1).wait_for()
            return tab

        yield open_


def choose(tab, label, option):
    tab.get_by_label(label, exact=True).click()
    tab.get_by_role("option", name=option, exact=True).click()
    tab.keyboard.press("Escape")


def begin(tab):
    tab.get_by_role("button", name="Drive", exact=True).click()
    tab.get_by_text(re.compile("^press .* to start")).wait_for()
    tab.locator(".drive-stage").focus()


def drive_by_keys(tab, track):
    """Hold and let go keys, as the car's place on the road asks for, until the race is over."""
    road, held = load_track(track), set()
    spec = car_named("deepracer")

    def hold(wanted):
        for key in held - wanted:
            tab.keyboard.up(key)
        for key in wanted - held:
            tab.keyboard.down(key)
        held.clear()
        held.update(wanted)

    deadline = time.monotonic() + WAIT_MS / 1000
    while tab.get_by_text("R drives again").count() == 0:
        assert time.monotonic() < deadline
        me = np.array([*tab.evaluate("driveStats.state.cars.at(-1)")[:7], *[0.0] * 6])
        place = road.locate(me[None, :2])
        aim, _ = road.at(float(place.s[0]) + AIM_M)
        angle = pursuit_angle(aim - me[:2], float(yaw_of(me)), spec.wheelbase)
        turn = {"ArrowLeft"} if angle > 0.03 else {"ArrowRight"} if angle < -0.03 else set()
        hold({"ArrowUp"} | turn)
    hold(set())


def test_a_lap_by_keys_against_a_ghost_is_stored_and_stands_on_the_board(look, folder):
    tab = look()
    tab.get_by_label("your name").fill("Ada")
    tab.get_by_label("key's speed [m/s]").fill("1.8")
    choose(tab, "season", "sprint")
    choose(tab, "ghosts", "raceline")
    begin(tab)
    drive_by_keys(tab, "oval")
    text = tab.locator(".drive-notice").inner_text()
    assert "1 of 1 laps" in text
    assert "bit-exact" in text
    ((path, record),) = drives_in(folder.parent / "drives")
    assert isinstance(record, DriveRecord)
    assert (record.driver, record.replay.score.laps_completed) == ("Ada", 1)
    tab.reload()
    tab.get_by_text("Ada on oval, time trial").wait_for()
    tab.get_by_role("button", name="Submit", exact=True).click()
    tab.get_by_text(re.compile("Ada is number 2 of 2")).wait_for()
    store = BoardStore(folder.parent / "board")
    _, row = rank(store.rows(SPRINT), SPRINT)
    assert row.lap_times_s == record.replay.score.lap_times_s
    ((found),) = verify_submission(store, store.row(row.id))
    assert found.simulated.text == "bit-exact"
    tab.get_by_role("button", name="Delete", exact=True).click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    tab.get_by_text("A race is stored here").wait_for()
    assert not path.exists()


def test_a_race_begins_with_the_throttle_stands_while_paused_and_begins_again(look):
    tab = look()
    choose(tab, "in the same world", "raceline")
    begin(tab)
    step = "driveStats.state.step"
    assert tab.evaluate(step) == 0
    tab.keyboard.down("w")
    tab.wait_for_function(f"{step} > 3")
    tab.keyboard.press("p")
    tab.get_by_text("paused: P goes on").wait_for()
    tab.wait_for_timeout(200)
    stood = tab.evaluate(step)
    tab.wait_for_timeout(200)
    assert tab.evaluate(step) == stood > 3
    tab.keyboard.press("p")
    tab.wait_for_function(f"{step} > {stood}")
    tab.keyboard.up("w")
    tab.keyboard.press("r")
    tab.get_by_text(re.compile("^press .* to start")).wait_for()
    assert tab.evaluate(step) == 0
    assert tab.get_by_text("P2/2").count() == 1


def test_a_gamepad_drives_and_pauses(look):
    tab = look()
    begin(tab)
    tab.evaluate(
        "const none = () => ({pressed: false, value: 0});"
        "window.pad = {connected: true, axes: [0, 0], buttons: Array.from({length: 17}, none)};"
        "navigator.getGamepads = () => [null, window.pad]"
    )
    tab.evaluate("pad.buttons[7].value = 0.4")
    tab.wait_for_function("driveStats.state.step > 3")
    tab.evaluate("pad.axes[0] = -1")
    tab.wait_for_function("driveStats.drawn[2] > 0.1")
    tab.evaluate("pad.axes[0] = 1")
    tab.wait_for_function("driveStats.drawn[2] < -0.1")
    tab.evaluate("pad.buttons[9].pressed = true")
    tab.get_by_text("paused: P goes on").wait_for()


def test_a_finger_drives_by_the_buttons_in_the_picture(look):
    tab = look(width=360, has_touch=True)
    tab.get_by_role("button", name="Drive", exact=True).click()
    tab.get_by_text(re.compile("^press .* to start")).wait_for()
    throttle = tab.get_by_role("button", name=re.compile("throttle", re.I))
    throttle.dispatch_event("pointerdown")
    tab.wait_for_function("driveStats.state.step > 3")
    tab.get_by_role("button", name=re.compile("left", re.I)).dispatch_event("pointerdown")
    tab.wait_for_function("driveStats.drawn[2] > 0.1")
    throttle.dispatch_event("pointerup")


def test_entries_race_live_with_traces_and_one_is_submitted(look, folder):
    tab = look("race")
    tab.get_by_label("laps", exact=True).fill("1")
    for name in ("pure-pursuit", "raceline"):
        choose(tab, "add to the grid", name)
        tab.get_by_text(re.compile(rf"\. {name}")).wait_for()
    tab.get_by_role("button", name="Race", exact=True).click()
    tab.wait_for_function("window.driveStats && driveStats.states > 3")
    tab.locator(".drive-standing button", has_text="pure-pursuit").click()
    tab.get_by_text(re.compile("^raceline wins")).wait_for()
    tab.get_by_text("Result", exact=True).wait_for()
    assert tab.evaluate("driveStats.state.order") == [1, 0]
    choose(tab, "entry", "pure-pursuit")
    choose(tab, "to the season", "sprint")
    tab.get_by_role("button", name="Submit", exact=True).click()
    tab.get_by_text(re.compile("season sprint: pure-pursuit is number")).wait_for()
    store = BoardStore(folder.parent / "board")
    assert "pure-pursuit" in [row.name for row in store.rows(SPRINT)]


def test_an_uploaded_entry_is_on_the_grid_and_can_be_submitted(look, folder, tmp_path):
    tab = look("race")
    file = package(tmp_path / "guest.entry.zip", "guest")
    with tab.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Upload an entry").click()
    chooser.value.set_files(file)
    tab.get_by_text(re.compile(r"^1\. guest\.entry\.zip")).wait_for()
    assert (folder / "guest.entry.zip").read_bytes() == file.read_bytes()
    choose(tab, "entry", "guest.entry.zip (file)")
    choose(tab, "to the season", "sprint")
    tab.get_by_role("button", name="Submit", exact=True).click()
    tab.get_by_text(re.compile("season sprint: guest is number")).wait_for()
    broken = tmp_path / "broken.entry.zip"
    broken.write_bytes(file.read_bytes()[:-40])
    tab.locator("input[type=file]").set_input_files(broken)
    tab.get_by_text(re.compile("broken.entry.zip: ")).wait_for()
    assert not (folder / "broken.entry.zip").exists()


def test_a_boards_race_is_shown_beside_a_ghost(look):
    tab = look("traces?race=replay:1:0")
    tab.get_by_text("sector 3 [s]").wait_for()
    choose(tab, "beside", "pure-pursuit")
    table = tab.locator(".grid", has_text="sector 3 [s]")
    table.get_by_text("pure-pursuit").wait_for()
    assert tab.locator("canvas").count() == 1


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (1440, "light")])
def test_the_pages_are_accessible_and_scroll_one_way_only(look, width, scheme, subtests):
    for page in ("drive", "race", "traces?race=replay:1:0"):
        with subtests.test(page=page):
            tab = look(page, width, scheme)
            if page == "drive":
                begin(tab)
            elif page != "race":
                tab.get_by_text("sector 3 [s]").wait_for()
            assert tab.evaluate(WIDE) == width
            found = axe.Axe().run(tab).response["violations"]
            bad = [one for one in found if one["impact"] in ("serious", "critical")]
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in bad] == []
