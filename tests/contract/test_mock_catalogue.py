"""The harness's tables of faults against the catalogues of the mocks that play them: nothing is missing, and every document is accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Literal, cast, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.faults import embedding, llm, vector
from harness.faults.base import Context, Target
from harness.faults.programmed.fault import ProgrammedFault
from harness.faults.programmed.match import LlmMatch, VectorMatch
from harness.faults.programmed.settings import Setting
from harness.faults.programmed.shapes import SHAPES
from mocks.faults.base import Registry
from mocks.faults.documents import fields_of
from mocks.faults.shapes import BY_CALL
from mocks.faults.shapes import SHAPES as MOCK_SHAPES
from mocks.faults.table import FaultTable
from mocks.llm.faults.catalogue import FAULTS as LLM_FAULTS
from mocks.vector.faults.catalogue import FAULTS as VECTOR_FAULTS

PROVIDER = (*llm.FAULTS, *embedding.FAULTS)
ALL = [(kind, LLM_FAULTS) for kind in PROVIDER] + [(kind, VECTOR_FAULTS) for kind in vector.FAULTS]
IDS = [kind.spec.name for kind, _ in ALL]

TIMES: Mapping[str, dict[str, Any]] = {
    "probability": {"probability": 0.25},
    "first": {"first": 3},
    "after": {"after": 5},
    "every": {"every": 4},
    "burst": {"burst": {"interval": "30s", "duration": "5s"}},
    "window": {"window": {"start": "10s", "duration": "20s"}},
    "ramp": {"ramp": {"over": "1m", "from": 0.1, "to": 1}},
    "quota": {"quota": {"rate": "5/s", "burst": 10}},
    "count": {"count": "request", "first": 2},
}


def document(kind: type[ProgrammedFault], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the mock would be told."""
    context = Context(cast(Any, SimpleNamespace()), cast(Any, None), cast(Any, None))
    return kind(Target("any"), kind.spec.parameters.model_validate(parameters), context).document()


def accepts(registry: Registry, put: Mapping[str, Any]) -> None:
    """Raises FaultError where the mock would not have it."""
    FaultTable(registry, lambda: 0.0, 0).put("x", {**put, "ttl_s": 60.0})


def example_of(kind: type[ProgrammedFault]) -> dict[str, Any]:
    return dict(yaml.safe_load(kind.spec.example).get("with", {}))


@pytest.mark.parametrize(("kinds", "registry"), [(PROVIDER, LLM_FAULTS), (vector.FAULTS, VECTOR_FAULTS)], ids=["llm", "vector"])
def test_every_type_of_the_mock_is_a_fault_of_the_catalogue_once(kinds: tuple[type[ProgrammedFault], ...], registry: Registry) -> None:
    assert sorted(kind.row.type for kind in kinds) == sorted(registry)


@pytest.mark.parametrize(("kind", "registry"), ALL, ids=IDS)
def test_its_parameters_are_those_of_the_mock(kind: type[ProgrammedFault], registry: Registry) -> None:
    theirs = {field.name: field for field in fields_of(registry[kind.row.type])}
    assert {setting.key for setting in kind.row.settings} == set(theirs)
    assert kind.row.standing is (kind.row.type in registry.standing)
    for setting in kind.row.settings:
        field = theirs[setting.key]
        assert (setting.default is ...) is field.required, setting.name
        options = [one for part in field.kinds if get_origin(part) is Literal for one in get_args(part)]
        assert set(options) == set(get_args(setting.annotation) if get_origin(setting.annotation) is Literal else ()), setting.name


@pytest.mark.parametrize(("kind", "registry"), ALL, ids=IDS)
def test_the_mock_accepts_what_its_example_says(kind: type[ProgrammedFault], registry: Registry) -> None:
    accepts(registry, document(kind, example_of(kind)))


@pytest.mark.parametrize(("kind", "registry"), ALL, ids=IDS)
def test_the_mock_accepts_every_time_shape(kind: type[ProgrammedFault], registry: Registry) -> None:
    own = {setting.name for setting in kind.row.settings}
    wanted = set(TIMES) - (set(BY_CALL) if kind.row.standing else own)
    assert wanted == {shape for shape in TIMES if shape in kind.spec.parameters.model_fields} - own
    for shape in wanted:
        put = document(kind, {**example_of(kind), **TIMES[shape]})
        assert shape in put
        accepts(registry, put)


