"""The master's keys at the terminal: what is asked for with them goes the same way as what the page asks for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.gameday.asks import ASK
from harness.gameday.desk import AskError, Desk

BEGIN, APPROVE, CHANGE, SKIP, NOTE, FOLLOW_UP, REVEAL, HIDE, STOP = "bacxnfrhs"
WAITING = f"{BEGIN} begin  {STOP} leave"
LEGEND = (
    f"{APPROVE} approve  {CHANGE} change  {SKIP} skip  1-9 another fault  {NOTE} note  {FOLLOW_UP} note to do afterwards  "
    f"{REVEAL} reveal  {HIDE} hide the truth here  {STOP} emergency stop"
)
HIDDEN = f"{HIDE} show everything again  {STOP} emergency stop"
_ASKS_FOR = {CHANGE: "target and parameters", SKIP: "reason to skip", NOTE: "note", FOLLOW_UP: "to do afterwards"}
"""Keys after which a line is typed, and what it is."""
_DECIDABLE = ("waits for you", "planned", "decided")  # the first of these is the one that the keys are about
_ERASE, _ERASE_LINE, _ESCAPE = ("\x7f", "\b"), "\x15", "\x1b"


@dataclass(slots=True)
class Keyboard:
    """What is being typed. `faults` are those of the master's document, in its order; `changed` is called when that is to be redrawn."""

    desk: Desk
    faults: Callable[[], list[dict[str, Any]]]
    changed: Callable[[], None]
    hidden: bool = False
    """The terminal shows no more than the players see, as where it is projected."""
    answer: str = ""
    _line_for: str = ""
    _line: str = ""
    _chosen: str = ""

    @property
    def prompt(self) -> str:
        """The last line of the view."""
        if self._line_for:
            return f"{self._about()}{_ASKS_FOR[self._line_for]}> {self._line}_   (Return: done, Esc: leave it)"
        if self.hidden:
            return HIDDEN
        return LEGEND if self.desk.begun.is_set() else WAITING

    @property
    def chosen(self) -> str:
        """The fault that keys are about; empty where none can be decided any more."""
        open_ = {str(f["id"]): f["status"] for f in self.faults() if f["status"] in _DECIDABLE}
        if self._chosen in open_:
            return self._chosen
        return min(open_, key=lambda name: _DECIDABLE.index(open_[name]), default="")

    def feed(self, typed: str) -> None:
        """A key, an escape sequence, or what was pasted."""
        if typed.startswith(_ESCAPE):
            if typed == _ESCAPE:
                self._line_for = self._line = ""
        else:
            for character in typed:
                (self._type if self._line_for else self._press)(character)
        self.changed()

    def _type(self, character: str) -> None:
        if character in "\r\n":
            line_for, line = self._line_for, self._line.strip()
            self._line_for = self._line = ""
            self._finish(line_for, line)
        elif character in _ERASE:
            self._line = self._line[:-1]
        elif character == _ERASE_LINE:
            self._line = ""
        elif character.isprintable():
            self._line += character

    def _press(self, key: str) -> None:
        self.answer = ""
        if key == STOP:
            self._stop()
        elif key == HIDE:
            self.hidden = not self.hidden
        elif self.hidden:
            return  # any word about what was asked for would tell
        elif key.isdecimal():
            self._choose(int(key))
        elif key in (BEGIN, REVEAL):
            self._take({"do": "begin" if key == BEGIN else "reveal"})
        elif key in (APPROVE, CHANGE, SKIP) and not self.chosen:
            self.answer = "every fault is decided"
        elif key == APPROVE:
            self._take({"do": "approve", "fault": self.chosen})
        elif key in _ASKS_FOR:
            self._chosen = self.chosen  # of which the line will be, whatever falls due meanwhile
            self._line_for, self._line = key, self._as_declared() if key == CHANGE else ""

    def _finish(self, line_for: str, line: str) -> None:
        if line_for == SKIP:
            self._take({"do": "skip", "fault": self._chosen, "reason": line})
        elif line_for == CHANGE:
            target, _, parameters = line.partition(" ")
            try:
                self._take({"do": "approve", "fault": self._chosen, "target": target, "with": json.loads(parameters or "{}")})
            except ValueError:
                self.answer = f'{parameters!r} is no JSON; write TARGET {{"parameter": "value"}}'
        elif line:
            self._take({"do": "note", "text": line, "follow_up": line_for == FOLLOW_UP})

    def _take(self, ask: Mapping[str, Any]) -> None:
        try:
            self.desk.take("master", ASK.validate_python(dict(ask)))
        except ValidationError as error:
            self.answer = error.errors(include_url=False)[0]["msg"]
        except AskError as error:
            self.answer = str(error)
        else:
            self.answer = " ".join(filter(None, ("done:", str(ask["do"]), str(ask.get("fault", "")))))

    def _stop(self) -> None:
        """Recorded where a record is open; done in any case."""
        self._take({"do": "stop"})
        if not self.desk.stopped:
            self.desk.stop()

    def _choose(self, number: int) -> None:
        faults = self.faults()
        if not 1 <= number <= len(faults):
            self.answer = f"there are {len(faults)} faults"
        elif faults[number - 1]["status"] not in _DECIDABLE:
            self.answer = f"{faults[number - 1]['id']} is decided: it was injected, or skipped"
        else:
            self._chosen = str(faults[number - 1]["id"])

    def _as_declared(self) -> str:
        fault = next(f for f in self.faults() if f["id"] == self._chosen)
        return f"{fault['target']} {json.dumps(fault['with'], default=str)}"

    def _about(self) -> str:
        return f"{self._chosen}: " if self._line_for in (CHANGE, SKIP) else ""
