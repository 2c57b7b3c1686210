"""The pages in a headless browser: they draw, play, fit a phone and run no foreign script."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from racer.leaderboard.pages.site import seasons_of, write_site
from racer.leaderboard.server import BoardServer
from tests.helpers.boards import BITE, FAIR, fill, package
from tests.helpers.browser import BROWSER, launched, opened_tabs

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine"),
    pytest.mark.xdist_group("browser"),
]
INKED = """canvas => {
  const all = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let inked = 0;
  for (let k = 3; k < all.length; k += 4) inked += all[k] > 0;
  return inked / all.length * 4;
}"""
WIDE = "document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("browsed"))


@pytest.fixture(scope="module")
def folder(board):
    out = board.folder.parent / "pages"
    write_site(board, out, seasons_of(board), lambda season: None)
    return out / f"fair-{FAIR.digest[:8]}"


@pytest.fixture(scope="module")
def browser():
    yield from launched(playwright)


@pytest.fixture
def look(browser):
    """Return a function that opens a page; fail if a page writes to its console."""
    with opened_tabs(browser) as (new_tab, said):

        def open_(to, width=1280, scheme="light"):
            tab = new_tab(width, 780, scheme)
            tab.on("console", lambda told: said.append(told.text))
            tab.goto(to.as_uri() if isinstance(to, Path) else to)
            return tab

        yield open_


def wait(tab, for_):
    """Wait until an expression holds; playwright's own way needs `eval`, which the pages forbid."""
    until = time.monotonic() + 60
    while not tab.evaluate(f"Boolean({for_})"):
        assert time.monotonic() < until, for_
        tab.wait_for_timeout(20)


def ready(tab):
    wait(tab, "window.racerScreen && racerScreen.base")
    return tab


def clock(tab):
    return float(tab.locator("#clock").inner_text().removesuffix(" s"))


@pytest.mark.ci
def test_the_canvas_shows_the_road_and_the_cars_from_a_file(look, folder):
    tab = ready(look(folder / "index.html"))
    assert tab.locator("#road").evaluate(INKED) > 0.1
    assert tab.locator("#cars label.on").count() == 2
    assert tab.locator("#cars").inner_text().count(BITE) == 1
    assert tab.locator("img").count() == 0


def test_space_plays_and_pauses_and_arrows_scrub(look, folder):
    tab = ready(look(folder / "index.html"))
    tab.locator("#stage").focus()
    tab.keyboard.press("Space")
    wait(tab, "racerScreen.time > 0.2")
    tab.keyboard.press("Space")
    held = clock(tab)
    tab.wait_for_timeout(120)
    assert clock(tab) == held
    tab.keyboard.press("ArrowRight")
    assert clock(tab) == pytest.approx(held + 1, abs=0.011)
    tab.keyboard.press("ArrowLeft")
    assert clock(tab) == pytest.approx(held, abs=0.011)
    tab.keyboard.press("ArrowUp")
    assert tab.locator("#rate").input_value() == "2"
    tab.locator("#scrub").fill("3.5")
    assert clock(tab) == 3.5


def test_a_car_is_drawn_where_it_was(look, folder, board):
    from racer.leaderboard.verification import resimulate_run

    result = resimulate_run(board, board.row(2), 0)[2]
    tab = ready(look(folder / "entry-2.html"))
    pose = tab.evaluate("""() => {
        const film = racerScreen.films.get(2), one = poseAt(film, film.times[40]);
        return [one.x, one.y, one.yaw, one.speed];
    }""")
    assert np.allclose(pose[:2], result.xy[39], atol=0.001)
    assert pose[3] == pytest.approx(result.speed[39], abs=0.002)


def test_laps_start_together_and_any_entry_is_a_ghost(look, folder):
    tab = ready(look(folder / "index.html"))
    whole = tab.evaluate("racerScreen.length")
    tab.locator("#lap").select_option("-1")
    assert tab.evaluate("racerScreen.length") < 0.6 * whole
    tab.locator("#cars input").first.uncheck()
    wait(tab, "racerScreen.films.size === 1")
    tab.locator("#cars input").first.check()
    wait(tab, "racerScreen.films.size === 2")


def test_another_race_is_chosen_by_list_and_by_link(look, folder):
    tab = ready(look(folder / "entry-2.html"))
    tab.locator(".runs a", has_text="watch").nth(1).click()
    wait(tab, "racerScreen.run === 1")
    assert tab.locator("#run").input_value() == "1"
    tab.locator("#run").select_option("0")
    wait(tab, "racerScreen.run === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "entry-2.html", "entry-3.html", "../index.html"])
def test_a_phone_scrolls_one_way_only(look, folder, name, scheme):
    tab = look(folder / name, 360, scheme)
    assert tab.evaluate(WIDE) == 360
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(paper[4:-1].split(",")[0]) > 128) == (scheme == "light")


@pytest.mark.ci
def test_an_entry_is_handed_in_on_the_page_and_its_fate_is_told(look, browser, board, tmp_path):
    server = BoardServer(board, [FAIR], lambda one: None, lambda one: None, port=0)
    server.write()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        at = f"http://127.0.0.1:{server.server_port}/fair-{FAIR.digest[:8]}/index.html"
        tab = ready(look(at))
        other = look(at)
        path = package(tmp_path / "new.entry.zip", name="first")
        (tmp_path / "bad.zip").write_bytes(b"nothing")
        for given, state in ((path, "place 2 of 3"), (tmp_path / "bad.zip", "refused: not_a_zip")):
            tab.locator("#file").set_input_files(given)
            tab.locator("#name").fill(f" new {BITE} ")
            tab.locator("#desk button").click()
            tab.locator("#queue b", has_text=state).wait_for(timeout=30000)
            tab.locator("#answer", has_text=state.removeprefix("refused: ")).wait_for(timeout=9000)
        assert f"new {BITE}" in tab.locator("#queue").inner_text()
        assert tab.locator("img").count() == 0
        for one in (tab, other):
            one.locator(".standing tbody tr").nth(2).wait_for(timeout=9000)
            assert f"new {BITE}" in one.locator(".standing").inner_text()
            assert "in the standing\n3" in one.locator("#facts").inner_text()
        apart = browser.new_page()  # whose console tells the status 400
        apart.goto(at)
        apart.locator("#name").fill("\u200b")
        apart.locator("#file").set_input_files(path)
        apart.locator("#desk button").click()
        apart.locator("#answer", has_text="Not taken: name.").wait_for(timeout=9000)
        apart.close()
        tab.locator("#queue a").click()
        ready(tab)
    finally:
        server.shutdown()
        thread.join()
        server.close()
