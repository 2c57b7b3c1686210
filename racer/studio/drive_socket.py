"""The websocket of a person's race: what is held comes in, states go out at the control rate."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import WebSocket, WebSocketDisconnect

from racer.errors import RacerError
from racer.studio.person_controller import PersonInput
from racer.studio.race_session import LiveSession
from racer.world import CONTROL_PERIOD_S

Result = TypeVar("Result")

PUT_BACK_PAUSE_S = 1.0
"""Time for which a race stands still when a person alone was put back on the road [s]."""
MAX_LATE_S = 0.25
"""A step that is later than this moves all later ones, so that a race never runs fast [s]."""
MAX_WAITING_DRIVES = 100
"""The most races that were chosen and whose websocket has not come yet."""


SessionMaker = Callable[[], LiveSession]
"""Makes a race when its websocket asks for it, and again for each restart."""


class DriveLobby:
    """The races that were chosen on a page, until the page's websocket asks for them."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, SessionMaker] = OrderedDict()

    def add(self, make_session: SessionMaker) -> str:
        """Keep a choice, and return the word by which the websocket asks for it."""
        token = secrets.token_urlsafe(16)
        self._waiting[token] = make_session
        while len(self._waiting) > MAX_WAITING_DRIVES:
            self._waiting.popitem(last=False)
        return token

    def take(self, token: str) -> SessionMaker | None:
        """Return the choice of a word, once; None if there is none."""
        return self._waiting.pop(token, None)


class DriveSocket:
    """A person's races over one websocket: the first, and those after each restart.

    A race waits for the first throttle, so that nobody stands at the line on the clock. The browser
    sends `{"held": {...}}` at each change and `{"ask": "pause" | "restart" | "stop"}`, or
    `{"ask": "follow", "car": K}`.

    Args:
        socket: The websocket.
        make_session: Returns a new race; called again for each restart.
    """

    def __init__(self, socket: WebSocket, make_session: SessionMaker) -> None:
        self._socket, self._make_session = socket, make_session
        self._held, self._asked, self._is_paused = PersonInput(), "", False
        self._session: LiveSession | None = None
        self._news = asyncio.Event()

    async def run(self) -> None:
        """Drive races until the browser leaves or asks to stop."""
        await self._socket.accept()
        reading = asyncio.create_task(self._read())
        # One thread for all of a session's physics: the steps of several tabs do not mix.
        with ThreadPoolExecutor(1, thread_name_prefix="drive") as hand:
            self._hand = hand
            try:
                while self._asked != "stop":
                    self._asked, self._is_paused = "", False
                    await self._race()
            except (WebSocketDisconnect, RuntimeError):
                pass  # The tab is gone; its completed laps are stored.
            finally:
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    await reading
        with suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close()

    async def _race(self) -> None:
        """Drive one race to its end, and wait for what is asked then."""
        await self._send({"type": "wait", "text": "getting ready ..."})
        try:
            session = await self._do(self._make_session)
        except RacerError as problem:
            await self._send({"type": "error", "text": str(problem)})
            self._asked = "stop"
            return
        self._session = session
        try:
            session.hold(self._held)
            await self._send(await self._do(session.scene))
            await self._drive(session)
            if not self._asked:
                await self._send(await self._do(session.summary))
            while not self._asked:
                await self._wait_for_news()
            if self._asked == "stop":
                await self._send(await self._do(session.summary))
        finally:
            self._session = None
            await self._do(session.close)

    async def _drive(self, session: LiveSession) -> None:
        """Step a race in real time until it is over or something is asked."""
        clock = asyncio.get_running_loop().time
        due = None
        while not session.is_over and not self._asked:
            if self._is_paused or (due is None and not session.is_begun):
                due = None
                await self._wait_for_news()
                continue
            state = await self._do(session.step)
            await self._send(state)
            due = (clock() if due is None else due) + CONTROL_PERIOD_S
            if state["fault"] and session.is_alone and not session.is_over:
                due += PUT_BACK_PAUSE_S
            if (late := clock() - due) > MAX_LATE_S:
                due += late
            await asyncio.sleep(max(due - clock(), 0.0))

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _read(self) -> None:
        """Take the browser's messages until it leaves; what is not understood is ignored."""
        try:
            while True:
                message = _parsed(await self._socket.receive_text())
                if isinstance(held := message.get("held"), dict):
                    self._held = PersonInput.from_json(held)
                    if self._session:
                        self._session.hold(self._held)
                asked = message.get("ask")
                if asked == "pause":
                    self._is_paused = not self._is_paused
                    await self._send({"type": "paused", "is_paused": self._is_paused})
                elif asked == "follow" and self._session and isinstance(message.get("car"), int):
                    self._session.follow(message["car"])
                elif asked in ("restart", "stop"):
                    self._asked = asked
                self._news.set()
        except (WebSocketDisconnect, RuntimeError):
            self._asked = "stop"
            self._news.set()

    async def _do(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._hand, work)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send_text(json.dumps(message, separators=(",", ":"), allow_nan=False))


def _parsed(text: str) -> dict[str, Any]:
    try:
        tree = json.loads(text)
    except ValueError:
        return {}
    return tree if isinstance(tree, dict) else {}
