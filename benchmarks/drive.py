"""Drive by keys in a headless browser: the time from a key to the picture, and the frame rate."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

SOFTWARE_WEBGL = ("--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader")
WATCH_KEYS = """() => {
  window.keyTimes = [];
  let pressed = 0, before = 0;
  window.addEventListener("keydown", (event) => {
    if (!/Left|Right/.test(event.code)) return;
    pressed = performance.now();
    before = driveStats.drawn[2];
  }, true);
  const look = () => {
    if (pressed && Math.abs(driveStats.drawn[2] - before) > 1e-5) {
      keyTimes.push(performance.now() - pressed);
      pressed = 0;
    }
    setTimeout(look, 1);
  };
  look();
}"""
"""Notes how long the front wheels in the picture take to turn after a key is pressed [ms]."""
TAPS, TAP_S, REST_S = 4, 0.1, 0.3
"""Taps to the right and left in a race, how long each lasts, and the time to the next [s]."""


def main() -> None:
    """Start the studio and a browser, tap the keys, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=1440)
    parser.add_argument("--height", type=int, default=900)
    parser.add_argument("--races", type=int, default=10)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        words = ["studio", "--no-browser", "--port", "0", "--folder", f"{folder}/runs"]
        server = subprocess.Popen(
            [sys.executable, "-m", "racer.cli", *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        try:
            assert server.stdout
            url = server.stdout.readline().split()[-1]
            browser = started.chromium.launch(
                executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
                args=["--no-sandbox", *SOFTWARE_WEBGL],
            )
            tab = browser.new_page(viewport={"width": asked.width, "height": asked.height})
            tab.goto(f"{url}drive")
            measure(tab, server.pid, asked.races)
        finally:
            server.terminate()
            server.wait()


def measure(tab: Page, server: int, races: int) -> None:
    """Drive several races on a straight, and print times and rates.

    Args:
        tab: The page Drive.
        server: Process id of the studio.
        races: Number of races.
    """
    tab.get_by_label("key's speed [m/s]").fill("0.5")
    tab.get_by_role("button", name="Drive", exact=True).click()
    tab.get_by_text("to start").wait_for(timeout=120_000)
    tab.locator(".drive-stage").focus()
    tab.evaluate(WATCH_KEYS)
    took = frames = states = cpu = put_back = 0.0
    for _ in range(races):
        tab.keyboard.down("ArrowUp")
        time.sleep(1.0)
        before = tab.evaluate("[driveStats.frames, driveStats.states]")
        cpu_before, began = cpu_s(server), time.perf_counter()
        for tap in range(TAPS):
            key = "ArrowLeft" if tap % 2 else "ArrowRight"
            tab.keyboard.down(key)
            time.sleep(TAP_S + 0.013 * (tap % 5))  # so that the taps meet all parts of a step
            tab.keyboard.up(key)
            time.sleep(REST_S)
        after = tab.evaluate("[driveStats.frames, driveStats.states]")
        put_back += tab.evaluate("driveStats.state.resets")
        took += time.perf_counter() - began
        cpu += cpu_s(server) - cpu_before
        frames, states = frames + after[0] - before[0], states + after[1] - before[1]
        tab.keyboard.up("ArrowUp")
        tab.keyboard.press("r")
        tab.get_by_text("getting ready").or_(tab.get_by_text("to start")).wait_for()
        tab.get_by_text("to start").wait_for()
    times = np.array(tab.evaluate("keyTimes"))
    middle, most = np.percentile(times, [50, 95])
    print(
        f"key to picture: median {middle:.0f} ms, 95 % {most:.0f} ms, of {len(times)} keys; "
        f"{frames / took:.1f} frames/s, {states / took:.1f} states/s, "
        f"studio {100 * cpu / took:.1f} % of a core; put back {put_back:.0f} times"
    )


def cpu_s(process: int) -> float:
    """Return the processor time that a process has used [s]; Linux only."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100.0


if __name__ == "__main__":
    main()
