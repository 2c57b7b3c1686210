"""The HTTP server of the board's pages, which takes uploads of entries."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from racer.entries.archive import MAX_PACKAGE_BYTES
from racer.errors import BoardError
from racer.leaderboard.explained_entry import EntryExplainer
from racer.leaderboard.network_addresses import (
    is_known_host,
    is_same_origin,
    machine_names,
    network_addresses,
    url_of,
)
from racer.leaderboard.pages import markup
from racer.leaderboard.pages.site import write_site
from racer.leaderboard.season import Season
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_judge import SubmissionJudge
from racer.leaderboard.submission_queue import SubmissionJob, SubmissionQueue

HAND_IN, QUEUE = "/entries", "/queue.json"
REQUEST_TIMEOUT_S = 60.0
"""How long a request may take to arrive [s]."""
IDLE_TIMEOUT_S = 10.0
"""How long a request may pause while it arrives [s]."""
MAX_CONNECTIONS = 32
"""The most connections that are served at once."""
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
UPLOAD_STATUS = {"season": 404, "name": 400, "full": 503, "early": 403, "closed": 403}
"""Status of the answer to a refused upload, by the code of the error; 503 for any other."""
SECURITY_HEADERS = {
    "Content-Security-Policy": f"{markup.POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Refusal(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status of the answer.
        code: The reason in one word, for programs.
        said: The reason in a sentence.
    """

    def __init__(self, status: int, code: str, said: str) -> None:
        super().__init__(said)
        self.status, self.code, self.said = status, code, said


def _refusal_of(problem: BoardError) -> Refusal:
    """Return the answer to a request that the board refuses; it tells nothing of the store."""
    if problem.code in UPLOAD_STATUS:
        return Refusal(UPLOAD_STATUS[problem.code], problem.code, str(problem))
    return Refusal(503, problem.code, "the board cannot be reached now; try again later")


