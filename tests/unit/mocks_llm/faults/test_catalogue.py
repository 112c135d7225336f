"""What is true of every fault type."""

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.faults.documents import example, fields_of
from mocks.faults.table import FaultError, FaultTable
from mocks.llm.answer import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from mocks.llm.faults import FAULTS
from mocks.llm.faults.catalogue import FAMILIES
from mocks.llm.faults.reference import text
from mocks.llm.plan import Plan
from tests.unit.mocks_llm.faults.answering import Asked, meet

TYPES = sorted(FAULTS)
CALLS = {
    "chat": Asked(CHAT),
    "chat stream": Asked(CHAT, stream=True),
    "responses": Asked(RESPONSES),
    "responses stream": Asked(RESPONSES, stream=True),
    "messages": Asked(MESSAGES),
    "messages stream": Asked(MESSAGES, stream=True),
    "embeddings": Asked(EMBEDDINGS),
    "models": Asked("/v1/models"),
}
ALL = set(CALLS)
STREAMS = {call for call in CALLS if "stream" in call}
GENERATED = {call for call in CALLS if call.startswith(("chat", "responses", "messages"))}
ANSWERS = GENERATED | {"embeddings"}
WHOLES = ALL - STREAMS

DOCUMENTS: dict[str, dict[str, Any]] = {
    "rate_limited": {"requests_per_s": 1, "tokens_per_s": 1, "token_burst": 100},
    "stream_usage_chunk": {"how": "missing"},
    "embedding_batch_limit": {"most": 2},
}
"""Of types that bite only under some parameters."""

CONCERNED: dict[str, set[str]] = {
    **dict.fromkeys(
        ("insufficient_quota", "spend_limit", "unauthorized", "forbidden", "model_not_found", "bad_request", "payload_too_large"), ALL
    ),
    **dict.fromkeys(("request_timeout", "conflict", "server_error", "overloaded", "gateway_error", "wrong_content_type"), ALL),
    **dict.fromkeys(("connection_refused", "connection_reset", "connection_closed", "connection_hang"), ALL),
    **dict.fromkeys(("slow_headers", "dead_keep_alive", "brownout"), ALL),
    **dict.fromkeys(("wrong_model", "usage_missing", "context_length_exceeded"), ANSWERS),
    **dict.fromkeys(("empty_body", "truncated_json", "invalid_json", "short_body", "error_in_ok", "missing_field"), WHOLES),
    "null_content": GENERATED - STREAMS,
    **dict.fromkeys(("rate_limited", "request_too_large", "content_filter_prompt"), GENERATED),
    **dict.fromkeys(("slow_first_token", "slow_tokens", "jittered_tokens", "finish_length", "finish_content_filter"), GENERATED),
    **{name: STREAMS for name in TYPES if name.startswith("stream_")},
    "stream_no_done": STREAMS - {"responses stream"},
    "stream_usage_chunk": {"chat stream"},
    **dict.fromkeys(("hallucinated_fact", "plausible_but_wrong", "outdated_fact", "contradiction", "ignored_instruction"), GENERATED),
    **dict.fromkeys(("broken_format", "missing_citation", "fabricated_citation", "language_switch", "verbose"), GENERATED),
    **dict.fromkeys(("system_prompt_leak", "injection_obeyed", "false_refusal", "version_drift"), GENERATED),
    **{name: {"embeddings"} for name in TYPES if name.startswith("embedding_")},
}


def document(name: str) -> dict[str, Any]:
    return {**example(name, FAULTS[name]), **DOCUMENTS.get(name, {})}


def put(value: dict[str, Any]) -> None:
    table: FaultTable[Plan] = FaultTable(FAULTS, lambda: 0.0, 0)
    table.put("x", value)


def test_the_catalogue_is_what_it_should_be() -> None:
    assert set(CONCERNED) == set(TYPES)
    assert (
        sorted(name for modules in FAMILIES.values() for name, kind in FAULTS.items() if kind.__module__ in {m.__name__ for m in modules})
        == TYPES
    )


