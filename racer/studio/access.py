"""Who may use the studio: its own pages, and with a token other machines."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from racer.leaderboard.network_addresses import is_known_host, is_same_origin

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "racer-studio"
"""Name of the cookie that holds the token; the port is appended."""


class AccessCheck:
    """ASGI middleware that refuses requests from other sites and those without the token.

    A page of another site could otherwise reach the studio through the user's browser: directly, or
    by DNS rebinding. The address with `?token=...` sets a cookie, which later requests need.

    Args:
        app: The application behind it.
        names: The host names by which the server may be called; any IP address is allowed.
        token: The token; None if none is needed.
    """

    def __init__(self, app: AsgiApp, names: Collection[str], token: str | None = None) -> None:
        self._app, self._names, self._token = app, names, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it with an error; see the ASGI specification."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): one.decode("latin-1") for key, one in scope["headers"]}
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
        given = dict(query).get("token", "")
        if refused := self._refusal(scope, headers):
            await _answer(scope, send, *refused)
        elif self._token is None or self._is_token(_cookie(headers, _cookie_name(scope))):
            await self._app(scope, receive, send)
        elif scope["type"] == "http" and scope["method"] == "GET" and self._is_token(given):
            rest = urlencode([one for one in query if one[0] != "token"])
            to = quote(scope["path"]) + (f"?{rest}" if rest else "")
            cookie = f"{_cookie_name(scope)}={given}; HttpOnly; SameSite=Lax; Path=/"
            more = [
                ("location", to if not to.startswith(("//", "/%5C")) else "/"),
                ("set-cookie", cookie),
            ]
            await _answer(scope, send, 303, "", more)
        else:
            said = "open the address with the token that `racer studio` printed"
            await _answer(scope, send, 401, said)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if not is_known_host(host, self._names):
            return 421, f"this server is not known as {host!r:.100}; open its address instead"
        origin = headers.get("origin")
        is_page = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        site = "none" if is_page else headers.get("sec-fetch-site", "none")
        if not is_same_origin(origin, site, host):
            return 403, "requests are taken from the studio's own pages only"
        return None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self._token or "").encode())


def _cookie_name(scope: Scope) -> str:
    """Return the cookie's name, with the port: a browser keeps one set for all ports of a host."""
    return f"{COOKIE}-{(scope.get('server') or ('', 0))[1]}"


def _cookie(headers: dict[str, str], name: str) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return found.value if found else ""


async def _answer(
    scope: Scope, send: Send, status: int, said: str, more: Collection[tuple[str, str]] = ()
) -> None:
    """Answer a request with a line of text, or close a websocket before it opens."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": said[:100]})
        return
    headers = [("content-type", "text/plain; charset=utf-8"), ("cache-control", "no-store"), *more]
    coded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": coded})
    await send({"type": "http.response.body", "body": f"{said}\n".encode() if said else b""})