class BoardServer(ThreadingHTTPServer):
    """A server of a board's pages that takes entries; call `serve_forever`, then `close`.

    Args:
        store: The board.
        seasons: The seasons to show; each takes entries.
        secret_of: Returns the secret of a sealed season, to evaluate entries; None if it is not
            here.
        public_of: Returns the secret of a sealed season if it is public, to show its tracks; else
            None.
        host: Host name or address to listen on.
        port: The port; 0 for a free one.
        slowest: How long a request may take to arrive [s].
        is_judging: Whether entries are evaluated here; else they wait for `racer board work`.
        is_explaining: Whether a lap of each entry is explained here, in the background.

    Raises:
        BoardError: The server cannot listen on host and port.
    """

    daemon_threads = True

    def __init__(
        self,
        store: BoardStore,
        seasons: Sequence[Season],
        secret_of: Callable[[Season], str | None],
        public_of: Callable[[Season], str | None],
        host: str = "127.0.0.1",
        port: int = 8000,
        slowest: float = REQUEST_TIMEOUT_S,
        is_judging: bool = True,
        is_explaining: bool = False,
    ) -> None:
        self.host, self.slowest = host, slowest
        self._store, self._seasons, self._public_of = store, list(seasons), public_of
        self.names = {"localhost", host.lower(), *machine_names()}
        self._room = threading.Semaphore(MAX_CONNECTIONS)
        self._writing = threading.Lock()
        self._written: tuple[int, str] | None = None
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), BoardRequestHandler)
        except OSError as problem:
            why = problem.strerror or problem
            raise BoardError(f"{host}:{port}: {why}; name another with --port") from problem
        self.folder = Path(tempfile.mkdtemp(prefix="racer-board-"))
        self.site, self.uploads = self.folder / "site", self.folder / "uploads"
        self.uploads.mkdir()
        by_digest = {season.digest: season for season in seasons}
        self.desk = SubmissionQueue(store, by_digest)
        self.judge = SubmissionJudge(self.desk, secret_of, self.write)
        self.explainer = EntryExplainer(store, self._seasons, public_of, self._write_pages)
        self.is_judging = is_judging
        if is_judging:
            self.judge.start()
        if is_explaining:
            self.explainer.start()

    def write(self) -> None:
        """Write the pages of the board as it is now, and have new entries explained."""
        self._write_pages()
        self.explainer.wake()

    def _write_pages(self) -> None:
        with self._writing:
            stamp = self._store.head()
            write_site(self._store, self.site, self._seasons, self._public_of, is_served=True)
            self._written = stamp

    def hand_in(self, path: Path, season: str, name: str) -> SubmissionJob:
        """Take an uploaded entry into the queue.

        Args:
            path: The package.
            season: What the request calls the season.
            name: Name of the entry on the board; empty for the one in its manifest.

        Raises:
            BoardError: See `SubmissionQueue.hand_in`; or the season is sealed, and this server,
                which evaluates its entries, does not have the secret.
        """
        rules = self.desk.season_named(season)
        if self.is_judging and not self.judge.can_judge(rules):
            raise BoardError(
                f"season {rules.name} is sealed, and its secret is not here: hand in where its "
                "owner judges",
                "season",
            )
        ticket = self.desk.hand_in(path, season, name)
        self.judge.wake()
        return ticket

    def close(self) -> None:
        """Stop listening, wait for the evaluation that is running, and remove temporary files."""
        self.server_close()
        self.judge.close()
        self.explainer.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def is_open(self) -> bool:
        """Whether the server listens on every network interface of this machine."""
        return self.host in ("", "0.0.0.0", "::")

    def addresses(self) -> list[str]:
        """Return the server's URLs: first for this machine, then for other machines."""
        hosts = ["127.0.0.1", *network_addresses()] if self.is_open else [self.host]
        return [url_of(host, self.server_port) for host in hosts]

    def named_addresses(self) -> list[str]:
        """Return URLs with names of this machine, which other machines may not know."""
        return [url_of(name, self.server_port) for name in machine_names() if self.is_open]

    def page(self, path: str) -> Path | None:
        """Return the page or file that a request's path names; None if there is no such file."""
        named = path.lstrip("/") or "index.html"
        if named.endswith(".html") and self._store.head() != self._written:
            self.write()  # another process changed the board
        known = {
            one.relative_to(self.site).as_posix(): one
            for one in self.site.rglob("*")
            if one.is_file() and one.suffix in CONTENT_TYPES
        }
        return known.get(named)

    def process_request(self, request: Any, client_address: Any) -> None:
        """See `ThreadingHTTPServer`; connections beyond `MAX_CONNECTIONS` are closed at once."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """See `ThreadingHTTPServer`."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a broken connection is not the server's error."""


