"""What crashes of a cache and of a database share."""

from __future__ import annotations

from harness.faults import roundtrip
from harness.faults.base import Evidence
from harness.faults.process import ProcessKill


class StoreDown(ProcessKill):
    """It crashes and is not held down: a restart heals it, as it would in production."""

    def verify(self) -> Evidence | None:
        crashed = super().verify()
        refusal = self._ask()[1]
        return None if crashed is None or refusal is None else {**crashed, "refusal": refusal}

    def gone(self) -> Evidence | None:
        ready = self.ready()
        round_trip_s, _ = self._ask()
        return None if ready is None or round_trip_s is None else {**ready, "round_trip_s": round_trip_s}

    def _ask(self) -> tuple[float | None, str | None]:
        """Seconds of a question in its own protocol, or why it was not answered."""
        try:
            return roundtrip.once(roundtrip.of_url(self.instance().url), self.context.clock), None
        except roundtrip.RoundTripError as error:
            return None, str(error)