@pytest.mark.parametrize("name", TYPES)
def test_it_can_be_put_as_its_documentation_says(name: str) -> None:
    put(document(name))


@pytest.mark.parametrize("name", TYPES)
def test_it_says_what_it_does_and_what_its_parameters_are(name: str) -> None:
    kind = FAULTS[name]
    summary: str = kind.summary  # type: ignore[attr-defined]  # every fault has one
    assert summary.endswith(".")
    assert "\n" not in summary
    assert kind.__doc__
    assert kind.__doc__ != kind.__mro__[1].__doc__, "it says nothing of its own"
    for field in fields_of(kind):
        assert field.param.says, f"{name}.{field.name} is not explained"
        if {float, int} & set(field.kinds):
            assert field.range_text, f"{name}.{field.name} has no range"
        assert field.param.example is not None if field.required else True


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        (name, field.name, value)
        for name in TYPES
        for field in fields_of(FAULTS[name])
        for value in (
            [field.param.least - 1 if field.param.least > float("-inf") else field.param.above, "much", True]
            if {float, int} & set(field.kinds)
            else ["neither"]
            if bool in field.kinds or any(get_origin(kind) is Literal for kind in field.kinds)
            else [7]
        )
    ],
)
def test_wrong_parameters_are_refused_by_name(name: str, parameter: str, value: object) -> None:
    with pytest.raises(FaultError, match=rf"^{parameter} must be "):
        put({**document(name), parameter: value})


@pytest.mark.parametrize("name", TYPES)
def test_unknown_parameters_are_refused(name: str) -> None:
    with pytest.raises(FaultError, match="unknown parameter nonsense; this type has "):
        put({**document(name), "nonsense": 1})


@pytest.mark.parametrize(
    ("name", "parameter", "choice"),
    [
        (name, field.name, choice)
        for name in TYPES
        for field in fields_of(FAULTS[name])
        for kind in field.kinds
        if get_origin(kind) is Literal
        for choice in get_args(kind)
    ],
)
def test_every_choice_can_be_made(name: str, parameter: str, choice: object) -> None:
    put({**document(name), parameter: choice})


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", TYPES)
def test_it_changes_the_calls_that_it_concerns_and_no_others(name: str, call: str) -> None:
    before, met = meet([], CALLS[call]), meet(document(name), CALLS[call])
    expected = call in CONCERNED[name]
    assert met.matched == int(expected)
    assert (met.noticed() != before.noticed()) is expected
    assert met.applied == len(met.faults) == int(expected)


@pytest.mark.parametrize("name", TYPES)
def test_the_same_call_under_the_same_seed_meets_the_same(name: str) -> None:
    call = sorted(CONCERNED[name])[-1]
    assert meet(document(name), CALLS[call]).noticed() == meet(document(name), CALLS[call]).noticed()


OF_STREAMS = [name for name in TYPES if name.startswith("stream_")]


@given(names=st.lists(st.sampled_from(TYPES) | st.sampled_from(OF_STREAMS), min_size=2, max_size=6), call=st.sampled_from(sorted(CALLS)))
@settings(deadline=None, max_examples=200)
def test_any_faults_go_together(names: list[str], call: str) -> None:
    """Nothing fails, no chunk is empty, and what was applied was matched."""
    met = meet([document(name) for name in names], CALLS[call])
    assert all(frame.data for frame in met.frames)
    assert met.applied == len(met.faults) <= met.matched <= len(names)


def test_the_page_of_the_documentation_is_fresh() -> None:
    page = Path(__file__).resolve().parents[4] / "docs" / "mock-faults.md"
    assert page.read_text(encoding="utf-8") == text(), "run pipelines/docs"


@pytest.mark.parametrize("name", TYPES)
def test_the_page_has_it(name: str) -> None:
    assert re.search(rf"^### {name}$", text(), re.MULTILINE)
