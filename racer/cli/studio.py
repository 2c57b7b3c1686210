"""The command that opens the studio."""

from __future__ import annotations

from pathlib import Path


def cli_studio(
    folder: Path = Path("runs"),
    port: int = 8080,
    host: str = "127.0.0.1",
    no_browser: bool = False,
) -> None:
    """Open the studio in the browser: the runs as they train, to stop, resume, export or delete.

    Ctrl-C ends it; trainings go on.

    Args:
        folder: The folder of the runs.
        port: The port; 0 for a free one.
        host: Where to listen; other than on this machine, the address contains a token.
        no_browser: Only print the address.
    """
    from racer.cli.output import open_browser
    from racer.studio.server import serve_studio

    def tell(urls: list[str]) -> None:
        here, *others = urls
        print(f"studio: {here}")
        for url in others:
            print(f"  from another machine: {url}")
        print("Ctrl-C ends it; trainings go on", flush=True)
        if not no_browser:
            open_browser(here)

    serve_studio(folder, host, port, tell)
