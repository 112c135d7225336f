"""Simulations that may be broken off: trials are counted in chunks, each with a seed of its own, and kept in a file of JSON."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

CHUNK = 50


class Named(Protocol):
    """A row of a table of trials."""

    @property
    def name(self) -> str: ...


Row = TypeVar("Row", bound=Named)
State = Mapping[str, Mapping[str, int]]


def carried_on(
    file: Path,
    rows: Sequence[Row],
    chunks: int,
    minutes: float,
    done: Callable[[Mapping[str, int]], int],
    one: Callable[[Row, int], Counter[str]],
) -> State:
    """Every row brought to so many chunks, or as far as the time goes. `done` counts a row's trials, `one` is a chunk by its number."""
    state: dict[str, dict[str, int]] = json.loads(file.read_text()) if file.exists() else {}
    end_s = time.monotonic() + minutes * 60.0
    for row in rows:
        for number in range(done(state.get(row.name, {})) // CHUNK, chunks):
            if time.monotonic() > end_s:
                return state
            state[row.name] = dict(Counter(state.get(row.name, {})) + one(row, number))
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps(state, indent=1))
            fresh.replace(file)
    return state
