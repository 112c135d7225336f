"""The master's account of its workers: clocks, rows, losses, and who may join."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.load import messages as of_crew
from harness.load.crew import Crew
from harness.load.messages import local_plan
from harness.load.metrics import ClientMetrics
from harness.record import store
from harness.record.events import Event
from harness.record.frames import read_frames
from harness.record.requests import REQUEST, Outcome
from tests.unit.load.fakes import FakeClock
from tests.unit.load.plans import plan

ELSEWHERE = ["another boot", "time:[1]"]


class Master:
    """A crew of two on a bus that goes nowhere; its workers are played by the test."""

    address = "nowhere:0"

    def __init__(self, directory: Path, **load: Any) -> None:
        for name in ("requests", "corpus.jsonl", "questions.jsonl"):
            (directory / name).mkdir() if name == "requests" else (directory / name).write_text(f"{name}\n")
        self.directory, self.clock = directory, FakeClock()
        self.sent: list[tuple[str, dict[str, Any], str]] = []
        self.away: set[str] = set()
        self.events: list[Event] = []
        self.plan = plan(directory, workers=2, max_in_flight=5, **load)
        metrics = ClientMetrics(self.plan.journey_names)
        self.crew = Crew(self.plan, self.clock, self._record, metrics, self, "token", ("key", None))

    def send(self, kind: str, data: dict[str, Any], worker: str) -> None:
        self.sent.append((kind, data, worker))

    def listen(self, heard: Any) -> None: ...

    def missing(self, worker: str) -> bool:
        return worker in self.away

    def hello(self, worker: str, clock: list[str] | None = None, token: str = "token") -> None:
        hello = {"token": token, "host": "h", "pid": 1, "clock": clock or of_crew.clock_id()}
        self.crew.heard(of_crew.HELLO, hello, worker)

    def join(self) -> None:
        for worker in ("a", "b"):
            self.hello(worker)
            self.crew.heard(of_crew.READY, {}, worker)

    def rows(self, worker: str, *seqs: int, first_ns: int = 0, journey: int = 0) -> None:
        rows = np.zeros(len(seqs), dtype=REQUEST)
        rows["seq"], rows["intended_ns"], rows["start_ns"], rows["end_ns"], rows["first_ns"] = seqs, 1000, 2000, 3000, first_ns
        rows["journey"] = journey
        self.crew.heard(of_crew.ROWS, {"rows": rows.tobytes()}, worker)

    def told(self, state: str) -> list[dict[str, Any]]:
        return [dict(e.data) for e in self.events if e.data["state"] == state]

    def segment(self, number: int) -> Any:
        return np.concatenate(list(read_frames(self.directory / "requests" / f"load-{number}.seg", REQUEST)))

    def _record(self, event: Event) -> Event:
        self.events.append(event)
        return event


def test_workers_of_this_host_get_their_share_of_the_plan_at_once(tmp_path: Path) -> None:
    master = Master(tmp_path)
    assert not master.crew.ready
    master.join()
    assert master.crew.ready
    handed = [(worker, json.loads(data["plan"])) for kind, data, worker in master.sent if kind == of_crew.PLAN]
    assert [(worker, own["worker"], own["workers"], own["max_in_flight"]) for worker, own in handed] == [("a", 0, 2, 3), ("b", 1, 2, 3)]
    (tmp_path / "w").mkdir()
    _, data, _ = next(sent for sent in master.sent if sent[0] == of_crew.PLAN)
    own = local_plan(data["plan"], data["files"], tmp_path / "w")
    assert own.questions_file is not None and Path(own.questions_file).read_text() == "questions.jsonl\n"
    assert data["keys"] == ["key", None] and '"key"' not in data["plan"]


def test_who_does_not_show_the_token_is_nobody(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.hello("a", token="guess")
    master.rows("a", 1)
    assert (master.sent, master.events, list(master.crew.members)) == ([], [], [])


def test_no_more_workers_than_there_are_places(tmp_path: Path) -> None:
    master = Master(tmp_path)
    for worker in ("a", "b", "c"):
        master.hello(worker)
    assert list(master.crew.members) == ["a", "b"]


def answer_pings(master: Master, ahead_ns: int) -> None:
    """Its clock is ahead by so much; the way there and back takes between 1 and 20 ms, the answer 10 % of the first half."""
    for round_trip_ms in (20, 3, 1, *[9] * 17):
        kind, data, _ = master.sent[-1]
        assert kind == of_crew.CLOCK
        its_ns = data["sent_ns"] + ahead_ns + round_trip_ms * 400_000
        master.clock.t_ns = data["sent_ns"] + round_trip_ms * 1_000_000
        master.crew.heard(of_crew.CLOCK, {**data, "its_ns": its_ns}, "a")


@pytest.mark.parametrize("ahead_ns", [0, 5_000_000_000_000, -700_000_000])
def test_rows_of_another_host_come_onto_our_clock(tmp_path: Path, ahead_ns: int) -> None:
    master = Master(tmp_path)
    master.hello("a", ELSEWHERE)
    answer_pings(master, ahead_ns)
    assert master.sent[-1][0] == of_crew.PLAN
    (known,) = master.told("worker")
    assert abs(known["clock_offset_ns"] + ahead_ns) <= known["clock_uncertainty_ns"] <= 501_000
    master.rows("a", 7, first_ns=2500)
    master.crew.close()
    offset_ns = known["clock_offset_ns"]
    (row,) = master.segment(0)
    assert [row[n] - offset_ns for n in ("intended_ns", "start_ns", "first_ns", "end_ns")] == [1000, 2000, 2500, 3000]
    assert row["last_ns"] == 0, "what never happened has no time on any clock"


@pytest.mark.parametrize(("drift_ns", "followed"), [(2_000_000, True), (-2_000_000, True), (300_000, False)])
def test_a_clock_that_drifts_is_followed_and_one_that_may_not_is_left_alone(tmp_path: Path, drift_ns: int, followed: bool) -> None:
    """Half of the shortest round trip, 0.5 ms, is what cannot be told apart."""
    master = Master(tmp_path)
    master.hello("a", ELSEWHERE)
    answer_pings(master, 0)
    master.crew.heard(of_crew.READY, {}, "a")
    asked = len(master.sent)
    master.crew.look(lambda member: False)
    assert len(master.sent) == asked, "it was measured a moment ago"
    master.clock.sleep(11.0)
    master.crew.look(lambda member: False)
    master.crew.look(lambda member: False)
    assert len(master.sent) == asked + 1, "one round at a time"
    answer_pings(master, drift_ns)
    told = [known["clock_offset_ns"] for known in master.told("worker")]
    assert len(told) == (2 if followed else 1) and len(master.sent) == asked + 20, "it is given its plan once"
    master.rows("a", 7)
    master.crew.close()
    assert master.segment(0)["start_ns"].tolist() == [2000 + told[-1]]
    if followed:
        assert told[1] - told[0] == -drift_ns


def test_a_lost_worker_is_told_once_and_what_it_had_sent_counts(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.join()
    master.crew.begin(50)
    master.rows("a", 0, 2)
    master.away.add("a")
    for _ in range(2):
        master.crew.look(lambda member: False)
    master.rows("a", 4)  # too late: it was given up
    master.rows("b", 1, 3, 5)
    done = {"state": "finished", "arrivals": 3, "sent": 3, "cpu_ratio_max": 0.5, "ingest_missing": ["x"]}
    master.crew.heard(of_crew.EVENT, done, "b")
    assert master.crew.over
    master.crew.finished()
    master.crew.close()
    assert [(lost["worker"], lost["recorded"]) for lost in master.told("worker_lost")] == [(0, 2)]
    (finished,) = master.told("finished")
    assert (finished["arrivals"], finished["workers_lost"], finished["early"], finished["ingest_missing"]) == (5, 1, False, ["x"])
    assert (len(master.segment(0)), len(master.segment(1))) == (2, 3)
    assert set(master.segment(1)["outcome"]) == {Outcome.OK}


def test_a_process_that_ended_is_lost_before_its_heartbeat_is_missed(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.join()
    master.crew.look(lambda member: member.name == "b")
    assert [lost["worker"] for lost in master.told("worker_lost")] == [1]


def test_all_begin_at_one_instant_each_on_its_own_clock(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.join()
    master.crew.members["b"].offset_ns = -400
    master.crew.begin(1000)
    assert [(data["t0_ns"], worker) for kind, data, worker in master.sent if kind == of_crew.BEGIN] == [(1000, "a"), (1400, "b")]
    for early in (False, False, True, True):
        master.crew.end(early=early)
    for kind in (of_crew.END, of_crew.STOP):
        assert [worker for said, _, worker in master.sent if said == kind] == ["a", "b"]


def test_the_names_of_a_locustfile_are_numbered_once_for_all_workers(tmp_path: Path) -> None:
    """Each worker numbers the requests that it sees in the order in which it sees them."""
    (tmp_path / "mine.py").write_text("# users")
    master = Master(tmp_path, shape=[], closed={"users": 4}, locustfile=str(tmp_path / "mine.py"))
    master.join()
    master.crew.begin(50)
    assert master.told("started")[0] == {
        "state": "started", "t0_ns": 50, "engine": "locust", "model": "closed", "users": 4,
        "locustfile": str(tmp_path / "mine.py"), "workers": 2,
    }  # fmt: skip
    for worker, names in (("a", ["GET /x"]), ("b", ["GET /y"]), ("b", ["GET /y", "GET /x"])):
        master.crew.heard(of_crew.JOURNEYS, {"journeys": names}, worker)
    master.rows("a", 0)
    master.rows("b", 1)
    master.rows("b", 3, journey=1)
    master.crew.close()
    found = store.read(in_a_run(tmp_path))
    assert {row["seq"]: found.journeys[row["journey"]] for row in found.requests.gather(lambda rows: rows, REQUEST)} == {
        0: "GET /x",
        1: "GET /y",
        3: "GET /x",
    }
    assert found.damage == ()


def in_a_run(directory: Path) -> Path:
    store.write_run_file(store.RunDirectory(directory), {})
    return directory


def test_a_locustfile_goes_to_workers_of_other_hosts_and_lies_where_it_is_for_those_of_this_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("# users")
    master = Master(tmp_path, shape=[], closed={"users": 4}, locustfile=str(file))
    master.hello("here")
    master.crew.members["here"].host = "h"
    (_, data, _) = master.sent[-1]
    (tmp_path / "w").mkdir()
    own = local_plan(data["plan"], data["files"], tmp_path / "w")
    assert own.locustfile is not None and Path(own.locustfile).name == "mine.py"
    assert Path(own.locustfile).read_text() == "# users" and own.locustfile != str(file)
    handed = of_crew.handed_over(master.plan, ["key", None], here=True)
    assert local_plan(handed["plan"], {n: f for n, f in handed["files"].items() if n == "locustfile"}, tmp_path).locustfile == str(file)


def test_a_worker_that_never_tells_of_its_end_is_lost(tmp_path: Path) -> None:
    master = Master(tmp_path)
    master.join()
    master.crew.heard(of_crew.EVENT, {"state": "finished", "arrivals": 0, "cpu_ratio_max": 0.5}, "a")
    master.crew.finished()
    assert [lost["worker"] for lost in master.told("worker_lost")] == [1] and master.told("finished")[0]["workers_lost"] == 1