def test_there_are_no_other_time_shapes() -> None:
    assert tuple(MOCK_SHAPES) == SHAPES and set(TIMES) == set(SHAPES)


def _values(setting: Setting) -> st.SearchStrategy[Any]:
    """Values within the bounds that the parameter says."""
    bounds, unit = setting.bounds, setting.unit
    least = bounds.get("ge", bounds.get("gt", 0.0) + 0.001 if "gt" in bounds else 0)
    most = bounds.get("le", bounds.get("lt", 1_000) - 0.001 if "lt" in bounds else 1_000)
    if get_origin(setting.annotation) is Literal:
        found: st.SearchStrategy[Any] = st.sampled_from(get_args(setting.annotation))
    elif unit == "duration":
        found = st.floats(least, most).map(lambda s: f"{s:.3f}s").filter(lambda text: float(text[:-1]) >= least)
    elif unit == "rate":
        found = st.floats(0.1, 500).map(lambda r: f"{r:.2f}/s")
    elif setting.annotation is int:
        found = st.integers(int(least), int(most))
    elif setting.annotation is float:
        found = st.floats(least, most)
    elif setting.annotation is bool:
        found = st.booleans()
    else:
        found = st.just("INJ-TEST1") if "pattern" in bounds else st.text("abc-", min_size=1, max_size=9)
    return found if setting.default is not None else st.none() | found


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_whatever_the_harness_takes_the_mock_takes(data: st.DataObject) -> None:
    kind, registry = data.draw(st.sampled_from(ALL))
    parameters = {setting.name: data.draw(_values(setting), label=setting.name) for setting in kind.row.settings}
    try:
        put = document(kind, parameters)
    except ValueError:
        return  # what the harness refuses never gets there
    accepts(registry, put)


def _literals(model: type[Any], name: str) -> Iterator[str]:
    waiting = [get_type_hints(model, include_extras=True)[name]]
    while waiting:
        one = waiting.pop()
        if get_origin(one) is Literal:
            yield from get_args(one)
        else:
            waiting += [part for part in get_args(one) if get_args(part)]


@pytest.mark.parametrize(("model", "registry"), [(LlmMatch, LLM_FAULTS), (VectorMatch, VECTOR_FAULTS)], ids=["llm", "vector"])
def test_match_has_the_keys_and_the_words_of_the_mock(model: type[Any], registry: Registry) -> None:
    assert set(model.model_fields) == set(registry.criteria)
    for name, criterion in registry.criteria.items():
        assert set(_literals(model, name)) == set(criterion.known or ()), name


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("llm.rate_limited", {"rate": "2/s", "token_burst": 9}, "write both, or neither"),
        ("llm.stream_chunking", {"tokens": 2, "bytes": 2}, "write one of them"),
        ("embedding.count_mismatch", {"by": 0}, "write -1"),
        ("embedding.not_normalised", {"scale": 1}, "greater than or equal to 1.1"),
        ("llm.server_error", {"burst": {"interval": "2s", "duration": "2s"}}, "without a pause write no burst"),
        ("llm.server_error", {"first": 3, "after": 3}, "write first: 4 or more"),
        ("llm.server_error", {"first": 3, "every": 4}, "write first: 4 or more"),
        ("llm.server_error", {"count": "request"}, "write one of them, or leave count out"),
        ("llm.server_error", {"ramp": {"over": "9s", "from": 0.5, "to": 0.5}}, "write `probability: 0.5`"),
        ("llm.server_error", {"probability": 0}, "greater than 0"),
        ("llm.server_error", {"window": {"start": "3", "duration": "2s"}}, "is no duration"),
        ("llm.server_error", {"match": {"routes": ["/v1/chat"]}}, "/v1/chat/completions"),
        ("llm.connection_refused", {"probability": 0.5}, "Extra inputs"),
        ("vector.service_error", {"match": {"operations": "search"}}, "'query'"),
        ("vector.poisoned_document", {"token": "secret"}, "INJ-"),
    ],
)
def test_what_could_not_be_meant_is_refused_with_what_to_write(name: str, parameters: dict[str, Any], says: str) -> None:
    kind = next(kind for kind, _ in ALL if kind.spec.name == name)
    with pytest.raises(ValueError, match=says):
        kind.spec.parameters.model_validate(parameters)
