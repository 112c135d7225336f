"""Faults in force: put, replaced, counted, expired, applied, taken back."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.faults.base import Registry
from mocks.faults.table import FaultError, FaultTable
from tests.unit.mocks_faults.calls import FAULTS, Clock, Facts, Lame, Plan, hit, table

REFUSED = {"type": "refused", "after_s": 2}


def test_a_fault_is_in_force_until_it_is_removed() -> None:
    faults = table()
    assert faults.put("x", {"type": "broken"}) == {"type": "broken", "id": "x", "expires_in_s": None, "matched": 0, "applied": 0}
    plan = Plan()
    assert faults.apply(plan, Facts()) == ["x"]
    assert plan.broken
    assert faults.views() == [{"type": "broken", "id": "x", "expires_in_s": None, "matched": 1, "applied": 1}]
    faults.remove("x")
    faults.remove("x")
    assert (faults.apply(Plan(), Facts()), faults.views()) == ([], [])


def test_putting_again_replaces_and_counts_anew() -> None:
    faults = table()
    faults.put("x", {"type": "broken", "first": 1})
    assert [hit(faults), hit(faults)] == [True, False]
    faults.put("x", {"type": "broken", "first": 1})
    assert [hit(faults), hit(faults)] == [True, False]
    assert faults.views() == [{"type": "broken", "first": 1, "id": "x", "expires_in_s": None, "matched": 2, "applied": 1}]


def test_a_fault_with_a_time_to_live_ends_by_itself() -> None:
    clock = Clock()
    faults = table(clock)
    faults.put("x", {"type": "broken", "ttl_s": 5})
    faults.put("y", REFUSED)
    clock.now_s += 4.9
    assert [view["expires_in_s"] for view in faults.views()] == [pytest.approx(0.1), None]
    clock.now_s += 0.1
    assert [view["id"] for view in faults.views()] == ["y"]
    faults.clear()
    assert faults.views() == []


def test_what_decides_ends_the_applying_and_later_faults_do_not_count() -> None:
    faults = table()
    faults.put("first", {**REFUSED, "every": 2})
    faults.put("second", {"type": "broken"})
    assert [faults.apply(Plan(), Facts()) for _ in range(2)] == [["second"], ["first"]]
    assert [(view["matched"], view["applied"]) for view in faults.views()] == [(2, 1), (1, 1)]


def test_a_pace_is_felt_where_the_service_answers() -> None:
    faults = table()
    faults.put("slow", {"type": "slow"})
    faults.put("broken", {"type": "broken"})
    faults.put("refused", {**REFUSED, "first": 1})
    assert [faults.apply(Plan(), Facts()) for _ in range(2)] == [["broken", "refused"], ["slow", "broken"]]
    assert [(view["matched"], view["applied"]) for view in faults.views()] == [(2, 1), (2, 2), (2, 1)]


def test_a_fault_that_changes_nothing_is_matched_and_not_applied() -> None:
    faults = table()
    faults.put("x", {"type": "lame"})
    assert faults.apply(Plan(), Facts()) == []
    assert [(view["matched"], view["applied"]) for view in faults.views()] == [(1, 0)]


def test_what_found_nothing_to_change_later_is_taken_back() -> None:
    made: list[Lame] = []
    registry = Registry()

    class Late(Lame):
        def __init__(self) -> None:
            made.append(self)

        def apply(self, *_: Any) -> bool:
            return True

    registry.register("late")(Late)
    faults = table()
    faults._registry = registry
    faults.put("x", {"type": "late"})
    faults.put("y", {"type": "late"})
    ids = faults.apply(Plan(), Facts())
    assert ids == ["x", "y"]
    noted = {"x": "late", "y": "late"}
    assert faults.settle(noted, []) == noted
    assert faults.settle(noted, [made[0]]) == {"y": "late"}
    assert [(view["id"], view["applied"]) for view in faults.views()] == [("x", 0), ("y", 1)]
    faults.remove("x")
    assert faults.settle({"x": "late"}, [made[0]]) == {"x": "late"}, "it is no more, and what it did stands"


def test_faults_are_drawn_by_seed_request_attempt_and_id() -> None:
    def drawn(seed: int = 0, fault_id: str = "x", **facts: Any) -> float | None:
        faults = table(seed=seed)
        faults.put(fault_id, {"type": "broken"})
        plan = Plan()
        faults.apply(plan, Facts(**facts))
        return plan.drawn

    others = [drawn(seed=1), drawn(fault_id="y"), drawn(key="other"), drawn(attempt=2)]
    assert drawn() == drawn(route="/b", prompt="of no matter")
    assert len({drawn(), *others}) == 5


@given(keys=st.lists(st.sampled_from("abcdefgh"), max_size=40), other=st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_who_is_hit_does_not_depend_on_the_interleaving(keys: list[str], other: Any) -> None:
    """Calls are (key, attempt); whatever their order, the same ones are hit, those counted by request included."""
    calls = [(key, keys[: i + 1].count(key)) for i, key in enumerate(keys)]
    shuffled_keys = [key for key, _ in calls]
    other.shuffle(shuffled_keys)
    shuffled = [(key, shuffled_keys[: i + 1].count(key)) for i, key in enumerate(shuffled_keys)]

    def who(order: list[tuple[str, int]]) -> dict[tuple[str, int], list[str]]:
        faults = table(seed=7)
        faults.put("drawn", {"type": "broken", "probability": 0.5})
        faults.put("counted", {"type": "broken", "first": 2, "count": "request"})
        return {(key, attempt): faults.apply(Plan(), Facts(key, attempt)) for key, attempt in order}

    assert who(calls) == who(shuffled)


@pytest.mark.parametrize(
    ("fault_id", "document", "reason"),
    [
        ("a b", {"type": "broken"}, "an id has 1 to 64 letters, digits, dots, dashes and underscores, unlike 'a b'"),
        ("x", {}, "type must be one of broken, lame, refused, shut, slow"),
        ("x", {"type": ["broken"]}, "type must be one of broken, lame, refused, shut, slow"),
        ("x", {"type": "nothing-like-it"}, "type must be one of broken, lame, refused, shut, slow"),
        ("x", {"type": "brokn"}, "type brokn is unknown; did you mean broken? Type must be one of broken, lame, refused, shut, slow"),
        ("x", {"type": "refused"}, "after_s must be given"),
        ("x", {**REFUSED, "after_s": "4"}, "after_s must be a number, not '4'"),
        ("x", {**REFUSED, "after_s": True}, "after_s must be a number, not True"),
        ("x", {**REFUSED, "after_s": 0}, "after_s must be more than 0, at most 60, not 0"),
        ("x", {**REFUSED, "after_s": 61}, "after_s must be more than 0, at most 60, not 61"),
        ("x", {**REFUSED, "after_s": float("nan")}, "after_s must be a number, not nan"),
        ("x", {**REFUSED, "after_s": None}, "after_s must be a number, not None"),
        ("x", {**REFUSED, "count_of": 1.5}, "count_of must be a whole number, not 1.5"),
        ("x", {**REFUSED, "count_of": 0}, "count_of must be at least 1, not 0"),
        ("x", {**REFUSED, "how": "hang"}, 'how must be "fin" or "reset", not \'hang\''),
        ("x", {**REFUSED, "sure": 1}, "sure must be true or false, not 1"),
        ("x", {**REFUSED, "name": 3}, "name must be text or null, not 3"),
        ("x", {**REFUSED, "name": "nobody"}, "name must be somebody's"),
        ("x", {**REFUSED, "afetr_s": 1}, "unknown parameter afetr_s; this type has after_s, count_of, how, sure, name"),
        ("x", {"type": "broken", "y": 1}, "unknown parameter y; this type has none"),
        ("x", {"type": "broken", "ttl_s": 0}, "ttl_s must be more than 0, not 0"),
        ("x", {"type": "broken", "ttl_s": "5"}, "ttl_s must be a number, not '5'"),
        (
            "x",
            {"type": "shut", "first": 1, "ramp": {"over_s": 1}},
            "shut holds between calls and cannot take first, ramp; it takes burst, window and ttl_s",
        ),
        ("x", {"type": "shut", "match": {}}, "shut holds between calls and cannot take match"),
    ],
)
def test_what_cannot_be_put_in_force_is_refused_with_the_reason(fault_id: str, document: dict[str, Any], reason: str) -> None:
    faults = table()
    with pytest.raises(FaultError) as refused:
        faults.put(fault_id, document)
    assert (str(refused.value), faults.views()) == (reason, [])


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("key", ["after_s", "first", "count", "match", "ttl_s"])
@pytest.mark.parametrize("value", [nested(5_000), "x" * 10**6, {"routes": nested(5_000)}, list(range(10**5))])
def test_what_is_refused_is_not_quoted_at_length(key: str, value: Any) -> None:
    with pytest.raises(FaultError) as refused:
        table().put("x", {**REFUSED, key: value})
    assert len(str(refused.value)) < 500


def test_a_refused_replacement_leaves_what_was_there() -> None:
    faults = table()
    before = faults.put("x", REFUSED)
    with pytest.raises(FaultError):
        faults.put("x", {**REFUSED, "after_s": -1})
    assert faults.views() == [before]


def test_parameters_arrive_as_their_types() -> None:
    faults = table()
    faults.put("x", {"type": "refused", "after_s": 2, "count_of": 3.0, "how": "reset", "sure": False, "name": None})
    fault = faults._entries["x"].fault
    assert vars(fault) == {"after_s": 2.0, "count_of": 3, "how": "reset", "sure": False, "name": None}
    assert [type(value) for value in vars(fault).values()][:2] == [float, int]


def test_types_of_several_mocks_are_known_to_each_and_concern_what_it_says() -> None:
    here = Registry(FAULTS.criteria)
    here.include(FAULTS, only=lambda plan: plan.drawn is not None)
    assert dict(here) == dict(FAULTS)
    assert (here.match_defaults, here.standing, here.of_pace) == (FAULTS.match_defaults, FAULTS.standing, FAULTS.of_pace)
    faults: FaultTable[Plan] = FaultTable(here, Clock(), 0)
    faults.put("x", {"type": "broken"})
    assert [faults.apply(plan, Facts()) for plan in (Plan(), Plan(drawn=0.5))] == [[], ["x"]]
    assert [(view["matched"], view["applied"]) for view in faults.views()] == [(1, 1)]
    with pytest.raises(ValueError, match="two fault types are called broken"):
        here.include(FAULTS)


def test_two_types_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="two fault types are called broken"):
        FAULTS.register("broken")(Lame)


def test_changes_are_told() -> None:
    clock = Clock()
    faults = table(clock)
    told: list[int] = []
    faults.on_change(lambda: told.append(len(faults.views())))
    faults.put("x", {"type": "broken", "ttl_s": 5})
    faults.put("y", {"type": "broken"})
    faults.remove("nobody")
    clock.now_s += 5
    faults.apply(Plan(), Facts())
    faults.clear()
    faults.clear()
    assert told == [1, 2, 1, 0]
