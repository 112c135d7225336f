"""Mutation score of monitoring: of the mutants that make a difference in recorded runs, how many does some check of their scenarios notice?

In the words of mutation testing (reach, infect, propagate, reveal: Ammann and Offutt, Introduction to Software Testing, 2nd ed.): a mutant
is *reached* when, in some run, a rule names other symptoms than without it, or the operator says something else; *killed* when a check that
passes with the whole operator does not pass with the mutant: FAIL, or INCONCLUSIVE, because its actions no longer are those of the run.
Score = killed / reached. What no run reaches is counted apart, for it is no check that fell short there, but the scenarios.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from harness.ops.assembly import assemble
from harness.ops.operator import Operator, Voice
from harness.ops.targets import Targets
from harness.record.progress import UNTOLD, Progress
from harness.replay.hearing import Thoughts, listen
from harness.replay.mutants import BLIND, DELAY, KINDS, RULE, Mutant, parts_seen
from harness.replay.replaying import Replay, Source, replay
from harness.score.check import Status


class Fate(StrEnum):
    """What became of a mutant. A survivor is `unasked` where the operator claims something else, or at another time, and no check asks;
    `covered` where symptoms differ and it claims the same for other reasons."""

    KILLED = "killed"
    UNASKED = "unasked"
    COVERED = "covered"
    UNREACHED = "unreached"


@dataclass(frozen=True, slots=True)
class Kill:
    """The check that noticed, in which scenario, and how it ends then."""

    scenario: str
    check: str
    status: Status


@dataclass(frozen=True, slots=True)
class Moved:
    """A check that passes all the same, and by how much less, or more: the limit that would have noticed lies between the two values."""

    scenario: str
    check: str
    limit: Any
    whole: Any
    mutant: Any


@dataclass(frozen=True, slots=True)
class Told:
    """One mutant's fate. `kills` are those of the first run in which there are any; `moved` is of the survivors."""

    mutant: Mutant
    fate: Fate
    kills: tuple[Kill, ...] = ()
    moved: tuple[Moved, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "mutant": self.mutant.name,
            "fate": self.fate.value,
            "kills": [{"scenario": k.scenario, "check": k.check, "status": k.status.value} for k in self.kills],
            "moved": [asdict(m) for m in self.moved],
        }


