"""Mutation score of monitoring: of all mutants, how many does some check of some recorded scenario notice?

A mutant is killed when a check that passes in the replay of the whole operator does not pass in the replay of the mutant: FAIL, or
INCONCLUSIVE, because its actions no longer are those of the run. Score = killed / (all - equivalent).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.record.events import Event
from harness.replay.mutants import Mutant
from harness.replay.replaying import Replay, Source, replay
from harness.score.check import Status


@dataclass(frozen=True, slots=True)
class Kill:
    """The check that noticed, in which scenario, and how it ends then."""

    scenario: str
    check: str
    status: Status


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one mutant. `differs`: some claim of some replay was another one; a survivor that differs is not equivalent."""

    mutant: Mutant
    kills: tuple[Kill, ...]
    differs: bool

    @property
    def equivalent(self) -> str | None:
        """The reason why it is left out; none where a replay has shown that it is not true."""
        return self.mutant.equivalent if not self.differs else None

    def to_json(self) -> dict[str, Any]:
        return {
            "mutant": self.mutant.name,
            "killed": bool(self.kills),
            "equivalent": self.equivalent,
            "differs": self.differs,
            "kills": [{"scenario": k.scenario, "check": k.check, "status": k.status.value} for k in self.kills],
        }


@dataclass(frozen=True, slots=True)
class Mutation:
    """All fates. `passing`: checks of each scenario that pass without any mutant: only these can notice one."""

    fates: tuple[Fate, ...]
    passing: tuple[tuple[str, int], ...]

    @property
    def counted(self) -> tuple[Fate, ...]:
        return tuple(f for f in self.fates if f.equivalent is None)

    @property
    def killed(self) -> int:
        return sum(bool(f.kills) for f in self.counted)

    @property
    def survivors(self) -> tuple[Fate, ...]:
        return tuple(f for f in self.counted if not f.kills)

    @property
    def score(self) -> float | None:
        """None where nothing could have noticed anything."""
        return self.killed / len(self.counted) if self.counted and any(n for _, n in self.passing) else None

    def to_json(self) -> dict[str, Any]:
        """JSON-ready; depends on the records and this program alone."""
        return {
            "score": None if self.score is None else round(self.score, 4),
            "killed": self.killed,
            "counted": len(self.counted),
            "equivalent": len(self.fates) - len(self.counted),
            "survivors": [f.mutant.name for f in self.survivors],
            "passing_checks": [{"scenario": name, "checks": n} for name, n in self.passing],
            "mutants": [f.to_json() for f in self.fates],
        }


def mutate(sources: Sequence[Source], mutants: Sequence[Mutant]) -> Mutation:
    """Replay every run with every mutant."""
    whole = [replay(source) for source in sources]
    fates = tuple(_fate(mutant, whole) for mutant in mutants)
    return Mutation(fates, tuple((w.source.scenario.name, len(_passing(w))) for w in whole))


def _fate(mutant: Mutant, whole: Sequence[Replay]) -> Fate:
    kills: list[Kill] = []
    differs = False
    for one in whole:
        crippled = replay(one.source, mutant.assembled, mutant.alter)
        differs = differs or _claims(crippled) != _claims(one)
        kills += _kills(one, crippled)
    return Fate(mutant, tuple(kills), differs)


def _kills(whole: Replay, crippled: Replay) -> Iterator[Kill]:
    left = {r.name: r.status for r in crippled.verdict.results}
    for name in _passing(whole):
        status = left.get(name, Status.INCONCLUSIVE)
        if status is not Status.PASS:
            yield Kill(whole.source.scenario.name, name, status)


def _passing(whole: Replay) -> list[str]:
    return [r.name for r in whole.verdict.results if r.status is Status.PASS]


def _claims(found: Replay) -> list[tuple[int, Any]]:
    def key(event: Event) -> tuple[int, Any]:
        return event.t_ns, (event.kind, event.data)

    return [key(e) for e in found.replayed.events]
