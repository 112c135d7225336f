"""Histories written by hand, for the tests of everything that judges.

    history("0s steady_state", "10s fault", "10s fault latency@llm", "13.1s alert query", "20s heal", "25s recovery", "40s end")

Times are seconds since the start of the run. A line is a time and one of:

    steady_state                     a phase begins; the one before ends (warmup, steady_state, fault, recovery, cooldown)
    fault latency@llm                a fault is intended, injected and effective; `latency@retrieval->postgres` on an edge,
                                     `crash@retrieval-2` on an instance. Options: id=, type=, fix=restart,scale blast=a,b
                                     accepted=a,b and the word benign
    intended latency@llm             only the first of these steps; `injected`, `effective`, `not_effective`, `failed` follow by id
    heal                             heal_intended, healed and gone; `heal-only` without evidence that it is gone
    alert llm · resolved llm         option name=; `alert -` has no service
    diagnosis llm/latency:0.9 query/errors:0.5      best first; without causes: abstention
    action restart retrieval-2       performed at once; options status=failed, for=1.5 (seconds until it is done)
    escalation llm
    down retrieval-2 · ready retrieval-2            the harness's own readiness probe
    answer health yes                to a probe of the scenario, or no; `answer health` could not be asked
    operator exited                  also: started (implied at 0s), stopped
    probe cpu_ratio=0.95             how the generator is; without any such line it is well in every second
    end                              the last phase ends, the load finishes, operator and stack stop, the record is complete
    cut                              like `end`, but the record stops without any of that
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.record import events as ev
from harness.record.events import Event
from harness.record.history import History, Question
from harness.record.pieces import Requests
from harness.record.requests import NOTHING, REQUEST_DTYPE, Outcome
from harness.scenario.model import Scenario
from harness.scenario.slis import PHASES

START_NS = 1_000_000_000_000  # not zero, so that nothing works by accident
JOURNEYS = ("ask", "ask_stream", "ingest")


def at_ns(t_s: float) -> int:
    """Monotonic time of a second of the run."""
    return START_NS + round(t_s * 1e9)


def history(*lines: str, requests: NDArray[Any] | None = None, load: Mapping[str, Any] | None = None, **fields: Any) -> History:
    """A history from lines; `load` are figures of the load's last event, `fields` further ones of History."""
    rows = requests if requests is not None else np.zeros(0, dtype=REQUEST_DTYPE)
    builder = _Builder({"arrivals": len(rows), **(load or {})})
    for line in lines:
        builder.add(line)
    builder.be_well()
    events = sorted(builder.events, key=lambda e: e.t_ns)
    return History(events=tuple(events), requests=Requests.of(rows), **{"journeys": JOURNEYS, **fields})


def traffic(
    start_s: float,
    end_s: float,
    rate: float = 25.0,
    *,
    outcome: Outcome = Outcome.OK,
    latency_s: float | Callable[[int], float] = 0.1,
    journey: str | Sequence[str] = "ask",
    every: Mapping[int, Mapping[str, Any]] | None = None,
    **fields: Any,
) -> NDArray[Any]:
    """Even arrivals in [start_s, end_s). `latency_s` may depend on the number of the request; `every` overrides each n-th one."""
    count = round((end_s - start_s) * rate)
    rows = np.zeros(count, dtype=REQUEST_DTYPE)
    journeys = [journey] if isinstance(journey, str) else list(journey)
    for i in range(count):
        intended_s = start_s + i / rate
        latency = latency_s(i) if callable(latency_s) else latency_s
        row = rows[i]
        row["seq"] = round(intended_s * 1000)
        row["journey"] = JOURNEYS.index(journeys[i % len(journeys)])
        row["intended_ns"] = row["start_ns"] = at_ns(intended_s)
        row["end_ns"] = at_ns(intended_s + latency)
        row["first_ns"], row["last_ns"] = at_ns(intended_s + latency / 2), row["end_ns"]
        row["outcome"], row["question"], row["canary"], row["refused"], row["degraded"], row["preferred"] = outcome, -1, -1, -1, -1, -1
        row["sources"], row["citations"] = NOTHING, NOTHING
        for name, value in fields.items():
            row[name] = value
        for n, changes in (every or {}).items():
            if i % n == 0:
                for name, value in changes.items():
                    row[name] = value
    dropped = rows["outcome"] == Outcome.DROPPED
    for name in ("start_ns", "first_ns", "last_ns", "end_ns"):
        rows[name][dropped] = 0
    return rows


