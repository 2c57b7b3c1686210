"""The board's server: what it serves, what it refuses, and an entry on its way to a row."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from racer.board.page.site import seasons_of
from racer.board.server import HAND_IN, MAX_BYTES, QUEUE, BoardServer
from racer.board.trial import try_on
from racer.cli import main
from racer.errors import BoardError
from tests.board.fair import BITE, FAIR, fill, package


@contextmanager
def running(store, **more):
    server = BoardServer(
        store, seasons_of(store), lambda season: None, lambda season: None, port=0, **more
    )
    server.write()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.close()
        assert not server.folder.exists()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(fill(tmp_path_factory.mktemp("served")), slowest=1.0) as server:
        yield server


@pytest.fixture
def ask(server):
    def ask(method, path, body=None, **headers):
        to = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        to.request(method, path, body, named)
        reply = to.getresponse()
        content = reply.read()
        to.close()
        return reply, content

    return ask


def told(content):
    return json.loads(content)


def hand_in(ask, body, digest=FAIR.digest, **headers):
    given = {"Content_Type": "application/zip", **headers}
    return ask("POST", f"{HAND_IN}?season={digest}", body, **given)


def outcome(ask, number):
    until, ticket = time.monotonic() + 60, None
    while time.monotonic() < until:
        tickets = told(ask("GET", QUEUE)[1])
        ticket = next(one for one in tickets if one["number"] == number)
        if ticket["state"] in ("done", "refused"):
            return ticket
        time.sleep(0.05)
    raise AssertionError(f"entry {number} is still {ticket}")


def raw(server, *parts, pause=0.0):
    """What comes back for bytes that no client would send."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as to:
        try:
            for part in parts:
                to.sendall(part)
                time.sleep(pause)
        except OSError:
            pass  # it was cut off, as some of these want
        answer = b""
        try:
            while part := to.recv(65536):
                answer += part
        except OSError:
            pass
        return answer


def head(*lines, path=f"{HAND_IN}?season={FAIR.digest}"):
    usual = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/zip"]
    return "\r\n".join([*usual, *lines, "", ""]).encode()


def test_pages_are_served_with_headers_that_lock_them_in(ask):
    for path in ("/", "/index.html", "/board.css", "/replay.js", "/desk.js"):
        reply, content = ask("GET", path)
        assert reply.status == 200 and content
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Referrer-Policy"] == "no-referrer"
        assert "script-src 'self';" in reply.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in reply.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/../board.sqlite3",
        "/..%2fboard/board.sqlite3",
        "/data/../../uploads/x",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..\\..\\etc\\passwd",
        "/data",
        "/fair%00.html",
        "/board/entries/x.entry.zip",
    ],
)
def test_a_path_out_of_the_pages_leads_nowhere(server, path):
    answer = raw(server, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 404 ")
    assert b"root:" not in answer


def test_an_entry_is_judged_and_stands_on_the_board(server, ask, tmp_path):
    body = package(tmp_path / "new.entry.zip", name=BITE).read_bytes()
    reply, content = hand_in(ask, body, Origin=f"http://127.0.0.1:{server.server_port}")
    assert reply.status == 202
    ticket = outcome(ask, told(content)["number"])
    assert (ticket["state"], ticket["name"], ticket["done"], ticket["all"]) == ("done", BITE, 2, 2)
    page = ask("GET", f"/fair-{FAIR.digest[:8]}/entry-{ticket['row']}.html")
    assert page[0].status == 200
    assert b"<img" not in page[1]
    assert list(server.uploads.iterdir()) == []


def test_what_is_no_entry_is_refused_with_its_code_and_without_a_path(server, ask, tmp_path):
    ticket = outcome(ask, told(hand_in(ask, b"PK, but no zip")[1])["number"])
    assert (ticket["state"], ticket["code"]) == ("refused", "not_a_zip")
    assert str(server.folder) not in ticket["said"]
    wrong = package(tmp_path / "big.entry.zip", car="f1tenth").read_bytes()
    ticket = outcome(ask, told(hand_in(ask, wrong)[1])["number"])
    assert ticket["code"] == "board"
    assert "is for deepracer" in ticket["said"]
    assert list(server.uploads.iterdir()) == []


def test_a_huge_upload_is_refused_before_it_is_read(server):
    answer = raw(server, head(f"Content-Length: {MAX_BYTES + 1}"))
    assert answer.startswith(b"HTTP/1.0 413 ")
    assert b"too_big" in answer


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], b"411"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], b"411"),
        (["Content-Length: -5"], b"400"),
        (["Content-Length: 5e3"], b"400"),
    ],
)
def test_an_upload_without_an_honest_length_is_refused(server, lines, status):
    assert raw(server, head(*lines)).split()[1] == status


