"""Where requests are kept while they are answered, and what is left of them when they are over."""

import json
import sys
from itertools import islice
from time import monotonic, time
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from mocks.common.journal import Journal

Ending = Literal["complete", "disconnected", "fin", "reset", "hang"]


class Noted(Protocol):
    """One request, to which those who handle it write; the ledger writes when and how it ended."""

    open: bool
    ending: Ending | None
    ended_s: float
    ended_wall_s: float

    @property
    def method(self) -> str: ...
    @property
    def route(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def arrived_s(self) -> float: ...
    @property
    def size(self) -> int: ...
    def row(self) -> dict[str, Any]: ...
    def logged(self) -> dict[str, Any]:
        """What the line of the log contract says of it."""


class Counting(Protocol):
    """The metrics of a mock."""

    in_progress: int

    def answered(self, method: str, route: str, status: int, duration_s: float) -> None:
        """A request has ended; `status` 0 means that the client went before there was one."""


EntryT = TypeVar("EntryT", bound=Noted)
MetricsT = TypeVar("MetricsT", bound=Counting)


class Ledger(Generic[EntryT, MetricsT]):
    """Where entries go when they are over; those that are not are known as well."""

    labels: ClassVar[dict[str, str]] = {}
    """What every line of the log says beside what it says of its request, the service and the instance."""

    def __init__(self, metrics: MetricsT, journal: Journal, service: str, instance: str, *, log_requests: bool) -> None:
        self.metrics = metrics
        self.journal = journal
        self._identity = {"level": "info", "service": service, "instance": instance, **self.labels}
        self._log_requests = log_requests
        self._open: dict[EntryT, None] = {}

    def arrived(self, entry: EntryT) -> None:
        """A request has come."""
        self._open[entry] = None
        self.metrics.in_progress += 1

    def finish(self, entry: EntryT, ending: Ending) -> None:
        """It is over, now; a second time changes nothing."""
        if not entry.open:
            return
        del self._open[entry]
        self.metrics.in_progress -= 1
        self._seal(entry, ending, monotonic(), time())

    def open_rows(self, limit: int) -> list[dict[str, Any]]:
        """The oldest requests that are still being answered, hanging ones among them."""
        return [entry.row() for entry in islice(self._open, limit)]

    def _seal(self, entry: EntryT, ending: Ending, ended_s: float, ended_wall_s: float) -> None:
        entry.open = False
        entry.ending = ending
        entry.ended_s = ended_s
        entry.ended_wall_s = ended_wall_s
        self.metrics.answered(entry.method, entry.route, entry.status, ended_s - entry.arrived_s)
        self.journal.seal(entry)
        if self._log_requests:  # faults stay out of it: no service tells its clients what is wrong with it
            sys.stdout.write(json.dumps({**entry.logged(), **self._identity}) + "\n")
            sys.stdout.flush()
