"""The studio's server."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, PlainTextResponse, Response
from nicegui import ui

from racer.errors import RacerError, StudioError
from racer.leaderboard.network_addresses import machine_names, network_addresses, url_of
from racer.studio.access import AccessCheck
from racer.studio.compare_page import add_compare_page
from racer.studio.drive_page import add_drive_page
from racer.studio.garage_page import GaragePage
from racer.studio.new_model_page import add_new_model_page
from racer.studio.run_actions import Studio
from racer.studio.run_page import RunPage
from racer.training.run_dir import Run
from racer.training.training_report import write_report

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that only this machine reaches; no token is needed there."""
EVERY_INTERFACE = ("", "0.0.0.0", "::")
"""Hosts that stand for every network interface of this machine."""
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"


def serve_studio(
    folder: Path,
    host: str = "127.0.0.1",
    port: int = 8080,
    on_start: Callable[[str, list[str]], None] = lambda here, others: None,
    run: str = "",
) -> None:
    """Serve the studio's pages until Ctrl-C; trainings that it started go on.

    Args:
        folder: The folder of the runs; it may not exist yet.
        host: Host name or address to listen on. Other hosts than `LOOPBACK` need a token, which is
            part of the addresses.
        port: The port; 0 for a free one.
        on_start: Called with the address for this machine, and with those for others, once it
            listens.
        run: The run whose page the addresses open; "" for the garage.

    Raises:
        StudioError: The server cannot listen on host and port.
    """
    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    hosts = ["127.0.0.1", *network_addresses()] if host in EVERY_INTERFACE else [host]
    rest = f"run/{quote(run)}" if run else ""
    rest += f"?token={token}" if token else ""
    names = {"localhost", host.lower(), *machine_names()}
    app = make_studio_app(folder.resolve())
    config = uvicorn.Config(
        AccessCheck(app, names, token),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    with listening:
        others = hosts[1:] if host in EVERY_INTERFACE else hosts if token else []
        on_start(url_of(hosts[0], port) + rest, [url_of(one, port) + rest for one in others])
        uvicorn.Server(config).run(sockets=[listening])


class _StudioServer(uvicorn.Server):
    """A server that says when it listens, and Ctrl-C ends it: before, Python may overhear one.

    Args:
        config: The server's config.
        on_start: Called once it listens.
    """

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen; called by uvicorn."""
        await super().startup(sockets)
        self._on_start()


def make_studio_app(folder: Path) -> FastAPI:
    """Return the studio as an ASGI application, without the check of who asks.

    Args:
        folder: The folder of the runs, a whole path.
    """
    app, studio = FastAPI(openapi_url=None), Studio(folder)

    @ui.page("/")
    def garage() -> None:
        GaragePage(studio)

    @ui.page("/run/{name}")
    def run_page(name: str) -> None:
        RunPage(studio, name)

    add_new_model_page(studio)
    add_compare_page(studio)

    @app.get("/run/{name}/report")
    def report(name: str) -> Response:
        try:
            with TemporaryDirectory(prefix="racer-studio-") as out:
                run = studio.folder.open(name)
                _explain(run)
                page = write_report(run.folder, Path(out)).read_text("utf-8")
        except RacerError as problem:
            return PlainTextResponse(str(problem), 404)
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    add_drive_page(app, studio)
    ui.run_with(app, title="racer studio", dark=None, language="en-US", show_welcome_message=False)
    return app


def _explain(run: Run) -> None:
    """Explain the best checkpoint's lap; if that cannot be done, the report says so."""
    with suppress(RacerError, ImportError):
        from racer.training.explained_run import explain_best_lap

        explain_best_lap(run)


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise StudioError(f"--port {port}: must be 0-65535; 0 is a free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as problem:
        why = problem.strerror or problem
        raise StudioError(f"{host}:{port}: {why}; choose another with --port") from problem
