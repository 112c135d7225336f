"""What `check` says of a load's shape and what the load then does with it: two modules that may not import each other, and must agree."""

from __future__ import annotations

import json
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario import arrivals
from harness.scenario.checks.system import check_load
from harness.scenario.loader import Loaded, load_text
from harness.scenario.shape import ShapeError, lay_out
from tests.unit.scenario.catalogue import REFERENCE

tenths = st.integers(1, 600).map(lambda n: n / 10)
rates = st.integers(0, 500).map(lambda n: n / 10)
kinds = st.one_of(
    st.builds(lambda r: {"constant": f"{r}/s"}, rates),
    st.builds(lambda r: {"poisson": f"{r}/s"}, rates),
    st.builds(lambda a, b: {"ramp": {"from": f"{a}/s", "to": f"{b}/s"}}, rates, rates),
    st.builds(lambda a, b: {"spike": {"base": f"{a}/s", "peak": f"{b}/s"}}, rates, rates),
    st.builds(lambda r: {"gamma": {"rate": f"{r}/s", "burstiness": 0.5}}, rates),
    st.builds(lambda a, b: {"steps": {"from": f"{a}/s", "to": f"{b}/s", "steps": 4}}, rates, rates),
    st.builds(lambda a: {"sweep": {"from": f"{a + 1}/s", "to": f"{a + 9}/s", "steps": 3}}, rates),
)


@st.composite
def loads(draw: st.DrawFn) -> Loaded:
    """A scenario of one or two phases whose segments fill them, or nearly, or not at all."""
    lengths = draw(st.lists(st.one_of(st.none(), tenths), min_size=1, max_size=4))
    given_s = sum(s for s in lengths if s is not None)
    total_s = draw(st.one_of(tenths, st.sampled_from([given_s, given_s + 0.1, given_s - 0.1, given_s + 2e-6]).filter(lambda s: s > 0)))
    shape = [draw(kinds) | ({} if s is None else {"for": f"{s:.7f}s"}) for s in lengths]
    phases = {"steady_state": f"{total_s:.7f}s"}
    if draw(st.booleans()):
        phases = {"warmup": f"{total_s / 2:.7f}s", "steady_state": f"{total_s - float(f'{total_s / 2:.7f}'):.7f}s"}
    return load_text(json.dumps({"name": "a", "load": {"shape": shape}, "phases": phases}))


@given(loads())
def test_check_refuses_exactly_the_shapes_that_the_load_cannot_lay_out(loaded: Loaded) -> None:
    refused = [p.message for p in check_load(loaded, REFERENCE) if p.severity == "error"]
    scenario = loaded.scenario
    try:
        shape = lay_out(scenario.load.shape, scenario.duration_s, scenario.load.mix)
    except ShapeError:
        assert refused
        return
    assert not refused
    starts_s = list(accumulate(scenario.phases.values(), initial=0.0))
    for phase, start_s, end_s in zip(scenario.phases, starts_s, starts_s[1:], strict=False):
        assert arrivals.expected(scenario, phase) == pytest.approx(shape.expected(start_s, end_s), rel=1e-6, abs=1e-4)
