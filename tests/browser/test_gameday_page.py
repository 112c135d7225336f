"""A whole small game day, played by two people in a browser, on real processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from harness.judging import judge_run
from harness.record import events as ev
from harness.record.events import Event
from harness.record.store import read
from harness.report import verdict_json
from harness.score.check import Status
from harness.score.people import people
from tests.browser.chromium import DESKTOP, PHONE, Browser, chromium
from tests.e2e.live_run import ROOT, assert_clean, environment

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

# The faults are in the warm-up, so that the run does not depend on how steady this machine is; nothing here is measured.
SCENARIO = """
name: quiet-thunder
hypothesis: The people on call find a slow provider by themselves
stack: {use: reference, documents: 60, replicas: {retrieval: 2, generation: 1}}
load: {shape: [{constant: 8/s}], mix: {ask: 1}}
phases: {warmup: 60s, steady_state: 5s}
operator: {enabled: false}
faults:
  - {id: molasses, type: llm.slow_first_token, target: llm, at: warmup, for: 30s, with: {ttft: 4s}}
  - {id: avalanche, type: process.kill, target: retrieval, at: warmup+1s, for: 5s}
expect:
  - {fault: molasses, outcome: healed_by_harness}
  - {fault: avalanche, outcome: absorbed}
objectives: {steady_state: {availability: ">= 50%"}}
"""
TRUTH = ("quiet-thunder", "find a slow provider", "molasses", "avalanche", "slow_first_token", "process.kill", "ttft", "warmup")
WITHIN_S = 100.0  # a stack takes its time to start on a busy machine; nothing here waits without a condition


class Day:
    """`gauntlet gameday` under way, and its two pages."""

    def __init__(self, tmp: Path) -> None:
        self.tmp, self.out = tmp, tmp / "runs"
        file = tmp / "scenario.yaml"
        file.write_text(SCENARIO, encoding="utf-8")
        self.log = tmp / "day.log"
        with self.log.open("w", encoding="utf-8") as log:
            words = [sys.executable, "-m", "harness.cli", "gameday", str(file), "--out", str(self.out), "--json"]
            self.process = subprocess.Popen(
                words, env=environment(tmp), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )  # fmt: skip
        self.master, self.players = self.until(self._urls)

    def _urls(self) -> tuple[str, str] | None:
        found = dict(re.findall(r"^(master|players): +(http://\S+)$", self.log.read_text(encoding="utf-8"), re.MULTILINE))
        return (found["master"], found["players"]) if len(found) == 2 else None

    def until(self, look: Callable[[], Any]) -> Any:
        """What it returns once that is something."""
        deadline_s = time.monotonic() + WITHIN_S
        while not (found := look()):
            assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline_s, self.log.read_text(encoding="utf-8")
            time.sleep(0.05)
        return found

    def state(self, url: str) -> dict[str, Any]:
        with urlopen(f"{url}state") as answer:
            found: dict[str, Any] = json.loads(answer.read())
        return found

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=60)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    started = Day(tmp_path)
    yield started
    started.end()


def press(browser: Browser, text: str, within: str = "body") -> None:
    script = f"[...document.querySelectorAll({json.dumps(within + ' button')})].find(b => b.textContent === {json.dumps(text)}).click()"
    browser.driver.execute_script(script)


def card(fault: str) -> str:
    return f"[...document.querySelectorAll('.fault')].find(c => c.querySelector('h3').textContent === {json.dumps(fault)})"


def fill(browser: Browser, fault: str, n: int, value: str) -> None:
    browser.driver.execute_script(f"{card(fault)}.querySelectorAll('input')[{n}].value = {json.dumps(value)}")


def decide(browser: Browser, fault: str, button: str) -> None:
    browser.driver.execute_script(
        f"[...{card(fault)}.querySelectorAll('button')].find(b => b.textContent === {json.dumps(button)}).click()"
    )


def shoot(browser: Browser, name: str) -> None:
    """Where somebody wants to look: GAUNTLET_SHOTS=DIR."""
    if folder := os.environ.get("GAUNTLET_SHOTS"):
        browser.shoot(Path(folder) / f"{name}.png", whole=True)


def test_a_whole_game_day(day: Day, tmp_path: Path) -> None:
    with chromium() as master, chromium() as players:
        master.show(day.master, DESKTOP)
        players.show(day.players, PHONE, "dark")
        day.until(lambda: "waiting" in master.ask("document.getElementById('status').textContent"))
        press(master, "Begin")

        # a parameter that does not exist, and a target elsewhere, are refused before anything happens; the other one is accepted
        day.until(lambda: "waits for you" in master.ask("document.getElementById('faults').textContent"))
        fill(master, "molasses", 0, '{"tttft": "2s"}')
        decide(master, "molasses", "Approve")
        assert "tttft" in day.until(lambda: master.ask("document.getElementById('error').textContent"))
        fill(master, "molasses", 0, '{"ttft": "3s"}')
        fill(master, "molasses", 1, "llm_fallback")
        decide(master, "molasses", "Approve")
        day.until(lambda: "llm_fallback" in master.ask("document.getElementById('error').textContent"))
        fill(master, "molasses", 1, "llm")
        decide(master, "molasses", "Approve")
        day.until(lambda: fault(day, "molasses")["status"] == "effective")
        fill(master, "avalanche", 2, "enough for today")
        decide(master, "avalanche", "Skip")
        day.until(lambda: fault(day, "avalanche")["status"] == "skipped")
        shoot(master, "master")
        assert master.findings() == []

        # the players get nothing of it, and say what they see
        sent = players.driver.page_source + "".join(read_url(day.players + name) for name in ("", "page.js", "page.css", "state"))
        assert [word for word in TRUTH if word in sent] == []
        press(players, "I see something")
        players.driver.execute_script(
            "document.querySelectorAll('#say select')[0].value = 'llm'; document.querySelectorAll('#say select')[1].value = 'latency'"
        )
        press(players, "I think it is this")
        press(players, "I acted")
        day.until(lambda: len(day.state(day.players)["said"]) == 3)
        day.until(lambda: "llm/latency" in players.ask("document.getElementById('said').textContent"))
        shoot(players, "players")
        assert players.findings() == []
        assert players.ask("document.documentElement.scrollWidth") == PHONE[0]

        press(master, "Reveal the truth")
        day.until(lambda: "molasses" in players.ask("document.getElementById('faults').textContent"))
        press(master, "Emergency stop")
        day.until(lambda: day.process.poll() is not None or "over" in master.ask("document.getElementById('status').textContent"))
        out, _ = day.process.communicate(timeout=WITHIN_S)

    assert day.process.returncode == 130
    document = json.loads(out)
    record = Path(document["run_dir"])
    assert_record(record)
    judged = judge_run(record)
    assert verdict_json.render(judged.verdict, judged.history, judged.scenario) == (record / "verdict.json").read_bytes()
    page = (record / "report.html").read_text(encoding="utf-8")
    for words in ("pressed the emergency stop", "skipped avalanche: enough for today", "llm/latency, rightly", "approved molasses with"):
        assert words in page, words
    shown = os.environ.get("GAUNTLET_SHOTS")
    if shown:
        (Path(shown) / "gameday.html").write_text(page, encoding="utf-8")
    assert_clean(tmp_path)


def assert_record(record: Path) -> None:
    """What people did is in it, and judged as what it is."""
    history = read(record)
    done = [(e.data["by"], e.data["do"], e.source) for e in history.of_kind(ev.GAMEDAY)]
    assert done == [
        ("master", "approve", "truth"), ("master", "skip", "truth"), ("players", "saw", "claim"), ("players", "suspect", "claim"),
        ("players", "acted", "claim"), ("master", "reveal", "truth"), ("master", "stop", "truth"),
    ]  # fmt: skip
    (stopped,) = [e for e in history.of_kind(ev.GAMEDAY) if e.data["do"] == "stop"]
    assert healed(history.events) - stopped.t_ns < 10_000_000_000  # two seconds, on a machine that does nothing else
    results = {r.name: r for r in judge_run(record).verdict.results}
    assert results["expect.avalanche.outcome"].status is Status.INCONCLUSIVE
    assert "skipped by the master: enough for today" in results["expect.avalanche.outcome"].reason
    assert results["validity.fault.molasses"].status is Status.WARN
    assert "3s" in results["validity.fault.molasses"].reason
    score = people(history)
    assert score is not None
    (of,) = score.faults
    assert of.people.right
    assert of.people.noticed_s is not None


def healed(events: tuple[Event, ...]) -> int:
    return next(e.t_ns for e in events if e.kind == ev.FAULT and e.data["step"] == "healed")


def fault(day: Day, fault_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(f for f in day.state(day.master)["faults"] if f["id"] == fault_id)
    return found


def read_url(url: str) -> str:
    with urlopen(url) as answer:
        text: str = answer.read().decode()
    return text
