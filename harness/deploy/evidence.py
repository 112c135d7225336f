"""The record of a deploy, read: live while it goes on, and from disk afterwards. Gates are judged from this alone, both times."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.deploy import gates
from harness.deploy.gates import GROUP, Answer
from harness.deploy.plan import DeployPlan
from harness.record import store
from harness.record.history import History
from harness.record.requests import BASE, CANDIDATE
from harness.scenario.slis import sli_name
from harness.score import compare
from harness.score import sli as slis
from harness.score.blockwise import MOST_BESIDE
from harness.score.check import Result, Status
from harness.score.context import Context
from harness.score.spans import Span

VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class DeployDirectory:
    """Where the parts of a deploy's record lie, beside those of every run."""

    path: Path

    @property
    def plan_file(self) -> Path:
        return self.path / "deploy.yaml"

    @property
    def answers(self) -> Path:
        """What passed the router: one JSON line an answer."""
        return self.path / "answers.jsonl"

    @property
    def smoke(self) -> Path:
        return self.path / "smoke.json"

    @property
    def memory(self) -> Path:
        """Resident memory and requests of each instance of the new version, one JSON line a sample."""
        return self.path / "memory.jsonl"

    @property
    def alike(self) -> store.RunDirectory:
        """The record of the load that the new version had meanwhile as the old one has its users."""
        return store.RunDirectory(self.path / "alike")

    @property
    def faults(self) -> Path:
        """What both versions had while they were compared: steps by side."""
        return self.path / "faults.json"

    @property
    def verify(self) -> store.RunDirectory:
        """The record of the load that both versions had side by side."""
        return store.RunDirectory(self.path / VERIFY)


class Evidence:
    """Everything that gates are judged by."""

    def __init__(self, path: Path, plan: DeployPlan, *, live: bool = False) -> None:
        """Raises RecordError where there is no record."""
        self._files = DeployDirectory(path)
        self._plan = plan
        self.users: History = store.read(path, live=live)
        self.answers, self.missing = _answers(self._files.answers)
        self._live = live

    @property
    def rate(self) -> float:
        """Requests of users a second."""
        return self._plan.users.rate

    def judge(self, gate: Mapping[str, Any]) -> list[Result]:
        """One gate, as it was recorded: `gate` is its kind, `name` what it is called, the rest what it is about."""
        return self._kinds[str(gate["gate"])](gate)

    @property
    def _kinds(self) -> Mapping[str, Callable[[Mapping[str, Any]], list[Result]]]:
        return {
            "fact": _fact,
            "smoke": self._smoke,
            "verify": self._verify,
            "memory": self._memory,
            "served": self._served,
            "weight": self._weight,
            "compared": self._compared,
            "objectives": self._objectives,
        }

    def _smoke(self, gate: Mapping[str, Any]) -> list[Result]:
        assert self._plan.smoke is not None
        try:
            asked = json.loads(self._files.smoke.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            asked = []
        return [gates.smoke(asked, self._plan.smoke, str(gate["version"]))]

    def _memory(self, _gate: Mapping[str, Any]) -> list[Result]:
        assert self._plan.memory is not None
        return gates.memory(_lines(self._files.memory), self._plan.memory)

    def _served(self, gate: Mapping[str, Any]) -> list[Result]:
        routes = sorted({gates.ROUTES[journey] for journey in self._plan.users.mix})
        until_ns = int(gate["until_ns"])
        answers = [a for a in self.answers if a.end_ns <= until_ns]
        after_ns, version = int(gate["after_ns"]), str(gate["version"])
        return [gates.served(str(gate["name"]), answers, routes, version, after_ns, self._plan.proof, missing=self.missing)]

    def _weight(self, gate: Mapping[str, Any]) -> list[Result]:
        found = gates.weight(str(gate["name"]), self.answers, str(gate["version"]), float(gate["share"]), _span(gate), missing=self.missing)
        return [found]

    def _compared(self, gate: Mapping[str, Any]) -> list[Result]:
        old, new = gates.Asked(str(gate["old"]), str(gate["old_side"])), gates.Asked(str(gate["version"]), str(gate["new_side"]))
        return gates.compared(str(gate["name"]), self.answers, _span(gate), self._plan.compare, old, new)

    def _objectives(self, gate: Mapping[str, Any]) -> list[Result]:
        return gates.objectives(str(gate["name"]), self.users, self._plan.objectives, _span(gate))

    def _verify(self, gate: Mapping[str, Any]) -> list[Result]:
        assert self._plan.verify is not None
        try:
            both = store.read(self._files.verify.path)
        except store.RecordError as error:
            return [Result("deploy.verify", GROUP, Status.INCONCLUSIVE, str(error))]
        if not any(e.kind == "load" and e.data.get("state") == "finished" for e in both.events):
            return [Result("deploy.verify", GROUP, Status.INCONCLUSIVE, "the load of both versions did not come to its end")]
        span = _span(gate)
        blocks = compare.cut(span, MOST_BESIDE)
        measured = []
        rows = both.between(span.start_ns, span.end_ns).rows()
        for text, metric in self._plan.verify.metrics.items():
            sli = sli_name(text)
            old, new = (slis.observe(rows[rows["side"] == side], sli, Context.of(both)) for side in (BASE, CANDIDATE))
            measured.append(compare.Measured(f"deploy.verify.{text}", sli, metric, old, new, (blocks, blocks), "interleaved"))
        found = [replace(c.result, group=GROUP) for c in compare.judge(measured)]
        faults = [use.id for use in self._plan.verify.faults]
        return [*found, gates.broken_alike(self._broken(), faults)] if faults else found

    def _broken(self) -> Mapping[str, Any]:
        try:
            return dict(json.loads(self._files.faults.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}


def _fact(gate: Mapping[str, Any]) -> list[Result]:
    """Something that was done or seen, of which the event itself is the evidence."""
    return [Result(str(gate["name"]), GROUP, Status(gate["fact"]), str(gate["reason"]), evidence=tuple(gate.get("evidence", ())))]


def _span(gate: Mapping[str, Any]) -> Span:
    return Span(int(gate["start_ns"]), int(gate["end_ns"]))


def _answers(file: Path) -> tuple[list[Answer], bool]:
    """What passed, and whether some of it is not there. A torn last line is being written."""
    found: list[Answer] = []
    missing = not file.is_file()
    for document in _lines(file):
        if "lost" in document or "failed" in document:
            missing = missing or "lost" in document
            continue
        found.append(Answer.of(document))
    return found, missing


def _lines(file: Path) -> Sequence[Mapping[str, Any]]:
    try:
        raw = file.read_bytes().splitlines(keepends=True)
    except OSError:
        return []
    found = []
    for line in raw:
        if line.endswith(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"lost": 1})
    return found
