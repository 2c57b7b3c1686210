"""The studio as a person uses it: the real command, in a headless browser."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile

import pytest

from racer.training.run_dir import Run
from racer.training.run_history import summarize_run
from racer.training.train import run_training
from tests.helpers.browser import BROWSER, launched, opened_tabs
from tests.helpers.runs import QUIET, SMALL, config, no_figures
from tests.helpers.studio import RACER, Server

__all__ = ["no_figures"]
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow(minutes=1),
    pytest.mark.needs("nicegui"),
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]
BITE = "<img src=x onerror=alert(1)>"
WIDE = "document.documentElement.scrollWidth"
WAIT_MS = 120_000.0
SCHEMES = [pytest.param("light", marks=pytest.mark.ci), "dark"]
LONG = SMALL | {"total_timesteps": 10_000_000, "evaluation": {"eval_freq": 2048, "time_limit": 2.0}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, no_figures):
    """A finished run to copy."""
    return run_training(config(), tmp_path_factory.mktemp("trained") / "run", QUIET).run.folder


@pytest.fixture
def folder(tmp_path, trained):
    """A folder with a finished run and a broken one."""
    folder = tmp_path / "runs"
    shutil.copytree(trained, folder / "first")
    Run.open(folder / "first").set_note(BITE)
    (folder / "broken").mkdir()
    (folder / "broken" / "config.yaml").write_text("track: [")
    return folder


@pytest.fixture
def start(folder):
    servers = []

    def start_(*words):
        servers.append(Server(folder, *(words or ("--port", "0"))))
        return servers[-1]

    yield start_
    for one in servers:
        if one.process.poll() is None:
            one.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def browser():
    yield from launched(playwright)


@pytest.fixture
def look(browser):
    """Return a function that opens a page; fail if a page has an error or a dialog."""
    with opened_tabs(browser) as (new_tab, _):

        def open_(url, width=1440, scheme="light"):
            tab = new_tab(width, 900, scheme)
            tab.set_default_timeout(WAIT_MS)
            tab.goto(url)
            return tab

        yield open_


@pytest.fixture
def live(folder, tmp_path):
    """A training that somebody started from the command line."""
    file = tmp_path / "long.yaml"
    file.write_text(json.dumps(LONG))
    words = ["train", str(file), "--run", str(folder / "live"), "--quiet"]
    process = subprocess.Popen([*RACER, *words])
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()


def card(tab, name):
    return tab.locator(".q-card", has=tab.get_by_role("link", name=name, exact=True))


def press(tab, text):
    tab.get_by_role("button", name=text, exact=True).click()


def until(holds):
    deadline = time.monotonic() + WAIT_MS / 1000
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def state(folder):
    return summarize_run(Run.open(folder))["state"]


@pytest.mark.ci
def test_the_garage_shows_runs_and_broken_ones_and_follows_the_folder(start, look, folder):
    tab = look(start().urls[0])
    first = card(tab, "first")
    first.get_by_text("finished").wait_for()
    assert first.locator("svg path").count() > 2
    assert "2,048 of 2,048 steps" in first.inner_text()
    assert BITE in first.inner_text()
    assert "not valid YAML" in card(tab, "broken").inner_text()
    assert tab.locator("img").count() == 0
    Run.open(folder / "first").set_note("a new note")
    first.get_by_text("a new note").wait_for()
    shutil.copytree(folder / "first", folder / "second")
    card(tab, "second").wait_for()
    tab.get_by_label("search").fill("second")
    card(tab, "first").wait_for(state="detached")
    assert card(tab, "second").count() == 1
    tab.get_by_label("search").fill("nothing of this kind")
    tab.get_by_text("No run's name").wait_for()


def test_a_run_is_deleted_only_after_a_yes(start, look, folder):
    tab = look(start().urls[0])
    card(tab, "first").get_by_role("button", name="Delete").click()
    tab.get_by_text("Delete first,").wait_for()
    press(tab, "Cancel")
    tab.get_by_text("Delete first,").wait_for(state="hidden")
    assert (folder / "first").is_dir()
    card(tab, "first").get_by_role("button", name="Delete").click()
    tab.get_by_role("dialog").get_by_role("button", name="Delete").click()
    card(tab, "first").wait_for(state="detached")
    assert not (folder / "first").exists()


def test_an_entry_is_exported_and_the_report_opens(start, look, folder):
    tab = look(start().urls[0] + "run/first")
    with tab.expect_download() as saved:
        press(tab, "Export")
    assert saved.value.suggested_filename == "first.entry.zip"
    assert zipfile.is_zipfile(saved.value.path())
    press(tab, "Export for a car")
    tab.get_by_text("a car gives its model a camera's frames").wait_for()
    with tab.expect_popup() as opened:
        press(tab, "Report")
    opened.value.get_by_text("Checkpoints").first.wait_for()
    assert opened.value.locator("img[onerror]").count() == 0


def test_a_note_is_kept_in_the_run(start, look, folder):
    tab = look(start().urls[0] + "run/first")
    note = tab.get_by_label("note")
    until(lambda: note.input_value() == BITE)
    note.fill("the fast one")
    note.press("Enter")
    until(lambda: Run.open(folder / "first").note() == "the fast one")
    Run.open(folder / "first").set_note("from the terminal")
    until(lambda: note.input_value() == "from the terminal")


@pytest.mark.ci
def test_a_training_is_followed_stopped_resumed_and_outlives_the_studio(start, look, folder, live):
    server = start()
    tab = look(server.urls[0] + "run/live")
    tab.get_by_text("running").wait_for()
    tab.get_by_text("steps/s", exact=True).wait_for()
    tab.get_by_text(" of 10,000,000 steps,").first.wait_for()
    assert tab.locator("svg path[stroke='#e8792b']").count() >= 1
    tab.reload()
    tab.get_by_text(" of 10,000,000 steps,").first.wait_for()
    other = look(server.urls[0] + "run/live")
    press(other, "Stop")
    assert live.wait(timeout=120) == 3
    for one in (tab, other):
        one.get_by_text("stopped", exact=True).wait_for()
    assert not Run.open(folder / "live").is_stop_requested()
    press(tab, "Resume")
    other.get_by_text("running").wait_for()
    assert server.end()[0] == 130
    assert state(folder / "live") == "running"
    Run.open(folder / "live").request_stop()
    until(lambda: state(folder / "live") == "stopped")


def test_a_finished_run_is_trained_further(start, look, folder):
    tab = look(start().urls[0] + "run/first")
    press(tab, "Train further")
    tab.get_by_label("train until it has").fill("4096")
    press(tab, "Train")
    tab.get_by_text("of 4,096 steps", exact=True).wait_for()
    tab.get_by_text("finished", exact=True).wait_for()
    assert summarize_run(Run.open(folder / "first"))["steps"] == 4096


def test_what_ends_a_resumed_training_is_shown(start, look, folder):
    run = Run.open(folder / "first")
    (run.folder / "reward.py").write_text("def reward_function(params):\n    return None\n")
    tab = look(start().urls[0] + "run/first")
    press(tab, "Train further")
    press(tab, "Train")
    tab.get_by_text(re.compile(r"reward\.py.*None")).first.wait_for()


def test_a_page_comes_back_when_the_server_does(start, look, folder):
    server = start()
    tab = look(server.urls[0])
    card(tab, "first").wait_for()
    server.end(signal.SIGKILL)
    port = re.findall(r":(\d+)/", server.urls[0])[0]
    Run.open(folder / "first").set_note("meanwhile")
    start("--port", port)
    card(tab, "first").get_by_text("meanwhile").wait_for()


def test_other_machines_need_the_token(start, look, browser):
    server = start("--port", "0", "--host", "0.0.0.0")
    here = server.urls[0]
    assert "?token=" in here
    stranger = browser.new_page()
    assert stranger.goto(here.partition("?")[0]).status == 401
    assert stranger.goto(f"{here}x").status == 401
    stranger.close()
    tab = look(here)
    card(tab, "first").wait_for()
    assert "token" not in tab.url


def test_ctrl_c_ends_it_with_open_pages_and_leaves_nothing(start, look, folder):
    server = start()
    card(look(server.urls[0]), "first").wait_for()
    code, said = server.end()
    assert code == 130
    assert said == "racer: stopped\n"
    assert sorted(os.listdir(folder.parent)) == ["runs"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_phone_scrolls_one_way_only(start, look, scheme, subtests):
    url = start().urls[0]
    for page, text in (
        ("", "not valid YAML"),
        ("run/first", "Train further"),
        ("run/broken", "not valid YAML"),
        ("run/nowhere", "holds no run"),
        ("new", "nothing wrong was found"),
    ):
        with subtests.test(page=page):
            tab = look(url + page, 360, scheme)
            tab.get_by_text(text).first.wait_for()
            assert tab.evaluate(WIDE) == 360
            is_dark = tab.evaluate("document.body.classList.contains('body--dark')")
            assert is_dark == (scheme == "dark")


@pytest.mark.ci
def test_a_model_is_made_checked_and_trained(start, look, folder):
    server = start()
    tab = look(server.urls[0])
    press(tab, "New model")
    tab.get_by_text("nothing wrong was found").wait_for()
    tab.locator("img[src^='data:image/png']").first.wait_for()
    assert tab.locator("svg polygon").count() == 1
    rate = tab.get_by_label("learning rate", exact=True)
    rate.fill("7")
    tab.get_by_text("Input should be less than or equal to 1").wait_for()
    assert tab.get_by_role("button", name="Train", exact=True).is_disabled()
    rate.fill("1e-3")
    tab.get_by_label("total timesteps").fill("4096")
    tab.locator(".cm-content").click()
    tab.keyboard.press("Control+A")
    tab.keyboard.insert_text("def reward_function(params):\n    return params['sped']\n")
    tab.get_by_text("line 2: ").first.wait_for()
    assert "sped" in tab.locator(".racer-error-line").inner_text()
    tab.get_by_label("begin with an example").click()
    tab.get_by_role("option", name="exploitable").click()
    tab.get_by_text("warning: crawling earns").wait_for()
    until(lambda: (folder / "quick-1.py").read_text().startswith("# A BAD EXAMPLE"))
    server.end(signal.SIGKILL)
    start("--port", re.findall(r":(\d+)/", server.urls[0])[0])
    tab.reload()
    tab.get_by_text("kept as").wait_for()
    assert tab.get_by_label("total timesteps").input_value() == "4096"
    press(tab, "Train")
    tab.get_by_text("of 4,096 steps", exact=True).wait_for()
    tab.get_by_text("finished", exact=True).wait_for()
    assert state(folder / "quick-1") == "finished"


def test_a_run_is_cloned_with_its_weights(start, look, folder):
    tab = look(start().urls[0] + "run/first")
    press(tab, "Clone")
    tab.get_by_role("switch", name="begin with the weights of first").wait_for()
    assert tab.get_by_label("total timesteps").input_value() == "2048"
    press(tab, "Train")
    tab.get_by_text("finished", exact=True).wait_for()
    assert Run.open(folder / "first-1").lineage()[0].name == "first"


def test_runs_are_compared(start, look, folder):
    shutil.copytree(folder / "first", folder / "second")
    tab = look(start().urls[0])
    for name in ("first", "second"):
        card(tab, name).get_by_role("checkbox").click()
    press(tab, "Compare")
    tab.get_by_text("The configs are the same.").wait_for()
    tab.locator("img[src^='data:image/png']").wait_for()
    assert tab.get_by_role("row").count() == 3


def test_a_training_is_watched_paused_and_evaluated(start, look, folder, live):
    until(lambda: (folder / "live" / "config.yaml").exists())
    server = start(str(folder / "live"), "--port", "0")
    assert server.urls[0].endswith("/run/live")
    tab = look(server.urls[0])
    dots = tab.locator("svg[aria-label='8 cars on the track'] circle")
    dots.first.wait_for()
    assert dots.count() == 8
    places = [tab.locator("svg[aria-label='8 cars on the track']").inner_html()]
    until(lambda: tab.locator("svg[aria-label='8 cars on the track']").inner_html() != places[0])
    press(tab, "Pause")
    tab.get_by_text("paused", exact=True).wait_for()
    server.end(signal.SIGKILL)
    assert state(folder / "live") == "paused"
    tab = look(start("--port", "0").urls[0] + "run/live")
    press(tab, "Go on")
    tab.get_by_text("running", exact=True).wait_for()
    before = len(Run.open(folder / "live").records("evaluations"))
    press(tab, "Evaluate now")
    until(lambda: len(Run.open(folder / "live").records("evaluations")) > before)
    press(tab, "Stop")
    assert live.wait(timeout=120) == 3


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_no_serious_violation(start, look, scheme, subtests, folder):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shutil.copytree(folder / "first", folder / "second")
    url = start().urls[0]
    for page, text in (
        ("", "not valid YAML"),
        ("run/first", "Train further"),
        ("new", "nothing wrong was found"),
        ("compare?run=first&run=second", "The configs are the same."),
    ):
        with subtests.test(page=page):
            tab = look(url + page, 1440, scheme)
            tab.get_by_text(text).first.wait_for()
            if page == "new":
                tab.locator(".cm-content").wait_for()
            found = axe.run(tab).response["violations"]
            serious = [one for one in found if one["impact"] in ("serious", "critical")]
            told = {one["id"]: [each["html"][:200] for each in one["nodes"]] for one in serious}
            assert told == {}
