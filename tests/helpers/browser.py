"""The system's browser, and its tabs."""

import shutil
from contextlib import contextmanager

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


def launched(playwright, *options):
    """Yield a headless browser: the body of a fixture."""
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", *options])
        yield opened
        opened.close()


@contextmanager
def opened_tabs(browser):
    """Give a function that opens a tab, and a list; close the tabs afterwards.

    Errors of the pages, and dialogs, are added to the list; fail if it is not empty in the end.
    """
    tabs, said = [], []

    def open_(width, height, scheme, **context):
        size = {"width": width, "height": height}
        tab = browser.new_page(viewport=size, color_scheme=scheme, **context)
        tab.on("pageerror", lambda problem: said.append(str(problem)))
        tab.on("dialog", lambda dialog: said.append("a dialog"))
        tabs.append(tab)
        return tab

    yield open_, said
    for tab in tabs:
        tab.close()
    assert said == []
