"""Documents that the load adds, and the check that none was lost."""

from __future__ import annotations

import pytest

from harness.load.http import BrokenBodyError, RequestTimeoutError, UnreachableError
from harness.load.ingest import IngestCheck, IngestChecker, document_for
from tests.unit.load.fakes import FakeClock, FakeReply, FakeTransport


def test_no_two_documents_are_alike_and_one_arrival_always_sends_the_same() -> None:
    documents = [document_for(seq, 10**18 + seq) for seq in range(200)]
    assert len({d["doc_id"] for d in documents}) == len({d["text"] for d in documents}) == 200
    assert documents[7] == document_for(7, 10**18 + 7)


class Service:
    """Indexes each document after some rounds of asking; `answers` may hold something else for an id."""

    def __init__(self, rounds: int = 0, **answers: FakeReply | Exception) -> None:
        self._rounds = rounds
        self._asked: dict[str, int] = {}
        self._answers = answers
        self.clock = FakeClock()
        self.transport = FakeTransport(self._respond)

    def _respond(self, _method: str, url: str) -> FakeReply:
        doc_id = url.rpartition("/")[2]
        self._asked[doc_id] = self._asked.get(doc_id, -1) + 1
        answer = self._answers.get(doc_id)
        if isinstance(answer, Exception):
            raise answer
        return answer or FakeReply(200, {"status": "indexed" if self._asked[doc_id] >= self._rounds else "queued"})

    def check(self, *ids: str, patience_s: float = 15.0) -> IngestCheck:
        checker = IngestChecker(self.transport, "http://127.0.0.1:9", "key", self.clock, self.clock.sleep)
        return checker.check(list(ids), lambda: patience_s)


def test_documents_are_asked_for_until_they_are_indexed() -> None:
    service = Service(rounds=3)
    assert service.check("a", "b") == IngestCheck(2, 2, 0, ())
    assert [(m, u, dict(h)) for m, u, h, _ in service.transport.sent[:1]] == [
        ("GET", "http://127.0.0.1:9/api/documents/a", {"authorization": "Bearer key"})
    ]
    assert len(service.transport.sent) == 8


@pytest.mark.parametrize(
    ("answer", "unanswered"),
    [
        (FakeReply(200, {"status": "dead"}), 0),
        (FakeReply(404, {}), 0),
        (FakeReply(500, {}), 1),
        (FakeReply(200, b"<html>"), 1),
        (FakeReply(200, {"state": "x"}), 1),
        (UnreachableError("refused"), 1),
        (BrokenBodyError("cut"), 1),
    ],
)
def test_what_is_not_indexed_in_time_is_missing(answer: FakeReply | Exception, unanswered: int) -> None:
    service = Service(b=answer)
    begun_ns = service.clock.t_ns
    assert service.check("a", "b", "c") == IngestCheck(3, 2, unanswered, ("b",))
    assert 15 <= (service.clock.t_ns - begun_ns) / 1e9 < 16


def test_every_document_is_asked_for_once_even_without_patience_left() -> None:
    assert Service().check("a", "b", patience_s=0.0) == IngestCheck(2, 2, 0, ())


def test_a_stop_cuts_the_patience_short() -> None:
    service = Service(b=FakeReply(200, {"status": "queued"}))
    patience_s = iter([15.0, 15.0, 0.0])
    checker = IngestChecker(service.transport, "http://127.0.0.1:9", None, service.clock, service.clock.sleep)
    assert checker.check(["a", "b"], lambda: next(patience_s)) == IngestCheck(2, 1, 0, ("b",))
    assert next(patience_s, None) is None


def test_a_service_that_hangs_ends_the_check_with_what_is_known() -> None:
    assert Service(b=RequestTimeoutError()).check("a", "b", "c") == IngestCheck(3, 1, 2, ("b", "c"))


def test_at_most_twenty_ids_are_named() -> None:
    document = IngestCheck(30, 0, 0, tuple(map(str, range(30)))).to_json()
    assert document == {"ingest_accepted": 30, "ingest_indexed": 0, "ingest_unanswered": 0, "ingest_missing": list(map(str, range(20)))}
