"""A version that stands, as its state file tells, and what a starting one is given and leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.stack.base import AdminApi
from harness.sweep import Found, same_process

Settings = Mapping[str, Mapping[str, str]]
"""Variables by service."""


@dataclass(frozen=True, slots=True)
class Side:
    """A version that stands."""

    name: str
    version: str
    run_id: str
    process: Found
    entry_url: str
    api: AdminApi
    corpus: Path
    questions: Path
    preferred_model: str
    database: str | None = None  # its PostgreSQL, which holds the vectors, too; None where those are elsewhere

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Side:
        """From its state file."""
        return cls(
            name=state["name"],
            version=state["version"],
            run_id=state["run_id"],
            process=Found(int(state["pid"]), float(state["create_time_s"]), state["name"]),
            entry_url=state["entry_url"],
            api=AdminApi(**state["api"]),
            corpus=Path(state["corpus"]),
            questions=Path(state["questions"]),
            preferred_model=state["preferred_model"],
            database=state.get("database"),
        )

    @property
    def alive(self) -> bool:
        return same_process(self.process) is not None


def together(one: Settings, other: Settings) -> dict[str, dict[str, str]]:
    """Both, the other one's where both say something."""
    return {service: {**one.get(service, {}), **other.get(service, {})} for service in {**one, **other}}


def last_words(log: Path) -> str:
    """What it died of: the StackError of its traceback with what came after, else the end of its log."""
    text = log.read_text(encoding="utf-8", errors="replace")
    _, found, rest = text.rpartition("StackError: ")
    return (rest if found else text).strip()[-2000:]
