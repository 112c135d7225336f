"""What the faults of requests share: on which they act, and how one request of our own is read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from harness.faults.base import Evidence, Parameters
from harness.faults.conversation import Talk
from harness.faults.network_talk import DIRECT_PATIENCE_S, TRIES_MAX, Likely, TalkFault
from harness.scenario.catalog import FaultParameters, Role

SPEAK_HTTP: tuple[Role, ...] = ("http", "llm", "vector")
TRIES_AFTERWARDS = 5
EVERYWHERE = "/"
ASKED = "/health"
"""What our own requests ask for where the fault acts everywhere."""


class RequestParameters(FaultParameters):
    """On which requests it acts."""

    ratio: Likely = Field(default=1.0, description="of the requests, drawn for each, whatever connection it comes on")
    path: str = Field(
        default=EVERYWHERE, pattern=r"^/[!-~]*$", description="only those whose path begins so", json_schema_extra={"unit": "path"}
    )


@dataclass(frozen=True, slots=True)
class Reply:
    """What came for one request; `status` is 0 where it was no HTTP."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    talk: Talk


def read(talk: Talk) -> Reply:
    """The parts of an answer, as far as they came."""
    head, _, body = talk.answer.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    status = int(words[1]) if len(words) > 1 and words[0].startswith("HTTP/1.") and words[1].isdecimal() else 0
    pairs = (line.partition(":") for line in lines[1:])
    return Reply(status, {name.strip().lower(): value.strip() for name, _, value in pairs}, body, talk)


class RequestFault(TalkFault[Parameters]):
    """A fault that befalls requests. A subclass says what `toxic` it is, and what shows it."""

    @abstractmethod
    def toxic(self) -> Mapping[str, Any]:
        """The toxic without the choice of requests."""

    @abstractmethod
    def shows(self, reply: Reply, direct: Reply) -> Evidence | None:
        """Whether it shows in a reply that came through the proxy, beside one that came past it."""

    def document(self) -> Mapping[str, Any]:
        return {**self.toxic(), "path": self._chosen.path, "ratio": self._chosen.ratio}

    def verify(self) -> Evidence | None:
        ways, ask = self.ways(), self._ask()
        direct = read(self.past(ways, ask))
        for number in range(1, TRIES_MAX + 1):
            found = self.shows(read(ways.through(ask, self.patience_s)), direct)
            if found is not None:
                return {**found, "own_requests": number, **self.touched()}
        return None

    def whole(self) -> Evidence | None:
        ways, ask = self.ways(), self._ask()
        direct = read(self.past(ways, ask))
        for _ in range(TRIES_AFTERWARDS):
            reply = read(ways.through(ask, self.patience_s))
            if self.shows(reply, direct) is not None or reply.status != direct.status:
                return None
        return {"status": direct.status, "own_requests": TRIES_AFTERWARDS}

    @property
    def patience_s(self) -> float:
        """Of our own requests."""
        return DIRECT_PATIENCE_S

    @property
    def _chosen(self) -> RequestParameters:
        assert isinstance(self.parameters, RequestParameters)  # of every subclass
        return self.parameters

    def _ask(self) -> bytes:
        path = self._chosen.path
        return self.words().ask(path=ASKED if path == EVERYWHERE else path)
