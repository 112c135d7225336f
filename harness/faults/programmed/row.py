"""A type of fault as a row of a table, and the class that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import yaml

from harness.faults.base import Evidence
from harness.faults.programmed.settings import Setting
from harness.faults.programmed.wire import Ended, Exchange
from harness.scenario.catalog import Role

Look = Mapping[str, Exchange]
"""What one look saw: the exchanges it was made of, by the names of their steps, in order."""
Document = Mapping[str, Any]
"""A fault as the mock is told of it."""


@dataclass(frozen=True, slots=True)
class View:
    """One look, and what it is judged by.

    `healthy` is what the same look saw before the fault was set; None where nobody has looked. A measured time counts from `clearly` of
    what was asked for: nearly all of it where the fault is to be proved, half of it where something may be left of it. `forwarded`: a
    forwarder lies on the way to the service.
    """

    look: Look
    document: Document
    healthy: Look | None
    clearly: float
    forwarded: bool = False

    def ended(self, one: Exchange, how: Ended) -> bool:
        """Whether it ended so, as far as can be told from here: a forwarder may make an end in order of a reset, and of a refusal."""
        return one.ended == how or (self.forwarded and how in ("reset", "refused") and one.ended in ("fin", "reset"))

    @property
    def last(self) -> Exchange:
        """The last exchange."""
        return list(self.look.values())[-1]

    @property
    def healthy_last(self) -> Exchange | None:
        """The same of the healthy look."""
        return None if self.healthy is None else list(self.healthy.values())[-1]


Sees = Callable[[View], Evidence | None]
"""What of a look shows the fault, and nothing else: figures for the record; None where it is not to be seen."""


@dataclass(frozen=True, slots=True)
class Row:
    """A type of fault.

    `type` is the mock's name for it, `name` ours without the family (default: the same). `asks` are the kinds of requests that can meet
    it, the one that is made unless `match` says otherwise first; `how` are options of those requests that follow from the document.
    `example` are parameters for the documentation. `standing`: it holds between requests, and time alone decides on it.
    """

    type: str
    kind: str
    does: str
    shows: str
    sees: Sees
    asks: tuple[str, ...]
    settings: tuple[Setting, ...] = ()
    name: str = ""
    how: Callable[[Document], Mapping[str, Any]] = field(default=lambda _document: {})
    example: Mapping[str, Any] = field(default_factory=dict)
    refuses: Callable[[Document], str] = field(default=lambda _document: "")
    """Why parameters do not go together, and what to write; empty where they do."""
    benign: bool = False
    standing: bool = False
    answers_from_context: bool = False
    """Whether it can be seen only where the healthy answer is known to be right."""


class Probe(Protocol):
    """Our own requests to a service of one kind. `match` is that of the document: the requests are such as it concerns."""

    def look(self, kind: str, options: Mapping[str, Any], match: Mapping[str, Any], again: bool) -> Look:
        """Ask once, each time with another text unless it is to be asked `again`."""
        ...

    def kind_for(self, row: Row, match: Mapping[str, Any]) -> str | None:
        """Which kind of request meets the fault; None where none of ours does."""
        ...

    def fine(self, look: Look) -> bool:
        """Whether nothing whatever is wrong with what was answered."""
        ...

    def right(self, look: Look) -> bool:
        """Whether the answer is known to be right."""
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """What the types of one table share. `prefix` is left out of their names; examples go to `target` and end with `remark`."""

    name: str
    roles: tuple[Role, ...]
    target: str
    match: type[Any]
    probe: Callable[..., Probe]
    prefix: str = ""
    remark: str = ""
    recoverable_by: tuple[str, ...] = ()

    def name_of(self, row: Row) -> str:
        """`llm.slow_first_token`."""
        return f"{self.name}.{row.name or row.type.removeprefix(self.prefix)}"

    def example_of(self, row: Row) -> str:
        """An entry of a scenario."""
        name = self.name_of(row)
        given = ", with: " + yaml.safe_dump(dict(row.example), default_flow_style=True, width=1_000).strip() if row.example else ""
        short = name.partition(".")[2].replace("_", "-")
        return f"{{id: {short}, type: {name}, target: {self.target}, at: fault, for: 40s{given}}}{self.remark}"