def together(*parts: NDArray[Any]) -> NDArray[Any]:
    """Several stretches of traffic."""
    rows = np.concatenate(parts)
    rows["seq"] = np.arange(len(rows))
    return rows


def scenario(**fields: Any) -> Scenario:
    """A scenario of 25/s and the given fields, written as in a file."""
    return Scenario.model_validate(
        {
            "name": "written-by-hand",
            "load": {"shape": [{"constant": "25/s"}]},
            "phases": {"steady_state": "30s", "fault": "40s", "recovery": "30s"},
            **fields,
        }
    )


def questions(count: int = 10, unanswerable: Iterable[int] = ()) -> dict[int, Question]:
    """Question i is answered by document i."""
    none = set(unanswerable)
    return {i: Question(i, frozenset() if i in none else frozenset({i}), i not in none) for i in range(count)}


class _Builder:
    def __init__(self, load: dict[str, Any]) -> None:
        self.events: list[Event] = []
        self._load = load
        self._phase: str | None = None
        self._fault = "f"
        self._numbers = 0
        self._put(0.0, ev.OPERATOR, "truth", state="started")
        self._put(0.0, ev.LOAD, "truth", state="started")
        self._put(0.0, ev.STACK, "truth", state="starting")
        self._put(0.0, ev.STACK, "truth", state="ready", instances={})

    def be_well(self) -> None:
        """Without any `probe`, the generator was well in every second."""
        if not any(e.data.get("state") == "health" for e in self.events):
            for second in range((max(e.t_ns for e in self.events) - START_NS) // 1_000_000_000):
                self._put(second + 0.5, ev.LOAD, "truth", state="health", cpu_ratio=0.1, steal_ratio=0.0)

    def add(self, line: str) -> None:
        time, verb, *words = line.split()
        t_s = float(time.removesuffix("s"))
        plain = [w for w in words if "=" not in w]
        options = dict(w.split("=", 1) for w in words if "=" in w)
        if verb in PHASES and not words:
            self._begin(t_s, verb)
        else:
            _VERBS[verb](self, t_s, plain, options)

    def _put(self, t_s: float, kind: str, source: Any, /, **data: Any) -> None:
        self.events.append(Event(at_ns(t_s), kind, source, data))

    def _begin(self, t_s: float, phase: str) -> None:
        self._close(t_s)
        self._phase = phase
        self._put(t_s, ev.PHASE, "truth", name=phase, state="start", planned_end_ns=0)

    def _close(self, t_s: float) -> None:
        """Phases end as planned: the planned end is filled in when the end is known."""
        if self._phase is None:
            return
        start = next(i for i, e in enumerate(self.events) if e.kind == ev.PHASE and e.data["name"] == self._phase)
        begun = self.events[start]
        self.events[start] = Event(begun.t_ns, begun.kind, begun.source, {**begun.data, "planned_end_ns": at_ns(t_s)})
        self._put(t_s, ev.PHASE, "truth", name=self._phase, state="end")
        self._phase = None

    def fault(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self.intended(t_s, plain, options)
        for step in ("injected", "effective"):
            self._put(t_s, ev.FAULT, "truth", id=self._fault, step=step)

    def intended(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        kind, _, target = plain[0].partition("@")
        edge = target.split("->") if "->" in target else None
        service = edge[1] if edge else target
        instance = None
        if not edge and service.rpartition("-")[2].isdigit():
            instance, service = service, service.rpartition("-")[0]
        self._fault = options.get("id", "f")
        self._put(
            t_s,
            ev.FAULT,
            "truth",
            id=self._fault,
            step="intended",
            type=options.get("type", f"test.{kind}"),
            fault_kind=kind,
            service=service,
            edge=edge,
            instance=instance,
            accepted=_list(options.get("accepted")),
            blast_radius=_list(options.get("blast")),
            recoverable_by=_list(options.get("fix")),
            benign="benign" in plain,
        )

    def step(self, name: str) -> Callable[[float, list[str], dict[str, str]], None]:
        def put(t_s: float, plain: list[str], options: dict[str, str]) -> None:
            self._put(t_s, ev.FAULT, "truth", id=plain[0] if plain else self._fault, step=name, reason=options.get("reason", "in a test"))

        return put

    def heal(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self.heal_only(t_s, plain, options)
        self.step("gone")(t_s, plain, options)

    def heal_only(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        for name in ("heal_intended", "healed"):
            self.step(name)(t_s, plain, options)

    def alert(self, t_s: float, plain: list[str], options: dict[str, str], status: str = "firing") -> None:
        name = options.get("name", "Alert")
        labels = {"alertname": name} | ({"service": plain[0]} if plain[0] != "-" else {})
        self._put(t_s, ev.ALERT, "claim", status=status, labels=labels, annotations={}, fingerprint=f"{name}:{plain[0]}")

    def resolved(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self.alert(t_s, plain, options, "resolved")

    def diagnosis(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._numbers += 1
        causes = []
        for word in plain:
            name, _, confidence = word.partition(":")
            service, _, kind = name.partition("/")
            causes.append({"service": service, "kind": kind, "confidence": float(confidence or 0.0)})
        self._put(t_s, ev.DIAGNOSIS, "claim", diagnosis_id=f"d{self._numbers}", causes=causes)

    def action(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._numbers += 1
        verb, target = plain
        instance = target if target.rpartition("-")[2].isdigit() else None
        service = target.rpartition("-")[0] if instance else target
        action_id = f"a{self._numbers}"
        self._put(t_s, ev.ACTION, "claim", action_id=action_id, step="requested", verb=verb, service=service, instance=instance)
        done_s = t_s + float(options.get("for", 0.0))
        self._put(done_s, ev.ACTION, "truth", action_id=action_id, step=options.get("status", "performed"))

    def escalation(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.ESCALATION, "claim", service=plain[0] if plain else None, reason=options.get("reason", ""))

    def instance(self, state: str) -> Callable[[float, list[str], dict[str, str]], None]:
        def put(t_s: float, plain: list[str], options: dict[str, str]) -> None:
            self._put(t_s, ev.INSTANCE, "truth", instance=plain[0], service=plain[0].rpartition("-")[0], state=state)

        return put

    def operator(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.OPERATOR, "truth", state=plain[0], returncode=1)

    def probe(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.LOAD, "truth", state="health", **{k: float(v) for k, v in options.items()})

    def answer(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        ok = {"yes": True, "no": False}.get(plain[1]) if len(plain) > 1 else None
        self._put(t_s, ev.PROBE, "telemetry", id=plain[0], ok=ok, took_s=0.01, value=None, detail="in a test")

    def abort(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.ABORT, "truth", rule=" ".join(plain))

    def interrupted(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.INTERRUPTED, "truth", signal="SIGINT")

    def took_over(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.WATCHDOG, "truth", state="took_over", detail="no heartbeat")

    def end(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._close(t_s)
        self._put(t_s, ev.LOAD, "truth", state="finished", **self._load)
        if not any(e.kind == ev.OPERATOR and e.data["state"] == "exited" for e in self.events):
            self._put(t_s, ev.OPERATOR, "truth", state="stopped")
        if any(e.kind == ev.FAULT for e in self.events):
            self._put(t_s, ev.FINGERPRINT, "truth", left=[])
        self._put(t_s, ev.STACK, "truth", state="stopped")
        self._put(t_s, ev.WATCHDOG, "truth", state="finished", ended=[], left=[])
        self._put(t_s, ev.ENDED, "truth", complete=True, ending="completed")

    def cut(self, t_s: float, plain: list[str], options: dict[str, str]) -> None:
        self._put(t_s, ev.INSTANCE, "truth", service="gateway", instance="gateway-1", state="ready")


def _list(text: str | None) -> list[str]:
    return text.split(",") if text else []


_Line = Callable[[_Builder, float, list[str], dict[str, str]], None]


def _as_line(name: str) -> _Line:
    return lambda builder, t_s, plain, options: getattr(builder, name)(t_s, plain, options)


def _as_made(maker: str, argument: str) -> _Line:
    return lambda builder, t_s, plain, options: getattr(builder, maker)(argument)(t_s, plain, options)


_VERBS: dict[str, _Line] = {
    **{name: _as_line(name) for name in ("fault", "intended", "heal", "alert", "resolved", "diagnosis", "action", "escalation")},
    **{name: _as_line(name) for name in ("operator", "probe", "answer", "abort", "interrupted", "took_over", "end", "cut")},
    "heal-only": _as_line("heal_only"),
    **{name: _as_made("step", name) for name in ev.FAULT_STEPS if name != "intended"},
    **{name: _as_made("instance", name) for name in ("down", "ready")},
}
