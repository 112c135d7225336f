"""The description of the public API: complete, and true of what is checked and of what is answered."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answer import ChatCall, Choice, EmbeddingAnswer, Turn, Usage
from mocks.llm.answers.base import completed
from mocks.llm.dialects import anthropic, openai_chat, openai_embeddings, openai_responses
from mocks.llm.dialects.anthropic import AnthropicMessages, token_count
from mocks.llm.dialects.azure import AzureChat
from mocks.llm.dialects.base import Dialect, DialectName
from mocks.llm.dialects.errors import error_body, unknown_model
from mocks.llm.dialects.kinds import Kind, MismatchError
from mocks.llm.dialects.models import model_card, model_list
from mocks.llm.dialects.openai_chat import OpenAIChat
from mocks.llm.dialects.openai_embeddings import embeddings
from mocks.llm.dialects.openai_responses import OpenAIResponses
from mocks.llm.errors import ProviderError
from mocks.llm.openapi import describe
from tests.unit.mocks_llm.dialects.answering import choices

DOCUMENT = describe(["a", "b"], 8, keys=False)


JUDGES = {
    name: jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]})
    for name in DOCUMENT["components"]["schemas"]
}


def judge(name: str, body: bytes) -> None:
    """Whether an answer is what the description says of it."""
    JUDGES[name].validate(json.loads(body))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    assert {one.rpartition("/")[2] for one in references(DOCUMENT)} == set(DOCUMENT["components"]["schemas"])
    for path, methods in DOCUMENT["paths"].items():
        for operation in methods.values():
            assert "200" in operation["responses"]
            assert {f"{{{one['name']}}}" for one in operation.get("parameters", ()) if one["in"] == "path"} == {
                part for part in path.split("/") if part.startswith("{")
            }
            if "requestBody" in operation:
                jsonschema.Draft202012Validator.check_schema(operation["requestBody"]["content"]["application/json"]["schema"])
                assert {"400", "401", "404", "429", "default"} <= operation["responses"].keys()


def test_models_and_dimensions_are_those_that_are_served() -> None:
    schema = DOCUMENT["paths"]["/v1/embeddings"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({"model": "a", "input": "x", "dimensions": 8})
    assert not validator.is_valid({"model": "c", "input": "x"})
    assert not validator.is_valid({"model": "a", "input": "x", "dimensions": 9})


def test_keys_are_asked_for_where_they_are_wanted() -> None:
    document = describe(["a"], 8, keys=True)
    wanted = {path: operation.get("security") for path, methods in document["paths"].items() for operation in methods.values()}
    assert wanted["/v1/messages"] == [{"xApiKey": []}]
    assert wanted["/v1/chat/completions"] == [{"bearer": []}]
    assert wanted["/openai/v1/responses"] == [{"apiKey": []}, {"bearer": []}]
    assert wanted["/health"] is None
    schemes = {name for security in wanted.values() for one in security or [] for name in one}
    assert schemes == set(document["components"]["securitySchemes"])


ANSWERS: list[tuple[Dialect, str]] = [
    (OpenAIChat(), "ChatCompletion"),
    (AzureChat(), "AzureChatCompletion"),
    (OpenAIResponses(), "Response"),
    (AnthropicMessages(), "Message"),
]


@pytest.mark.parametrize(("dialect", "name"), ANSWERS, ids=[name for _, name in ANSWERS])
@given(some=choices(most=1), logprobs=st.none() | st.integers(0, 2))
def test_answers_are_as_described(dialect: Dialect, name: str, some: tuple[Choice, ...], logprobs: int | None) -> None:
    repeated = OpenAIResponses().parse({"model": "a", "input": "x"}).repeated
    call = ChatCall("a", (Turn("user", "x"),), logprobs=logprobs, repeated=repeated)
    judge(name, dialect.whole(completed("id_1", "a", 1, some, 7), call))


def test_other_answers_are_as_described() -> None:
    for as_base64 in (False, True):
        vector = np.ones(4, dtype=np.float32)
        judge("Embeddings", embeddings(EmbeddingAnswer("a", [vector], [0], Usage(1), as_base64)))
    judge("TokenCount", token_count(3))
    errors_of: dict[DialectName, str] = {"openai": "OpenAIError", "azure": "AzureError", "anthropic": "AnthropicError"}
    for dialect, name in errors_of.items():
        judge("Models", model_list(dialect, ["a", "b"], 1))
        judge("Model", model_card(dialect, "a", 1))
        errors = [ProviderError(status, "m") for status in (400, 401, 403, 404, 429, 500, 529)]
        for error in [*errors, unknown_model(dialect, "x")]:
            judge(name, error_body(dialect, error, "req_1"))


TABLES: list[Mapping[str, Kind]] = [openai_chat.PARAMETERS, openai_responses.PARAMETERS, openai_embeddings.PARAMETERS, anthropic.PARAMETERS]
VALIDATED = [(kind, jsonschema.Draft202012Validator(kind.schema())) for table in TABLES for kind in table.values()]
WORDS = ["type", "role", "content", "text", "user", "assistant", "function", "name", "tools", "mode", "auto", "id", "image_url", "url"]
fractions = st.floats(-3, 3).filter(lambda number: not number.is_integer())  # JSON Schema calls 1.0 an integer
values = st.recursive(
    st.none() | st.booleans() | st.integers() | fractions | st.sampled_from(["", "x", *WORDS]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(VALIDATED), values)
def test_what_is_checked_is_what_is_described(validated: tuple[Kind, jsonschema.Draft202012Validator], value: Any) -> None:
    kind, validator = validated
    try:
        kind.check(value, ("x",))
    except MismatchError:
        passed = False
    else:
        passed = True
    assert validator.is_valid(value) == passed
