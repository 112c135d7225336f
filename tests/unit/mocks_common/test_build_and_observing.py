"""What a build does wrong, and how a service can be observed, as its environment says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mocks.rag.common.build import Build
from mocks.rag.common.config import ConfigError
from mocks.rag.common.observing import LOOK_EVERY_S, Observing


def test_a_good_build_has_no_faults() -> None:
    assert Build.from_env({}) == Build(0.0, crashes=False, answers_from_last=False)


def test_a_bad_build_says_how_it_is_bad() -> None:
    env = {"BUILD_LATENCY_MS": "250", "BUILD_CRASHES": "1", "BUILD_ANSWERS_FROM_LAST": "1"}
    assert Build.from_env(env) == Build(0.25, crashes=True, answers_from_last=True)


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "60001"])
def test_a_latency_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="BUILD_LATENCY_MS must be"):
        Build.from_env({"BUILD_LATENCY_MS": text})


class Observed:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "telemetry.json"
        self.now_s = 100.0
        self.observing = Observing(self.path, lambda: self.now_s)

    def say(self, text: str) -> None:
        fresh = self.path.with_suffix(".new")
        fresh.write_text(text)
        os.utime(fresh, ns=(0, int(self.now_s * 1e9)))
        fresh.replace(self.path)


def test_without_a_file_all_is_as_ever(tmp_path: Path) -> None:
    for observing in (Observing(None), Observing(tmp_path / "none.json")):
        assert (observing.metrics(), observing.logs_lost()) == ("serve", False)


def test_a_scrape_follows_the_file_at_once_and_a_log_line_soon(tmp_path: Path) -> None:
    observed = Observed(tmp_path)
    assert not observed.observing.logs_lost()
    observed.say(json.dumps({"metrics": "hang", "logs": "lose"}))
    assert not observed.observing.logs_lost(), "looked at a moment ago"
    observed.now_s += LOOK_EVERY_S
    assert observed.observing.logs_lost()
    assert observed.observing.metrics() == "hang"
    observed.now_s += LOOK_EVERY_S
    observed.path.unlink()
    assert (observed.observing.metrics(), observed.observing.logs_lost()) == ("serve", False)


@pytest.mark.parametrize("text", ["", "no JSON", "[1]"])
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str) -> None:
    observed = Observed(tmp_path)
    observed.say(text)
    assert (observed.observing.metrics(), observed.observing.logs_lost()) == ("serve", False)
