"""Who is asked, where two versions are served."""

from __future__ import annotations

import random

import pytest

from harness.load.arrivals import Arrival
from harness.load.http import Exchange, Transport
from harness.load.ingest import IngestCheck
from harness.load.journeys import Steps
from harness.load.observation import Observation
from harness.load.recorder import packed
from harness.load.sides import Sides, SidesChecker, SidesLog, Split
from harness.record.requests import BASE, CANDIDATE
from tests.unit.load.fakes import FakeReply, FakeTransport


def arrival(seq: int, t_s: float = 0.0) -> Arrival:
    return Arrival(seq, t_s, "ask", -1)


def test_two_of_every_four_arrivals_are_asked_of_each_in_an_order_that_is_drawn() -> None:
    sides = [Split(7).side(arrival(n)) for n in range(400)]
    fours = {tuple(sides[n : n + 4]) for n in range(0, 400, 4)}
    assert all(sum(four) == 2 for four in fours)
    assert len(fours) == 6, "every order that there is"
    assert sides == [Split(7).side(arrival(n)) for n in range(400)], "the seed alone decides"
    assert sides != [Split(8).side(arrival(n)) for n in range(400)]


def test_blocks_of_time_come_in_the_order_abba() -> None:
    told = [Split(1, block_s=5.0).side(arrival(0, t_s)) for t_s in (0.0, 4.9, 5.0, 9.9, 10.0, 14.9, 15.0, 19.9, 20.0)]
    assert told == [BASE, BASE, CANDIDATE, CANDIDATE, CANDIDATE, CANDIDATE, BASE, BASE, BASE]


class Version:
    def __init__(self) -> None:
        self.served: list[int] = []

    def observe(self, arrival: Arrival, intended_ns: int) -> Observation:
        return Observation(arrival.seq, 0, intended_ns)

    def begin(self, arrival: Arrival, observation: Observation) -> Steps:
        self.served.append(arrival.seq)
        yield from ()

    def end(self, observation: Observation, exchange: Exchange | None, error: Exception | None) -> None:
        """Nothing is noted."""

    def serve(self, arrival: Arrival, observation: Observation, transport: Transport) -> None:
        for exchange in self.begin(arrival, observation):
            transport.perform(exchange)


def test_the_row_says_who_was_asked_and_that_one_was() -> None:
    versions = (Version(), Version())
    both = Sides(versions, Split(1))
    for n in range(40):
        observation = both.observe(arrival(n), 0)
        both.serve(arrival(n), observation, FakeTransport(lambda *_: FakeReply()))
        assert n in versions[observation.side].served
        assert packed([observation])["side"] == [observation.side]
    assert len(versions[0].served) == len(versions[1].served) == 20


class Checker:
    def __init__(self, missing: str) -> None:
        self.missing = missing

    def check(self, ids: list[str], patience_s: object) -> IngestCheck:
        lost = tuple(i for i in ids if i == self.missing)
        return IngestCheck(len(ids), len(ids) - len(lost), 0, lost)


@pytest.mark.parametrize("seed", range(3))
def test_each_version_is_asked_for_the_documents_that_it_accepted(seed: int) -> None:
    log = SidesLog()
    ids = [f"d{n}" for n in range(10)]
    random.Random(seed).shuffle(ids)
    for n, doc_id in enumerate(ids):
        log.of(n % 2).accepted(doc_id)
    found = SidesChecker({BASE: Checker(ids[0]), CANDIDATE: Checker(ids[2])}, log).check(log.ids, lambda: 1.0)  # type: ignore[dict-item]
    assert (found.accepted, found.indexed, found.missing) == (10, 9, (ids[0],)), "the second is none of the candidate's"
