"""The desk of a game day, what each role is sent, and the server between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from harness.faults.permission import Granted, Refused
from harness.gameday import server
from harness.gameday.desk import AskError, Desk, Ended, Point
from harness.gameday.server import GameDayError, Pages
from harness.gameday.view import MOST_POINTS, document, thinned
from harness.lifecycle.gameday import places
from harness.record.clock import SystemClock
from harness.record.events import FAULT, Event
from harness.testing.clock import FakeClock
from tests.unit.gameday.day import INFO, TRUTH, Day


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    made = Day(tmp_path)
    yield made
    made.journal.close()


def test_a_fault_waits_until_the_master_decides(day: Day) -> None:
    use = day.use("molasses")
    assert day.desk.ask(use) is None
    day.take("master", do="approve", fault="molasses")
    assert day.desk.ask(use) == Granted(use)
    day.take("master", do="skip", fault="avalanche", reason="late")
    assert day.desk.ask(day.use("avalanche")) == Refused("skipped by the master: late")
    assert day.told() == [("truth", "master", "approve"), ("truth", "master", "skip")]


def test_a_change_is_checked_before_it_is_accepted(day: Day) -> None:
    for changes, words in (
        ({"with": {"tttft": "1s"}}, "tttft"),
        ({"with": {"ttft": "soon"}}, "is no duration"),
        ({"target": "gateway"}, "lies outside of llm"),
        ({"target": "nothing"}, "nothing"),
    ):
        with pytest.raises(AskError, match=words):
            day.take("master", do="approve", fault="molasses", **changes)
    with pytest.raises(AskError, match="no fault 'x'; there are molasses, avalanche"):
        day.take("master", do="skip", fault="x")
    assert day.told() == [], "what was refused is no decision"
    day.take("master", do="approve", fault="molasses", **{"with": {"ttft": "2s"}})
    answer = day.desk.ask(day.use("molasses"))
    assert isinstance(answer, Granted)
    assert answer.use.with_ == {"ttft": "2s"}
    day.take("master", do="approve", fault="avalanche", target="retrieval-2")
    narrowed = day.desk.ask(day.use("avalanche"))
    assert isinstance(narrowed, Granted)
    assert narrowed.use.target == "retrieval-2"


def test_what_is_injected_is_decided(day: Day) -> None:
    day.journal.append(Event(SystemClock().now_ns(), FAULT, "truth", {"id": "molasses", "step": "skipped", "reason": "late"}))
    with pytest.raises(AskError, match="is decided"):
        day.take("master", do="approve", fault="molasses")


def test_roles_may_do_their_own_things_only(day: Day) -> None:
    for role, do in (("players", "stop"), ("players", "reveal"), ("players", "begin"), ("master", "saw")):
        with pytest.raises(AskError, match="is not for"):
            day.take(role, do=do)
    with pytest.raises(AskError, match="is not for"):
        day.take("players", do="approve", fault="molasses")
    assert (day.told(), day.stops, day.desk.revealed, day.desk.begun.is_set()) == ([], [], False, False)


def test_the_emergency_stop_is_recorded_before_it_is_done(day: Day) -> None:
    day.desk.stop = lambda: day.stops.append(day.told() == [("truth", "master", "stop")])
    day.take("master", do="stop")
    assert day.stops == [True]


def test_nothing_is_written_once_the_run_is_over(day: Day) -> None:
    day.desk.leave()
    with pytest.raises(AskError, match="the run is over"):
        day.take("players", do="note", text="too late")


def test_the_players_get_nothing_of_the_truth_before_the_reveal(day: Day) -> None:
    day.desk.ask(day.use("molasses"))
    day.take("master", do="approve", fault="molasses", **{"with": {"ttft": "2s"}})
    day.take("master", do="note", text="molasses now", follow_up=True)
    day.take("players", do="suspect", service="llm", fault_kind="latency")
    sent = json.dumps(document(day.desk, "players", places(INFO)))
    assert [word for word in TRUTH if word in sent] == []
    assert "llm" in sent, "services are no secret"
    day.take("master", do="reveal")
    sent = json.dumps(document(day.desk, "players", places(INFO)))
    assert "molasses" in sent


def test_the_master_sees_what_waits(day: Day) -> None:
    day.desk.ask(day.use("molasses"))
    found = {f["id"]: f["status"] for f in document(day.desk, "master", ())["faults"]}
    assert found == {"molasses": "waits for you", "avalanche": "planned"}


def test_thinned_points_keep_the_worst() -> None:
    points = [Point(float(n), 10.0, 9.0 if n == 7 else 0.1, None) for n in range(10_000)]
    found = thinned(points)
    assert len(found) <= MOST_POINTS
    assert found[0].latency_s_p95 == 9.0


@pytest.fixture
def pages(day: Day) -> Iterator[Pages]:
    served = Pages(day.desk, places(INFO), SystemClock())
    served.start()
    yield served
    served.stop()


def get(url: str) -> bytes:
    with urlopen(url, timeout=60) as answer:
        found: bytes = answer.read()
        return found


def post(url: str, body: bytes, kind: str = "application/json") -> tuple[int, str]:
    try:
        with urlopen(Request(f"{url}do", body, {"Content-Type": kind}), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_no_byte_that_players_are_sent_tells_the_truth(day: Day, pages: Pages) -> None:
    day.desk.ask(day.use("molasses"))
    url = pages.url("players")
    post(pages.url("master"), b'{"do": "approve", "fault": "molasses"}')
    post(pages.url("master"), b'{"do": "note", "text": "molasses on its way"}')
    post(url, b'{"do": "saw"}')
    day.desk.end(Ended("FAIL", "molasses was not noticed", "runs/quiet-thunder/x/report.html"))  # the stream ends, and is read whole
    sent = b"".join(get(url + name) for name in ("", "page.js", "page.css", "state", "events"))
    assert b'"role":"players"' in sent
    assert [word for word in TRUTH if word.encode() in sent] == []
    assert b"molasses" in get(pages.url("master") + "events")


def test_strangers_get_nothing(pages: Pages) -> None:
    base = pages.url("master").rsplit("/", 2)[0]
    for path in ("/", "/x/", "/x/state", "/x/events", "/x/page.js"):
        with pytest.raises(HTTPError) as refused:
            get(base + path)
        assert refused.value.code == 404
    assert post(f"{base}/x/", b'{"do": "stop"}')[0] == 404


def test_bad_asks_are_refused_with_a_reason(day: Day, pages: Pages) -> None:
    url = pages.url("master")
    assert post(url, b'{"do": "stop"}', "text/plain")[0] == 415
    assert post(url, b"{")[0] == 422
    assert "fault" in post(url, b'{"do": "approve"}')[1]
    assert post(url, b'{"do": "skip", "fault": "x"}') == (409, '{"error":{"message":"no fault \'x\'; there are molasses, avalanche"}}')
    assert post(url, b'{"do": "note", "text": "' + b"x" * 70_000 + b'"}')[0] == 413
    assert post(pages.url("players"), b'{"do": "stop"}')[0] == 409
    assert (day.stops, day.told()) == ([], [])


def test_the_page_may_load_nothing_from_elsewhere(pages: Pages) -> None:
    with urlopen(pages.url("master"), timeout=60) as answer:
        headers, text = answer.headers, answer.read().decode()
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "http" not in text.replace("http-equiv", "")


def test_the_state_is_built_once_for_all_open_pages(day: Day, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def counted(desk: Desk, role: Any, places: Any) -> dict[str, Any]:
        built.append(role)
        return document(desk, role, places)

    monkeypatch.setattr(server, "document", counted)
    clock = FakeClock()
    open_pages = Pages(day.desk, (), clock)
    streams = {role: [open_pages._stream(role) for _ in range(5)] for role in ("master", "players")}

    async def first_of(role: Any) -> set[str]:
        return {await anext(stream) for stream in streams[role]}

    assert len(asyncio.run(first_of("master"))) == 1
    assert len(asyncio.run(first_of("players"))) == 1
    assert built == ["master", "players"]
    clock.advance(server.EVERY_S)
    day.take("master", do="note", text="later")
    assert "later" in open_pages._latest("master", fresh=False).text
    assert built == ["master", "players", "master"]


def test_a_taken_port_is_a_clear_error(day: Day, pages: Pages) -> None:
    port = int(pages.url("master").split(":")[2].split("/")[0])
    with pytest.raises(GameDayError, match=f"cannot listen on 127.0.0.1:{port}"):
        Pages(day.desk, (), SystemClock(), port=port).start()