@dataclass(frozen=True, slots=True)
class Mutation:
    """All fates. `passing`: checks of each scenario that pass without any mutant: only these can notice one."""

    told: tuple[Told, ...]
    passing: tuple[tuple[str, int], ...]

    def of(self, *fates: Fate, kind: str | None = None) -> tuple[Told, ...]:
        """Mutants with one of these fates, of one kind or of all."""
        return tuple(t for t in self.told if t.fate in fates and kind in (None, t.mutant.kind))

    @property
    def killed(self) -> int:
        return len(self.of(Fate.KILLED))

    @property
    def reached(self) -> int:
        return len(self.told) - len(self.of(Fate.UNREACHED))

    @property
    def score(self) -> float | None:
        """None where nothing could have noticed anything."""
        return self.killed / self.reached if self.reached and any(n for _, n in self.passing) else None

    @property
    def reach(self) -> float:
        """Share of all mutants that make any difference in these runs."""
        return self.reached / len(self.told) if self.told else 0.0

    def by_kind(self) -> Mapping[str, Mapping[str, int]]:
        """How many mutants of each kind met each fate."""
        return {kind: {fate.value: len(self.of(fate, kind=kind)) for fate in Fate} for kind in KINDS}

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; depends on the records and this program alone."""
        return {
            "score": None if self.score is None else round(self.score, 4),
            "killed": self.killed,
            "reached": self.reached,
            "mutants": len(self.told),
            "reach": round(self.reach, 4),
            "by_kind": self.by_kind(),
            "survivors": [t.mutant.name for t in self.of(Fate.UNASKED, Fate.COVERED)],
            "passing_checks": [{"scenario": name, "checks": n} for name, n in self.passing],
            "fates": [t.to_json() for t in self.told],
        }


@dataclass(frozen=True, slots=True)
class Whole:
    """A run with the whole operator, and what was there in it to be missed."""

    replay: Replay
    thoughts: Thoughts
    parts: frozenset[str]

    @classmethod
    def of(cls, source: Source) -> Whole:
        thoughts = Thoughts()
        return cls(_played(source, None, thoughts), thoughts, parts_seen(iter(source.rounds)))

    @property
    def scenario(self) -> str:
        return self.replay.source.scenario.name

    @property
    def passing(self) -> list[str]:
        return [r.name for r in self.replay.verdict.results if r.status is Status.PASS]

    def may_differ(self, mutant: Mutant) -> bool:
        """False where there is nothing to take away: no rule ever named it, no look has it, the verb was never asked for."""
        if mutant.kind == RULE:
            return mutant.part in self.thoughts.names
        if mutant.kind in (BLIND, DELAY):
            return mutant.part in self.parts
        return any(action.verb == mutant.part for action in self.replay.history.actions)


def mutate(
    sources: Sequence[Source],
    mutants: Sequence[Mutant],
    told: Callable[[Told], None] = lambda _: None,
    progress: Progress = UNTOLD,
) -> Mutation:
    """Replay the runs with every mutant, until one of them notices it. `told` hears of each fate as it is known."""
    progress.begin("replaying with the whole operator", len(sources))
    wholes = []
    for source in sources:
        wholes.append(Whole.of(source))
        progress.advance(1)
    progress.begin(f"replaying with {len(mutants)} mutants", len(mutants))
    found = []
    for mutant in mutants:
        found.append(_fate(mutant, wholes))
        told(found[-1])
        progress.advance(1)
    return Mutation(tuple(found), tuple((whole.scenario, len(whole.passing)) for whole in wholes))


def _fate(mutant: Mutant, wholes: Sequence[Whole]) -> Told:
    fate = Fate.UNREACHED
    moved: list[Moved] = []
    for whole in wholes:
        if not whole.may_differ(mutant):
            continue
        thoughts = Thoughts()
        crippled = _played(whole.replay.source, mutant, thoughts)
        kills = tuple(_kills(whole, crippled))
        if kills:
            return Told(mutant, Fate.KILLED, kills)
        moved += _moved(whole, crippled)
        if _claims(crippled) != _claims(whole.replay):
            fate = Fate.UNASKED
        elif fate is Fate.UNREACHED and (mutant.kind == RULE or thoughts.rounds != whole.thoughts.rounds):
            fate = Fate.COVERED  # a rule that `may_differ` has named something
    return Told(mutant, fate, moved=tuple(moved))


def _played(source: Source, mutant: Mutant | None, thoughts: Thoughts) -> Replay:
    def assembled(targets: Targets, voice: Voice) -> Operator:
        operator = assemble(targets, mutant.voice(voice) if mutant is not None else voice)
        listen(operator, thoughts, mutant.silent if mutant is not None else "")
        return operator

    return replay(source, assembled, mutant.rounds if mutant is not None else None)


def _kills(whole: Whole, crippled: Replay) -> Iterator[Kill]:
    left = {r.name: r.status for r in crippled.verdict.results}
    for name in whole.passing:
        status = left.get(name, Status.INCONCLUSIVE)
        if status is not Status.PASS:
            yield Kill(whole.scenario, name, status)


def _moved(whole: Whole, crippled: Replay) -> Iterator[Moved]:
    left = {r.name: r.value for r in crippled.verdict.results}
    for result in whole.replay.verdict.results:
        if result.name in whole.passing and left.get(result.name) != result.value:
            yield Moved(whole.scenario, result.name, result.limit, result.value, left.get(result.name))


def _claims(found: Replay) -> list[tuple[int, str, Any]]:
    """What was claimed and when, without the words in which it was put, and how sure it was: nothing is judged by these."""
    return [(e.t_ns, e.kind, wordless(e.data)) for e in found.replayed.events]


_WORDS = ("annotations", "evidence", "confidence", "reason", "detail")


def wordless(said: Any) -> Any:
    """A claim without words and confidence."""
    if isinstance(said, Mapping):
        return {key: wordless(value) for key, value in said.items() if key not in _WORDS}
    return [wordless(one) for one in said] if isinstance(said, list) else said