@pytest.mark.slow
def test_an_upload_that_drips_is_cut_off_in_time(server):
    answer = raw(server, head("Content-Length: 1000"), *[b"x"] * 15, pause=0.1)
    assert answer.startswith(b"HTTP/1.0 408 ")
    assert list(server.uploads.iterdir()) == []


def test_an_upload_that_ends_too_soon_is_told_so(server):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as to:
        to.sendall(head("Content-Length: 1000") + b"too little")
        to.shutdown(socket.SHUT_WR)
        assert to.recv(65536).startswith(b"HTTP/1.0 400 ")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_another_method_is_refused(ask, method):
    reply, _ = ask(method, HAND_IN)
    assert reply.status == 405
    assert reply.headers["Allow"] == "GET, POST"


def test_get_and_post_are_kept_apart(ask):
    assert ask("GET", HAND_IN)[0].status == 405
    given = {"Content_Type": "application/zip"}
    assert ask("POST", "/index.html", b"x", **given)[0].status == 405
    assert ask("POST", "/elsewhere", b"x", **given)[0].status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_an_upload_from_a_page_elsewhere_is_refused(ask, headers):
    reply, content = hand_in(ask, b"x", **headers)
    assert (reply.status, told(content)["code"]) == (403, "origin")


def test_a_form_elsewhere_cannot_send_the_kind_that_is_wanted(ask):
    reply, _ = hand_in(ask, b"x", Content_Type="text/plain")
    assert reply.status == 415


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "[::1", "127.0.0.1.nip.io"]
)
def test_a_name_that_was_made_to_point_here_is_not_served(ask, host):
    reply, content = ask("GET", "/", Host=host)
    assert (reply.status, told(content)["code"]) == (421, "host")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:9"])
def test_this_machines_own_names_are_served(ask, host):
    assert ask("GET", "/", Host=host)[0].status == 200


def test_a_season_that_is_not_here_takes_no_entry(ask):
    reply, content = hand_in(ask, b"x", digest="no<b>")
    assert reply.status == 404
    assert "takes entries here" in told(content)["said"]


@pytest.mark.slow
def test_a_queue_that_is_full_says_so(tmp_path, monkeypatch):
    from racer.board import desk

    store = fill(tmp_path)
    go = threading.Event()
    monkeypatch.setattr(desk, "WAITING", 2)
    monkeypatch.setattr(desk, "read_entry", lambda path: go.wait(20) and 1 / 0)
    with running(store) as server:
        paths = [server.uploads / str(k) for k in range(4)]
        for path in paths:
            path.write_bytes(b"")
        server.desk.hand_in(paths[0], FAIR.digest)
        while server.desk.told()[0]["state"] == "waiting":
            time.sleep(0.01)
        for path in paths[1:3]:
            server.desk.hand_in(path, FAIR.digest)
        with pytest.raises(desk.BoardError, match="2 entries wait already"):
            server.desk.hand_in(paths[3], FAIR.digest)
        go.set()
        while any(one["state"] != "refused" for one in server.desk.told()):
            time.sleep(0.01)
        assert {one["code"] for one in server.desk.told()} == {"bug"}, "and the next is judged"


def test_what_another_process_adds_is_on_the_pages(server, ask):
    store = server.desk._store
    runs = try_on(store, FAIR, "pure-pursuit", None)
    row = store.add(FAIR, "late", None, runs)
    assert b"late" in ask("GET", f"/fair-{FAIR.digest[:8]}/index.html")[1]
    assert ask("GET", f"/fair-{FAIR.digest[:8]}/entry-{row.id}.html")[0].status == 200


@pytest.mark.parametrize(("host", "is_warned"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_the_verb_warns_where_others_can_reach_it(tmp_path, monkeypatch, capsys, host, is_warned):
    def stop(server):
        raise KeyboardInterrupt

    monkeypatch.setenv("RACER_BOARD", str(tmp_path))
    monkeypatch.setattr(BoardServer, "serve_forever", stop)
    with pytest.raises(SystemExit) as ended:
        main(["board", "serve", "--port", "0", "--host", host])
    assert ended.value.code == 130
    said = capsys.readouterr().out
    assert f"serving http://{host}:" in said
    assert ("warning" in said) == is_warned


def test_a_port_that_is_taken_is_named(server):
    with pytest.raises(BoardError, match=r"127\.0\.0\.1:.*--port"):
        BoardServer(
            server.desk._store, [], lambda one: None, lambda one: None, port=server.server_port
        )
