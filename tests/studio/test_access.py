"""Who may use the studio."""

import asyncio

import pytest

from racer.studio.access import AccessCheck

OWN = {"host": "127.0.0.1:8080"}


def ask(token=None, kind="http", method="GET", path="/", query=b"", **headers):
    """The messages that a request is answered with; none if it is passed on."""
    passed, sent = [], []

    async def app(scope, receive, send):
        passed.append(scope)

    async def receive():
        return {}

    async def send(message):
        sent.append(message)

    given = {**OWN, **{name.replace("_", "-"): one for name, one in headers.items()}}
    scope = {
        "type": kind,
        "method": method,
        "path": path,
        "query_string": query,
        "server": ("127.0.0.1", 8080),
        "headers": [(name.encode(), one.encode()) for name, one in given.items()],
    }
    asyncio.run(AccessCheck(app, {"localhost", "here"}, token)(scope, receive, send))
    assert bool(passed) != bool(sent)
    return sent


def status(answer):
    return answer[0]["status"]


def test_addresses_and_own_names_are_answered(subtests):
    for host in ("127.0.0.1:8080", "localhost:8080", "HERE", "[::1]:8080", "192.0.2.7:8080"):
        with subtests.test(host=host):
            assert ask(host=host) == []


def test_another_host_name_is_refused(subtests):
    for host in ("evil.example", "127.0.0.1.evil.example:8080", "", "[::1"):
        with subtests.test(host=host):
            assert status(ask(host=host)) == 421
            assert ask(kind="websocket", host=host)[0]["type"] == "websocket.close"


def test_pages_of_other_sites_reach_nothing(subtests):
    for origin in ("http://evil.example", "http://127.0.0.1:9", "https://127.0.0.1:8080", "null"):
        with subtests.test(origin=origin):
            assert status(ask(origin=origin)) == 403
            assert ask(kind="websocket", origin=origin)[0]["type"] == "websocket.close"
    assert status(ask(method="POST", sec_fetch_site="cross-site")) == 403
    assert ask(kind="websocket", sec_fetch_site="cross-site")


def test_the_own_page_and_a_link_from_elsewhere_are_answered():
    assert ask(origin="http://127.0.0.1:8080") == []
    assert ask(kind="websocket", origin="http://127.0.0.1:8080") == []
    assert ask(sec_fetch_site="cross-site") == []


def test_without_the_token_nothing_is_passed_on(subtests):
    for query in (b"", b"token=", b"token=wrong", b"token=s%C3%A9cret"):
        with subtests.test(query=query):
            assert status(ask("secret", query=query)) == 401
    assert ask("secret", kind="websocket", query=b"token=secret")[0]["type"] == "websocket.close"
    assert status(ask("secret", cookie="racer-studio-8080=wrong")) == 401
    assert status(ask("secret", cookie="racer-studio-9=secret")) == 401
    assert status(ask("secret", cookie="\x01=;;")) == 401


def test_the_address_with_the_token_sets_a_cookie_that_is_taken():
    start = ask("secret", path="/run/a", query=b"token=secret&b=1")[0]
    headers = dict(start["headers"])
    assert start["status"] == 303
    assert headers[b"location"] == b"/run/a?b=1"
    cookie = headers[b"set-cookie"].decode()
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    cookie = cookie.partition(";")[0]
    assert ask("secret", cookie=cookie) == []
    assert ask("secret", kind="websocket", cookie=cookie) == []


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example"])
def test_the_way_back_stays_on_this_server(path):
    location = dict(ask("secret", path=path, query=b"token=secret")[0]["headers"])[b"location"]
    assert location == b"/"


def test_other_messages_than_requests_are_passed_on():
    assert ask(kind="lifespan") == []
