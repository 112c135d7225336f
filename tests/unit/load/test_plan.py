"""Plans travel as JSON, keep secrets out, and refuse what cannot be carried out."""

from typing import Any

import pytest

from harness.load.plan import HttpJourney, LoadPlan, PlanError
from tests.unit.load.plans import plan

JOURNEYS = {"home": {"get": "/", "service": "other"}, "order": {"post": "/orders?x=1", "json": {"n": 1}, "expect_status": [200, 201]}}


def test_a_plan_survives_json() -> None:
    one = plan(mix={"home": 1, "order": 2, "ask": 1}, journeys=JOURNEYS, shape=[{"ramp": {"from": "1/s", "to": "2/s"}}])
    assert LoadPlan.from_json(one.to_json()) == one
    assert one.journeys == (
        HttpJourney("home", "GET", "http://127.0.0.1:8/base/", None, {}, (200,)),
        HttpJourney("order", "POST", "http://127.0.0.1:9/orders?x=1", {"n": 1}, {}, (200, 201)),
    )


def test_journeys_are_numbered_in_one_order_and_only_those_in_use() -> None:
    assert plan(mix={"ingest": 1, "home": 1, "ask": 1}, journeys=JOURNEYS).journey_names == ("ask", "ingest", "home")
    segments = [{"constant": "1/s", "for": "5s", "mix": {"search": 1}}, {"constant": "1/s"}]
    assert plan(shape=segments, mix={"ask": 1}).journey_names == ("ask", "search")


def test_a_journey_of_the_scenario_may_take_the_name_of_a_built_in_one_and_asks_no_question() -> None:
    own = plan(mix={"ask": 1}, journeys={"ask": {"get": "/"}}, files=False)
    assert (own.journey_names, own.asking) == (("ask",), frozenset({"ask_stream", "follow_up", "search"}))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mix": {"asking": 1}}, "unknown journeys: asking; there are: ask, ask_stream, follow_up, search, ingest, login"),
        ({"files": False}, "ask, ask_stream, search need questions, and this stack has none"),
        ({"journeys": {"home": {"get": "/", "service": "shop"}}}, "service 'shop', which has no URL; there are: gateway, other"),
        ({"journeys": {"home": {"get": "/", "headers": {"X-A": "b\r\nX-C: d"}}}}, "is no HTTP header"),
        ({"journeys": {"home": {"get": "/", "headers": {"X A": "b"}}}}, "is no HTTP header"),
        ({"base_url": "http://example.org"}, "loopback addresses only"),
        ({"base_url": "http://10.0.0.7:80"}, "loopback addresses only"),
        ({"base_url": "ftp://127.0.0.1"}, "no http"),
    ],
)
def test_what_cannot_be_carried_out_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(**fields)
