"""Parts of an installed distribution, those of docs/extend.md: found by entry point, used by name, and clear when they are broken."""

from __future__ import annotations

import importlib
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.ops.alerting.channels.config import NotifyError, read_notify
from harness.ops.alerting.channels.delivery import Mailer
from harness.ops.alerting.channels.spool import Spool
from harness.ops.assembly import assemble
from harness.ops.diagnosis.ranking import Cause
from harness.ops.monitoring.detectors.registry import create
from harness.ops.recovery.controller import Controller, Handover
from harness.ops.recovery.strategies import Situation, Step, StrategyError, choices_of, ladder_for
from harness.ops.stackfile.loading import stack_of_text
from harness.ops.targets import Targets, TargetsError
from harness.ops.watching.loop import third_party
from tests.distribution import installed
from tests.unit.ops.world import Ear, World

PAGE = (Path(__file__).parents[3] / "docs" / "extend.md").read_text(encoding="utf-8")
TARGETS = Targets(kinds={"gateway": "http"}, registry=None, static={}, edges=())
SLOW = Cause("gateway", "latency", 0.9, "slow")


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    (toml,), (module,) = (re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL) for kind in ("toml", "python"))
    points = {group: dict(named) for group, named in tomllib.loads(toml)["project"]["entry-points"].items()}
    del points["rag_gauntlet.faults"]  # tests/unit/faults/test_third_party.py
    points["rag_gauntlet.strategies"] |= {"none": "our_gauntlet:Queue", "failing": "our_gauntlet:FAILING", "gone": "our_gauntlet:Gone"}
    points["rag_gauntlet.channels"] |= {"broken": "our_gauntlet:Broken", "webhook": "our_gauntlet:Pager"}
    module += "\n\ndef fails(cause, situation):\n    raise KeyError('x')\n\n\nFAILING = [Choice('http', ('latency',), (fails,))]\n"
    module += "\n\nclass Broken(Pager):\n    def __init__(self, settings):\n        pass\n"
    module += "\n    def send(self, message):\n        raise RuntimeError('no line')\n"
    monkeypatch.syspath_prepend(str(installed(tmp_path, "our_gauntlet", {"our_gauntlet": module}, points)))
    yield importlib.import_module("our_gauntlet")
    del sys.modules["our_gauntlet"]


def test_a_detector_and_a_source(ours: Any) -> None:
    stack = stack_of_text(
        "services:\n  gateway: {url: 'http://127.0.0.1:1'}\ndetectors: {'*/backlog': tripwire}\nsources: [queue]\n", "S", {}
    )
    detector = create(stack.profile.detectors["*/backlog"])
    assert [detector.update(0.0, value) for value in (1.0, 101.0, 2.0)] == [0.0, 1.0, 1.0]
    ((name, source),) = third_party(stack.document.sources, stack.targets)
    assert name == "queue" and [r.key for r in source.read()] == ["gateway/backlog"]


def test_a_channel_is_made_of_what_stands_under_its_name_and_may_fail(ours: Any, tmp_path: Path) -> None:
    def notify(channel: dict[str, Any]) -> Any:
        return read_notify({"channels": {"night": channel}, "spool": str(tmp_path / "spool")}, tmp_path, 1.0).channels["night"]

    spool, told = Spool(tmp_path / "spool"), list[Any]()
    body = {"alerts": [{"status": "firing"}], "groupLabels": {"alertname": "Down"}}
    spool.put("night", body, 0.0)
    assert Mailer("night", notify({"broken": None}), spool, told.append).pump(0.0) == 1.0, "whatever it raises, it is tried again"
    assert told[-1]["error"] == "RuntimeError: no line; tried again in 1s"
    assert Mailer("night", notify({"pager": {"number": "112"}}), spool, told.append).pump(1.0) is None
    assert ours.Pager.sent == [("112", "[FIRING 1] Down")]
    with pytest.raises(NotifyError, match=r"notify.channels.night.pager: cannot be made: KeyError: 'number'"):
        notify({"pager": {}})
    with pytest.raises(NotifyError, match=r"there is no 'pigeon'; write one of webhook, slack, email, apprise, broken, pager"):
        notify({"pigeon": {}})
    with pytest.raises(NotifyError, match="webhook: there is no 'number'; write one of url, token"):
        notify({"webhook": {"number": "112"}})


def test_a_strategy_is_tried_before_those_that_come_along(ours: Any, tmp_path: Path) -> None:
    choices = choices_of(["warm_up"])
    assert ladder_for(SLOW, Situation(TARGETS), choices) == ((Step("warm_up", "gateway"),), (Step("restart", "gateway"),))
    dead = Cause("gateway", "crash", 0.9, "gone")
    assert ladder_for(dead, Situation(TARGETS), choices) == ladder_for(dead, Situation(TARGETS))
    controller = Controller(TARGETS, choices=choices)
    done = [step for t in range(3) for step in controller.decide(t, [SLOW], alerting=True, users_affected=False)]
    assert done == [Step("warm_up", "gateway")]
    failing = Controller(TARGETS, choices=choices_of(["failing"]))
    (told,) = [step for t in range(3) for step in failing.decide(t, [SLOW], alerting=True, users_affected=False)]
    assert isinstance(told, Handover) and told.reason == "latency on gateway: a strategy failed (KeyError: 'x')"
    text = "services:\n  gateway: {url: 'http://127.0.0.1:1'}\nrecovery: {strategies: [warm_up]}\n"
    assert assemble(stack_of_text(text, "S", {}).targets, Ear(World(tmp_path))).choices == choices


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cool_down", r"there is no strategy 'cool_down'; installed distributions announce failing, gone, none, warm_up"),
        ("none", r"the strategy 'none' is no Choice, and no list of them"),
        ("gone", r"the strategy 'gone' \(our_gauntlet:Gone\) cannot be loaded: AttributeError"),
    ],
)
def test_a_strategy_that_cannot_be_used_is_one_clear_error(ours: Any, tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(StrategyError, match=told):
        choices_of([name])
    text = f"services:\n  gateway: {{url: 'http://127.0.0.1:1'}}\nrecovery: {{strategies: [{name}]}}\n"
    with pytest.raises(TargetsError, match=f"recovery.strategies: {told}"):
        assemble(stack_of_text(text, "S", {}).targets, Ear(World(tmp_path)))
