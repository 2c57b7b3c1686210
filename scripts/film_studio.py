"""Film the studio for the README: a training on its page, then a lap driven by keys.

python scripts/film_studio.py docs/studio.gif

It starts `racer studio` and a training of `quick` in an empty folder, and presses keys in a
headless Chromium, which must be installed. It takes about a minute and wants a quiet machine: a
page that gets few frames makes a film of few pictures.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from racer.car.spec import deepracer
from racer.controllers.path_following import pursuit_angle
from racer.track import load_track
from racer.world import yaw_of

WIDTH, HEIGHT = 900, 640
FILM_WIDTH = 640
COLOURS = 96
TRAINING_S, LEAST_TRAINED_S = 6.0, 25.0
"""How long the training is filmed [s], and how long it has been trained before, for its curves."""
MOST_DRIVE_S = 40.0
AIM_M = 0.7
"""How far ahead on the centre line the keys steer to [m]."""
RACER = (sys.executable, "-m", "racer.cli")


class Film:
    """Pictures of a page with the time from each to the next.

    Args:
        page: The page.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pictures: list[Image.Image] = []
        self._durations_s: list[float] = []

    def shoot(self, since: float, pace: float = 1.0) -> float:
        """Add a picture, and return the time of it; the one before is shown from `since` on."""
        shot = Image.open(io.BytesIO(self._page.screenshot(type="jpeg", quality=90)))
        now = time.monotonic()
        if self._pictures:
            self._durations_s[-1] = max((now - since) / pace, 0.05)
        height = round(FILM_WIDTH * shot.height / shot.width)
        small = shot.resize((FILM_WIDTH, height), Image.Resampling.LANCZOS)
        self._pictures.append(small.quantize(COLOURS, dither=Image.Dither.NONE))
        self._durations_s.append(1.0)
        return now

    def write(self, path: Path) -> None:
        """Write the film as a GIF that repeats."""
        first, *rest = self._pictures
        durations = [round(1000 * seconds) for seconds in self._durations_s]
        first.save(path, save_all=True, append_images=rest, duration=durations, loop=0)


@contextmanager
def studio(folder: Path) -> Iterator[str]:
    """Serve the studio for a folder of runs, and yield its address."""
    words = [*RACER, "studio", "--no-browser", "--port", "0", "--folder", str(folder)]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=folder.parent)
    try:
        assert server.stdout
        for line in server.stdout:
            if found := re.search(r"http://\S+", line):
                yield found.group().rstrip("/")
                break
    finally:
        server.terminate()


def film_training(film: Film, page: Page, url: str) -> None:
    """Film the garage, and the page of the training."""
    page.goto(url)
    page.get_by_text("first").first.wait_for()
    page.wait_for_timeout(1000)
    film.shoot(time.monotonic())
    page.goto(f"{url}/run/first")
    page.get_by_text("Evaluate now").wait_for()
    page.wait_for_timeout(3000)
    since = began = time.monotonic()
    while time.monotonic() - began < TRAINING_S:
        since = film.shoot(since, pace=2.0)
        page.wait_for_timeout(200)


def film_drive(film: Film, page: Page, url: str) -> None:
    """Film a race against the ghost of the raceline's driver."""
    page.goto(f"{url}/drive")
    page.get_by_label("your name").fill("Ada")
    page.get_by_label("key's speed [m/s]").fill("1.1")
    page.get_by_label("laps", exact=True).fill("1")
    page.get_by_label("ghosts", exact=True).click()
    page.get_by_role("option", name="raceline", exact=True).click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Drive", exact=True).click()
    page.get_by_text(re.compile("^press .* to start")).wait_for(timeout=120_000)
    stage = page.locator(".drive-stage")
    stage.focus()
    stage.scroll_into_view_if_needed()
    road, spec, held = load_track("oval"), deepracer(), set[str]()
    since = began = time.monotonic()
    is_over = page.get_by_text("R drives again")
    while not is_over.count() and time.monotonic() - began < MOST_DRIVE_S:
        me: Any = np.array([*page.evaluate("driveStats.state.cars.at(-1)")[:7], *[0.0] * 6])
        aim, _ = road.at(float(road.locate(me[None, :2]).s[0]) + AIM_M)
        angle = pursuit_angle(aim - me[:2], float(yaw_of(me)), spec.wheelbase)
        turn = {"ArrowLeft"} if angle > 0.03 else {"ArrowRight"} if angle < -0.03 else set()
        wanted = {"ArrowUp"} | turn
        for key in held - wanted:
            page.keyboard.up(key)
        for key in wanted - held:
            page.keyboard.down(key)
        held = wanted
        if time.monotonic() - since > 0.7:
            since = film.shoot(since, pace=2.0)
    film.shoot(since)


def main() -> None:
    """Write the film that the command line names."""
    parser = argparse.ArgumentParser(description="Film the studio for the README.")
    parser.add_argument("out", type=Path, help="the GIF to write")
    out = parser.parse_args().out
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    webgl = ["--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader"]
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "runs"
        training = subprocess.Popen(
            [
                *RACER,
                "train",
                "quick",
                "--total-timesteps",
                "400000",
                "--run",
                str(folder / "first"),
            ],
            stdout=subprocess.DEVNULL,
        )
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", *webgl]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="dark")
        film = Film(page)
        try:
            with studio(folder) as url:
                time.sleep(LEAST_TRAINED_S)
                film_training(film, page, url)
                training.terminate()
                training.wait()
                film_drive(film, page, url)
        finally:
            training.kill()
            browser.close()
        film.write(out)
    print(f"film: {out}, {out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
