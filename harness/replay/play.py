"""Plays a recording to an operator: its clock is the record's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from harness.ops.assembly import assemble
from harness.ops.monitoring.rounds import Round
from harness.ops.targets import Targets
from harness.record.events import OPERATOR, Event
from harness.replay.recording import Seen
from harness.replay.voice import RecordingVoice


class OnCall(Protocol):
    """What a replay asks of an operator: to look at one round, and to say what it has to say before it returns."""

    def round(self, round_: Round) -> None: ...


Assemble = Callable[[Targets, RecordingVoice], OnCall]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What the operator said, as events; and how it fared itself (`operator` events). `refused`: words that no inbox takes."""

    events: tuple[Event, ...]
    refused: tuple[str, ...] = ()


def play(rounds: Iterable[Seen], targets: Targets, wall_offset_s: float, assembled: Assemble = assemble, *, own: bool = True) -> Replayed:
    """Show all rounds to one operator (`own`: the embedded one). One that raises has died, as its process would have: the events say so."""
    voice = RecordingVoice(wall_offset_s)
    operator = assembled(targets, voice)
    lived: list[Event] = []
    for seen in rounds:
        voice.now_ns = seen.done_ns
        if not lived:
            lived.append(Event(round(seen.round.t_s * 1e9), OPERATOR, "truth", {"state": "started", "own": own}))
        try:
            operator.round(seen.round)
        except Exception as error:  # noqa: BLE001  # whatever it is: a replay must tell it, and not end with it
            died = {"state": "exited", "returncode": getattr(error, "returncode", 1), "detail": f"{type(error).__name__}: {error}"}
            return Replayed((*lived, *voice.events, Event(seen.done_ns, OPERATOR, "truth", died)), tuple(voice.refused))
    ended = Event(voice.now_ns, OPERATOR, "truth", {"state": "stopped"})
    return Replayed((*lived, *voice.events, ended), tuple(voice.refused))
