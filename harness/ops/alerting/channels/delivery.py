"""Delivers what is spooled: one thread a channel, in order, again and again until it is received."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from harness.ops.alerting.channels.base import Channel, ChannelError, Message
from harness.ops.alerting.channels.spool import Entry, Spool

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0

Log = Callable[[Mapping[str, Any]], None]


def pause_s(attempts: int, wanted_s: float | None = None) -> float:
    """Before the next attempt, after so many: doubled each time up to a minute; what the receiver asks for counts."""
    doubled = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(max(0, attempts - 1), 30))
    return max(doubled, wanted_s or 0.0)


class Mailer:
    """What has to be sent over one channel. `pump` does what is due; it has no thread and no clock of its own."""

    def __init__(self, name: str, channel: Channel, spool: Spool, log: Log) -> None:
        self._name, self._channel, self._spool, self._log = name, channel, spool, log

    def pump(self, now_s: float) -> float | None:
        """Send what is due, in order; returns when there is something to do again, None where nothing waits."""
        for entry in self._spool.waiting(self._name):
            if entry.due_s > now_s:
                return entry.due_s
            if (later_s := self._send(entry, now_s)) is not None:
                return later_s  # in order: what came after it waits, too
        return None

    def _send(self, entry: Entry, now_s: float) -> float | None:
        """None when it need not be sent again."""
        try:
            self._deliver(entry)
        except ChannelError as error:
            if not error.again:
                self._spool.refused(entry, str(error))
                self._tell(entry, f"{error}; refused for good, and kept in refused/{entry.name}")
                return None
            due_s = now_s + pause_s(entry.attempts + 1, error.after_s)
            self._spool.failed(entry, str(error), due_s)
            self._tell(entry, f"{error}; tried again in {due_s - now_s:g}s")
            return due_s
        self._spool.done(entry)
        self._log({"what": "notification", "channel": self._name, "message": entry.name, "attempts": entry.attempts + 1})
        return None

    def _deliver(self, entry: Entry) -> None:
        """Raises ChannelError, and nothing else: a channel may be other people's code, and its thread must outlive it."""
        try:
            self._channel.send(Message(entry.body))
        except ChannelError:
            raise
        except Exception as error:
            raise ChannelError(f"{type(error).__name__}: {error}") from error

    def _tell(self, entry: Entry, error: str) -> None:
        self._log({"what": "notification", "channel": self._name, "message": entry.name, "error": error})


class Delivery:
    """All channels: a receiver that hangs keeps neither the operator nor another channel waiting."""

    def __init__(self, channels: Mapping[str, Channel], spool: Spool, now_s: Callable[[], float], log: Log) -> None:
        self._spool, self._now_s = spool, now_s
        self._changed = threading.Condition()
        self._ended = False
        self._idle: set[str] = set()
        self._turn = 0
        mailers = {name: Mailer(name, channel, spool, log) for name, channel in channels.items()}
        self._threads = [threading.Thread(target=self._run, args=one, name=f"to-{one[0]}", daemon=True) for one in mailers.items()]
        for thread in self._threads:
            thread.start()

    def put(self, channel: str, message: Message) -> None:
        """On disk when this returns; sent as soon as can be."""
        with self._changed:
            self._spool.put(channel, message.body, self._now_s())
            self._turn += 1
            self._idle.discard(channel)
            self._changed.notify_all()

    def close(self, patience_s: float) -> bool:
        """Give what waits so many seconds more. What is left stays on disk, for the next start; False where there is some."""
        with self._changed:
            empty = self._changed.wait_for(lambda: len(self._idle) == len(self._threads), patience_s)
            self._ended = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(patience_s)
        return empty

    def _run(self, name: str, mailer: Mailer) -> None:
        while True:
            with self._changed:
                turn = self._turn
            due_s = mailer.pump(self._now_s())
            with self._changed:
                if due_s is None and turn == self._turn:
                    self._idle.add(name)
                    self._changed.notify_all()
                wait_s = None if due_s is None else max(0.0, due_s - self._now_s())
                self._changed.wait_for(lambda turn=turn: self._ended or self._turn != turn, wait_s)  # type: ignore[misc]
                if self._ended:
                    return
