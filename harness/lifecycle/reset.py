"""Between two faults of one run: provider, replicas and routes go back to what was declared, or the next fault could not bite."""

from __future__ import annotations

import threading
from collections.abc import Callable
from math import ceil
from typing import Any

from harness.stack.base import Configurable, Restartable, Routable, Scalable, Spreadable, Stack, StackError


def put_back(stack: Stack, calm: Callable[[], bool] = lambda: True) -> dict[str, Any]:
    """Do it, through the stack's own capabilities; returns what had to be changed. Raises StackError.

    Nothing more is touched once `calm` is False: what is amiss then may be the next fault's doing, and must not be healed by us.
    """
    changed: dict[str, Any] = {}
    declared = stack.info
    if isinstance(stack, Configurable) and declared.settings:
        before = stack.configure(declared.settings)
        changed["settings"] = {name: value for name, value in before.items() if value != declared.settings[name]}
    if isinstance(stack, Scalable):
        counts = {service: len(stack.instances(service)) for service in declared.services}
        changed["replicas"] = {service: n for service, n in counts.items() if n != declared.services[service]}
        for service in changed["replicas"]:
            if calm():
                stack.scale(service, declared.services[service])
    instances = [instance for service in declared.services for instance in stack.instances(service)]
    if isinstance(stack, Restartable):
        changed["restarted"] = []
        for instance in instances:
            if stack.probe(instance) is not None and calm():
                changed["restarted"].append(instance.name)
                stack.restart(instance.name)
    if isinstance(stack, Spreadable) and calm():
        changed["spread"] = stack.spread()
    if isinstance(stack, Routable):
        for instance in instances:
            if instance.url.startswith("http") and calm():
                stack.set_in_rotation(instance.name, True)
    changed["cut_short"] = not calm()
    return {what: value for what, value in changed.items() if value}


class Resetter:
    """Puts things back in a thread of its own each time the last active fault has been healed and another one is to come."""

    def __init__(self, stack: Stack, note: Callable[[dict[str, Any]], object]) -> None:
        self._stack = stack
        self._note = note
        self._was_active = False
        self._thread: threading.Thread | None = None

    def look(self, *, active: bool, more_to_come: bool) -> None:
        """Called by the loop that plays the faults; never waits."""
        ended, self._was_active = self._was_active and not active, active
        if ended and more_to_come:
            self._thread = threading.Thread(target=self._work, name="reset", daemon=True)
            self._thread.start()

    def join(self, within_s: float, meanwhile: Callable[[], object]) -> None:
        """Wait for what is under way; `meanwhile` is called every second."""
        for _ in range(ceil(within_s)):
            if self._thread is None or not self._thread.is_alive():
                return
            meanwhile()
            self._thread.join(1.0)

    def _work(self) -> None:
        try:
            self._note({"changed": put_back(self._stack, calm=lambda: not self._was_active)})
        except StackError as error:
            self._note({"failed": str(error)})