class BoardRequestHandler(BaseHTTPRequestHandler):
    """Answers one request, then closes the connection."""

    server: BoardServer  # pyright: ignore[reportIncompatibleVariableOverride]
    server_version, sys_version = "racer", ""
    timeout = IDLE_TIMEOUT_S

    def setup(self) -> None:
        """Start the time limit of the request."""
        super().setup()
        self._until = time.monotonic() + self.server.slowest
        self._alarm = threading.Timer(self.server.slowest + IDLE_TIMEOUT_S, self._cut)
        self._alarm.daemon = True
        self._alarm.start()

    def finish(self) -> None:
        """Stop the time limit of the request."""
        self._alarm.cancel()
        super().finish()

    def do_GET(self) -> None:
        """Answer with a page, or with the states of the uploaded entries."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Take an uploaded entry."""
        self._answer(self._post)

    def _refuse_method(self) -> None:
        def refuse() -> None:
            raise Refusal(405, "method", f"{self.command} is not known here; wanted is GET or POST")

        self._answer(refuse)

    do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = _refuse_method

    def log_message(self, format: str, *args: Any) -> None:
        """Do nothing: the page shows the uploads."""

    def _answer(self, work: Callable[[], None]) -> None:
        try:
            self._refuse_other_hosts()
            try:
                work()
            except BoardError as problem:
                raise _refusal_of(problem) from problem
        except Refusal as problem:
            self._send_refusal(problem)
            self._drain()
        except TimeoutError:
            self._send_json(408, {"code": "slow", "said": "the request came too slowly"})

    def _refuse_other_hosts(self) -> None:
        """Refuse requests to unknown host names."""
        named = self.headers.get("Host", "")
        if self.path == "/board.css":
            return  # the page of the refusal uses it; it reveals nothing
        if not is_known_host(named, self.server.names):
            said = f"this server is not known as {named!r:.100}; open {self._reached()}"
            raise Refusal(421, "host", said)

    def _reached(self) -> str:
        """Return the server's URL with the address that this connection uses."""
        address, port = self.connection.getsockname()[:2]
        return url_of(address.removeprefix("::ffff:"), port)

    def _get(self) -> None:
        path = urlsplit(self.path).path
        if path == QUEUE:
            self._send_json(200, self.server.desk.told())
            return
        if path == HAND_IN:
            raise Refusal(405, "method", f"{HAND_IN} takes POST")
        if (found := self.server.page(path)) is None:
            raise Refusal(404, "missing", "there is no such page")
        self._send(200, CONTENT_TYPES[found.suffix], found.read_bytes())

    def _post(self) -> None:
        asked = urlsplit(self.path)
        origin, host = self.headers.get("Origin"), self.headers.get("Host", "")
        if not is_same_origin(origin, self.headers.get("Sec-Fetch-Site", "none"), host):
            raise Refusal(403, "origin", "entries are taken from this server's own pages only")
        if asked.path != HAND_IN:
            status = 404 if self.server.page(asked.path) is None else 405
            raise Refusal(status, "method", f"entries go to {HAND_IN}")
        kind = self.headers.get_content_type()
        if kind not in ("application/zip", "application/octet-stream"):
            raise Refusal(415, "kind", f"wanted is application/zip, got {kind:.60}")
        size = self._size()
        given = parse_qs(asked.query, keep_blank_values=True)
        season, name = (given.get(key, [""])[-1] for key in ("season", "name"))
        with tempfile.NamedTemporaryFile(
            dir=self.server.uploads, suffix=".entry.zip", delete=False
        ) as file:
            path = Path(file.name)
            try:
                self._receive(file, size)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        try:
            ticket = self.server.hand_in(path, season, name.strip())
        except BoardError as problem:
            raise _refusal_of(problem) from None
        finally:
            path.unlink(missing_ok=True)
        said = f"received as upload {ticket.number}, {ticket.ahead} before it; its place follows"
        told = {"number": ticket.number, "ahead": ticket.ahead, "said": f"{said} in {QUEUE}"}
        self._send_json(202, told)

    def _size(self) -> int:
        told = self.headers.get("Content-Length")
        if told is None or "Transfer-Encoding" in self.headers:
            raise Refusal(411, "length", "an entry comes with Content-Length, in one piece")
        if not told.isascii() or not told.isdigit() or len(told) > 15:
            raise Refusal(400, "length", f"Content-Length {told!r:.40} is no number")
        if int(told) > MAX_PACKAGE_BYTES:
            raise Refusal(
                413, "too_big", f"{int(told):,} bytes; an entry has up to {MAX_PACKAGE_BYTES:,}"
            )
        return int(told)

    def _receive(self, file: Any, size: int) -> None:
        left = size
        while left:
            if (rest := self._until - time.monotonic()) <= 0:
                raise TimeoutError
            self.connection.settimeout(min(IDLE_TIMEOUT_S, rest))
            part = self.rfile.read1(min(left, 1 << 16))
            if not part:
                raise Refusal(400, "cut", f"{size:,} bytes were announced, {left:,} did not come")
            file.write(part)
            left -= len(part)

    def _send_refusal(self, problem: Refusal) -> None:
        """Answer with an error: as a page if a browser asks for a page, else as JSON."""
        if self.command == "GET" and "text/html" in self.headers.get("Accept", ""):
            content = markup.refusal_page(problem.said, problem.status, self._reached())
            self._send(problem.status, CONTENT_TYPES[".html"], content)
        else:
            self._send_json(problem.status, {"code": problem.code, "said": problem.said})

    def _send_json(self, status: int, value: Any) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in SECURITY_HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if status == 405:
            self.send_header("Allow", "GET, POST")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _drain(self) -> None:
        """Read a part of the rest of the request, so that the client gets to read the answer."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(0.5)
            for _ in range(64):
                if not self.rfile.read1(1 << 16):
                    break

    def _cut(self) -> None:
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
