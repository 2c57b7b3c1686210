"""The board's server: what it serves, what it refuses, and an entry on its way to a row."""

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager
from urllib.parse import urlencode

import pytest

from racer.cli import main
from racer.errors import BoardError
from racer.leaderboard.network_addresses import is_address, machine_names, network_addresses, url_of
from racer.leaderboard.pages.site import seasons_of
from racer.leaderboard.ranking import rank
from racer.leaderboard.season import SealedDraws, SeasonRaceConfig
from racer.leaderboard.season_event import SeasonEvent
from racer.leaderboard.server import HAND_IN, MAX_PACKAGE_BYTES, QUEUE, BoardServer
from racer.leaderboard.store import BoardStore
from racer.leaderboard.submission_evaluation import evaluate_season
from racer.leaderboard.submission_queue import SubmissionQueue
from tests.helpers.boards import BITE, FAIR, LOOK, fill, package


@contextmanager
def listening(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.close()


@contextmanager
def running(store, **more):
    server = BoardServer(
        store, seasons_of(store), lambda season: None, lambda season: None, port=0, **more
    )
    server.write()
    with listening(server):
        yield server
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


def hand_in(ask, body, digest=FAIR.digest, name=None, **headers):
    given = {"Content_Type": "application/zip", **headers}
    query = {"season": digest} | ({} if name is None else {"name": name})
    return ask("POST", f"{HAND_IN}?{urlencode(query)}", body, **given)


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


def test_a_path_out_of_the_pages_leads_nowhere(subtests, server):
    for path in [
        "/../board.sqlite3",
        "/..%2fboard/board.sqlite3",
        "/data/../../uploads/x",
        "//etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..\\..\\etc\\passwd",
        "/data",
        "/fair%00.html",
        "/board/entries/x.entry.zip",
    ]:
        with subtests.test(path=path):
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
    answer = raw(server, head(f"Content-Length: {MAX_PACKAGE_BYTES + 1}"))
    assert answer.startswith(b"HTTP/1.0 413 ")
    assert b"too_big" in answer


def test_an_upload_without_an_honest_length_is_refused(subtests, server):
    for lines, status in [
        ([], b"411"),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], b"411"),
        (["Content-Length: -5"], b"400"),
        (["Content-Length: 5e3"], b"400"),
    ]:
        with subtests.test(lines=lines, status=status):
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


def test_another_method_is_refused(subtests, ask):
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"]:
        with subtests.test(method=method):
            reply, _ = ask(method, HAND_IN)
            assert reply.status == 405
            assert reply.headers["Allow"] == "GET, POST"


def test_get_and_post_are_kept_apart(ask):
    assert ask("GET", HAND_IN)[0].status == 405
    given = {"Content_Type": "application/zip"}
    assert ask("POST", "/index.html", b"x", **given)[0].status == 405
    assert ask("POST", "/elsewhere", b"x", **given)[0].status == 404


def test_an_upload_from_a_page_elsewhere_is_refused(subtests, ask):
    for headers in [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ]:
        with subtests.test(headers=headers):
            reply, content = hand_in(ask, b"x", **headers)
            assert (reply.status, told(content)["code"]) == (403, "origin")


def test_a_form_elsewhere_cannot_send_the_kind_that_is_wanted(ask):
    reply, _ = hand_in(ask, b"x", Content_Type="text/plain")
    assert reply.status == 415


def test_a_name_that_was_made_to_point_here_is_not_served(subtests, ask):
    for host in ["evil.example", "evil.example:8000", "", "[::1", "127.0.0.1.nip.io"]:
        with subtests.test(host=host):
            reply, content = ask("GET", "/", Host=host)
            assert (reply.status, told(content)["code"]) == (421, "host")


def test_this_machines_own_names_are_served(subtests, ask):
    for host in ["localhost:8000", "127.0.0.1", "[::1]:9"]:
        with subtests.test(host=host):
            assert ask("GET", "/", Host=host)[0].status == 200


def test_the_machines_name_in_its_network_is_served(subtests, server, ask, monkeypatch):
    for host in ["Teacher-PC:8000", "teacher-pc.local", "teacher-pc"]:
        with subtests.test(host=host):
            monkeypatch.setattr("socket.gethostname", lambda: "Teacher-PC")
            monkeypatch.setattr(server, "names", {"localhost", *machine_names()})
            assert ask("GET", "/", Host=host)[0].status == 200


