"""The contract's names are those of the page that documents them, and of the load's own metrics."""

import re
from pathlib import Path

from harness.load import metrics
from harness.telemetry import contract

PAGE = Path(__file__).parents[3] / "docs" / "reference-stack.md"


def test_every_documented_metric_has_its_constant_and_the_other_way_round() -> None:
    documented = set(re.findall(r"`(rag_[a-z_]+)`", PAGE.read_text(encoding="utf-8").partition("## Telemetry contract")[2]))
    constants = {v for v in vars(contract).values() if isinstance(v, str) and v.startswith("rag_")}
    assert constants == documented


def test_buckets_are_those_of_the_page_and_of_the_load() -> None:
    text = re.search(r"Duration buckets \(s\): ([\d. ]+?)\.\s", PAGE.read_text(encoding="utf-8"))
    assert text is not None
    assert tuple(map(float, text[1].split())) == contract.BUCKETS_S == metrics.BUCKETS_S
