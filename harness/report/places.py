"""Where in its scenario a check was asked for."""

from __future__ import annotations

from harness.scenario.loader import Loaded
from harness.scenario.problem import KeyPath, Position


class Places:
    """Lines of one scenario file."""

    def __init__(self, loaded: Loaded) -> None:
        self.path = loaded.path
        self._loaded = loaded
        self._faults = {fault.id: n for n, fault in enumerate(loaded.scenario.faults)}

    def line(self, check: str) -> int:
        """Of a check by its name; 1 where the file does not ask for it in words."""
        return self.position(check).line

    def position(self, check: str) -> Position:
        """Likewise, with the column."""
        where = self._where(check)
        return self._loaded.positions.key(where) if where else Position(1, 1)

    def _where(self, check: str) -> KeyPath:
        group, _, rest = check.partition(".")
        if group == "expect":
            return self._expectation(rest)
        if group == "probe":
            return next((("probes", n) for n, probe in enumerate(self._loaded.scenario.probes) if probe.id == rest), ())
        if group in ("validity", "containment"):
            fault = rest.rpartition(".")[2]
            return ("faults", self._faults[fault]) if fault in self._faults else ()
        phase: KeyPath = ("objectives", group)
        return next(((*phase, text) for text in self._texts(group) if f"{group}.{text}" == check), phase if self._texts(group) else ())

    def _texts(self, phase: str) -> tuple[str, ...]:
        return tuple(self._loaded.scenario.objectives.get(phase, {}))  # type: ignore[call-overload]  # a word that names no phase gives {}

    def _expectation(self, asked_for: str) -> KeyPath:
        """`<fault or run>.<field>`, and of an alert by name `<fault>.alerts.<name>`."""
        entries = [(n, f"{asked.fault or 'run'}.") for n, asked in enumerate(self._loaded.scenario.expect)]
        fitting = [(n, asked_for.removeprefix(of)) for n, of in entries if asked_for.startswith(of)]
        keys: list[KeyPath] = [("expect", n, *field.split(".", 1)) for n, field in fitting]
        return next((key for key in keys if key in self._loaded.positions.keys), ("expect", fitting[0][0]) if fitting else ())