def test_a_browser_at_a_wrong_name_gets_a_page_that_leads_to_the_right_one(server, ask):
    reply, content = ask("GET", "/x", Host="pc.school.example", Accept="text/html,*/*;q=0.8")
    assert (reply.status, reply.headers["Content-Type"]) == (421, "text/html; charset=utf-8")
    home = f"http://127.0.0.1:{server.server_port}/"
    assert f'<a href="{home}">' in content.decode()
    assert "pc.school.example" in content.decode()
    assert ask("GET", "/board.css", Host="pc.school.example")[0].status == 200
    assert told(ask("GET", "/x", Host="pc.school.example")[1])["said"].endswith(home)
    reply, content = ask("GET", "/gone", Accept="text/html")
    assert (reply.status, b"there is no such page" in content) == (404, True)


def test_addresses_that_a_student_can_type_are_told(monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "Teacher-PC.School.example")
    names = ["teacher-pc.school.example", "teacher-pc", "teacher-pc.local"]
    assert machine_names() == names
    monkeypatch.setattr("socket.gethostname", lambda: "localhost")
    assert machine_names() == []
    assert url_of("::1", 80) == "http://[::1]:80/"
    for address in network_addresses():
        assert is_address(address) and not address.startswith(("127.", "0."))


def test_a_season_is_named_by_its_name_or_the_beginning_of_its_digest(subtests, ask):
    for season in ["fair", FAIR.digest[:8], FAIR.digest[:1], FAIR.folder, FAIR.digest]:
        with subtests.test(season=season):
            reply, content = hand_in(ask, b"no zip", digest=season)
            assert reply.status == 202
            assert outcome(ask, told(content)["number"])["code"] == "not_a_zip"


def test_a_season_that_is_not_here_takes_no_entry(subtests, ask):
    for season in ["no<b>", "", "fai", FAIR.digest + "0"]:
        with subtests.test(season=season):
            reply, content = hand_in(ask, b"x", digest=season)
            assert (reply.status, told(content)["code"]) == (404, "season")
            said = f"is no season that takes entries here; name one of: {FAIR.folder}"
            assert said in told(content)["said"]


def test_a_name_of_two_seasons_is_told_with_both(tmp_path):
    other = FAIR.model_copy(update={"race": SeasonRaceConfig(laps=1, time_limit=40)})
    submission_queue = SubmissionQueue(
        BoardStore(tmp_path), {one.digest: one for one in (FAIR, other)}
    )
    with pytest.raises(BoardError, match=rf"several seasons.*{FAIR.folder}, {other.folder}"):
        submission_queue.hand_in(tmp_path / "x", "fair")


@pytest.mark.slow
def test_an_entry_stands_under_the_name_that_was_asked_for(server, ask, tmp_path):
    body = package(tmp_path / "new.entry.zip", name="first", look=1.5 * LOOK).read_bytes()
    tickets = [
        outcome(ask, told(hand_in(ask, body, name=name)[1])["number"])
        for name in ("Zo\u00eb & <b>", "", "Zo\u00eb & <b>")
    ]
    assert [one["name"] for one in tickets] == ["Zo\u00eb & <b>", "first", "Zo\u00eb & <b>"]
    rows = {line.id: line for line in rank(server.desk.store.rows(FAIR), FAIR)}
    assert (tickets[1]["place"], tickets[1]["of"]) == (rows[tickets[1]["row"]].rank, len(rows))
    assert "submitted before" in tickets[2]["said"]
    assert tickets[2]["place"] == tickets[0]["place"]


def test_a_name_that_does_not_fit_is_refused_with_its_code(subtests, server, ask):
    for name in ["x" * 61, "two\nlines", "\u200b", "tab\there"]:
        with subtests.test(name=name):
            reply, content = hand_in(ask, b"x", name=name)
            assert (reply.status, told(content)["code"]) == (400, "name")
            assert "does not fit a board; wanted are up to 60 printable" in told(content)["said"]
            assert list(server.uploads.iterdir()) == []


