"""The talk of a master and its workers on asyncio: one TCP connection for each worker, messages in frames.

A frame: uint32 length of a JSON text, uint32 length of what follows it, the text `[kind, data]`, then the bytes of `data["rows"]`.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from itertools import count
from typing import Any, cast

from harness.load.plan import LoadPlan
from harness.record.clock import NS_PER_S, Clock

_HEAD = struct.Struct("<II")
_LONGEST = 1 << 28
_BEAT = "gauntlet_beat"
_BEAT_S = 1.0
_SILENT_NS = 5 * NS_PER_S  # after which a worker is given up


class Talk(asyncio.Protocol):
    """One end of a connection. The event loop calls the methods without a docstring."""

    def __init__(self, heard: Callable[[str, dict[str, Any]], None], lost: Callable[[], None]) -> None:
        """`lost` is called once the other end is gone, or has said something that is no frame."""
        self._heard = heard
        self._lost = lost
        self._unread = bytearray()
        self._transport: asyncio.Transport | None = None

    def send(self, kind: str, data: dict[str, Any]) -> None:
        """Nothing is sent to who is gone."""
        rows = data.get("rows", b"")
        text = json.dumps([kind, {name: value for name, value in data.items() if name != "rows"}]).encode()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_HEAD.pack(len(text), len(rows)) + text + rows)

    def close(self) -> None:
        """What was sent is still delivered."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, _error: Exception | None) -> None:
        self._lost()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (message := self._understood()) is not None:
            self._heard(*message)

    def _understood(self) -> tuple[str, dict[str, Any]] | None:
        try:
            return self._next()
        except (ValueError, TypeError):  # whoever that is, it is none of ours
            self._unread.clear()
            self.close()
            return None

    def _next(self) -> tuple[str, dict[str, Any]] | None:
        if len(self._unread) < _HEAD.size:
            return None
        text, rows = _HEAD.unpack_from(self._unread)
        if text + rows > _LONGEST:
            raise ValueError("no frame is that long")
        end = _HEAD.size + text + rows
        if len(self._unread) < end:
            return None
        kind, data = json.loads(self._unread[_HEAD.size : _HEAD.size + text])
        if rows:
            data["rows"] = bytes(self._unread[_HEAD.size + text : end])
        del self._unread[:end]
        return str(kind), data


class StreamBus:
    """`Bus` on connections. A worker is missing when its connection is gone, or when it has been silent for 5 s."""

    def __init__(self, clock: Clock) -> None:
        self.address = ""
        self._clock = clock
        self._heard: Callable[[str, dict[str, Any], str], None] = lambda *_: None
        self._talks: dict[str, Talk] = {}
        self._heard_ns: dict[str, int] = {}
        self._names = count()
        self._server: asyncio.Server | None = None

    async def open(self, plan: LoadPlan) -> None:
        """Listen where the plan says. Raises OSError."""
        host, _, port = (plan.listen or "127.0.0.1:0").rpartition(":")
        self._server = await asyncio.get_running_loop().create_server(self._welcome, None if host == "*" else host, int(port))
        self.address = f"{'127.0.0.1' if host == '*' else host}:{self._server.sockets[0].getsockname()[1]}"

    def listen(self, heard: Callable[[str, dict[str, Any], str], None]) -> None:
        self._heard = heard

    def send(self, kind: str, data: dict[str, Any], worker: str) -> None:
        if worker in self._talks:
            self._talks[worker].send(kind, data)

    def missing(self, worker: str) -> bool:
        return worker not in self._talks or self._clock.now_ns() - self._heard_ns[worker] > _SILENT_NS

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for talk in list(self._talks.values()):
            talk.close()

    def _welcome(self) -> Talk:
        name = str(next(self._names))
        talk = Talk(lambda kind, data: self._take(name, kind, data), lambda: self._lose(name))
        self._talks[name] = talk
        self._heard_ns[name] = self._clock.now_ns()
        return talk

    def _take(self, name: str, kind: str, data: dict[str, Any]) -> None:
        self._heard_ns[name] = self._clock.now_ns()
        if kind != _BEAT:
            self._heard(kind, data, name)

    def _lose(self, name: str) -> None:
        self._talks.pop(name, None)


def beat(talk: Talk) -> None:
    """Let the other end know every second that this one lives."""
    talk.send(_BEAT, {})
    asyncio.get_running_loop().call_later(_BEAT_S, beat, talk)
