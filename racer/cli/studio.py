"""The command that opens the studio."""

from __future__ import annotations

import sys
from pathlib import Path


def cli_studio(
    run: Path | None = None,
    /,
    *,
    folder: Path = Path("runs"),
    port: int = 8080,
    host: str = "127.0.0.1",
    no_browser: bool = False,
) -> None:
    """Open the studio in the browser: make models, and follow, pause, stop, export or delete runs.

    Ctrl-C ends it; trainings go on.

    Args:
        run: Open the page of this run; its folder is then that of the runs.
        folder: The folder of the runs.
        port: The port; 0 for a free one.
        host: Where to listen; other than on this machine, the address contains a token.
        no_browser: Only print the address.
    """
    from racer.cli.output import open_browser
    from racer.studio.server import serve_studio
    from racer.training.run_dir import Run

    name = ""
    if run is not None:
        opened = Run.open(run).folder.resolve()
        folder, name = opened.parent, opened.name

    def tell(here: str, others: list[str]) -> None:
        print(f"studio: {here}")
        for url in others:
            if url == here:
                continue
            print(f"  from another machine: {url}")
        if others:
            _print_qr_code(others[0])
        print("Ctrl-C ends it; trainings go on", flush=True)
        if not no_browser:
            open_browser(here)

    serve_studio(folder, host, port, tell, name)


def _print_qr_code(url: str) -> None:
    """Print a URL as a QR code, unless the terminal has no block characters."""
    import io

    import segno

    drawn = io.StringIO()
    segno.make(url, error="l", micro=False).terminal(drawn, compact=True)
    try:
        drawn.getvalue().encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return
    print(drawn.getvalue())