@pytest.mark.slow
def test_a_queue_that_is_full_says_so(tmp_path, monkeypatch):
    from racer.leaderboard import submission_judge, submission_queue

    store = fill(tmp_path)
    go = threading.Event()
    monkeypatch.setattr(submission_queue, "MAX_WAITING", 2)
    monkeypatch.setattr(submission_judge, "read_entry", lambda path: go.wait(20) and 1 / 0)
    with running(store) as server:
        paths = [server.uploads / str(k) for k in range(4)]
        for path in paths:
            path.write_bytes(b"")
        server.desk.hand_in(paths[0], FAIR.digest)
        while server.desk.told()[0]["state"] == "waiting":
            time.sleep(0.01)
        for path in paths[1:3]:
            server.desk.hand_in(path, FAIR.digest)
        to = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        to.request("POST", f"{HAND_IN}?season=fair", b"x", {"Content-Type": "application/zip"})
        reply = to.getresponse()
        assert (reply.status, told(reply.read())["code"]) == (503, "full")
        go.set()
        while any(one["state"] != "refused" for one in server.desk.told()):
            time.sleep(0.01)
        assert {one["code"] for one in server.desk.told()} == {"bug"}, "and the next is judged"


def post(server, body=b"x", season="fair"):
    to = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    to.request("POST", f"{HAND_IN}?season={season}", body, {"Content-Type": "application/zip"})
    reply = to.getresponse()
    return reply.status, told(reply.read())


def served(folder, *seasons, **more):
    store = BoardStore(folder)
    return BoardServer(store, seasons, lambda one: None, lambda one: None, port=0, **more)


@pytest.mark.slow
def test_what_waits_when_a_server_ends_is_judged_by_the_next(tmp_path):
    body = package(tmp_path / "new.entry.zip", name="ann").read_bytes()
    with listening(served(tmp_path / "board", FAIR, is_judging=False)) as server:
        assert post(server, body)[0] == 202
        assert server.desk.told()[0]["state"] == "waiting"
    with listening(served(tmp_path / "board", FAIR)) as server:
        until = time.monotonic() + 60
        while server.desk.told()[0]["state"] != "done":
            assert time.monotonic() < until
            time.sleep(0.05)
    assert [row.name for row in BoardStore(tmp_path / "board").rows(FAIR)] == ["ann"]


def test_an_upload_outside_a_seasons_time_is_refused_with_its_code(tmp_path):
    times = {
        "early": {"opens": "2100-01-01T00:00:00Z"},
        "closed": {"closes": "2001-01-01T00:00:00Z"},
    }
    for code, event in times.items():
        season = FAIR.model_copy(update={"event": SeasonEvent.model_validate(event)})
        with listening(served(tmp_path / code, season)) as server:
            status, answer = post(server)
            assert (status, answer["code"]) == (403, code)
            assert list(server.uploads.iterdir()) == []
            assert server.desk.told() == []


def test_a_sealed_season_takes_entries_where_its_secret_is_or_nothing_is_judged(tmp_path):
    sealed = FAIR.model_copy(update={"seeds": (), "sealed": SealedDraws(sha256="0" * 64)})
    for is_judging, status in ((True, 404), (False, 202)):
        with listening(served(tmp_path / "board", sealed, is_judging=is_judging)) as server:
            assert post(server)[0] == status


def test_a_store_that_is_away_is_told_without_its_place(tmp_path, monkeypatch):
    def fail(*_):
        raise BoardError("postgresql://ann@db.school.example:5432/board: no answer", "unreachable")

    with listening(served(tmp_path / "board", FAIR, is_judging=False)) as server:
        monkeypatch.setattr(server.desk.store.database, "reading", fail)
        status, answer = post(server)
        assert (status, answer["code"]) == (503, "unreachable")
        assert answer["said"] == "the board cannot be reached now; try again later"


def test_what_another_process_adds_is_on_the_pages(server, ask):
    store = server.desk.store
    runs = evaluate_season(store, FAIR, "pure-pursuit", None)
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
    assert "serving http://127.0.0.1:" in said
    assert "http://0.0.0.0" not in said
    assert ("warning" in said) == is_warned
    for address in network_addresses():
        assert (f"from another machine: http://{address}:" in said) == is_warned


def test_a_port_that_is_taken_is_named(server):
    with pytest.raises(BoardError, match=r"127\.0\.0\.1:.*--port"):
        BoardServer(
            server.desk.store, [], lambda one: None, lambda one: None, port=server.server_port
        )
