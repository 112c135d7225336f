"""Embeddings: inputs of every sort, their limits, and the answer as numbers and as base64."""

import base64
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from mocks.llm.answer import EmbeddingAnswer, EmbeddingCall, Usage
from mocks.llm.dialects.openai_embeddings import embeddings, input_text, input_tokens, parse_embeddings
from mocks.llm.errors import ProviderError
from mocks.llm.hashing import embed


def ask(value: Any, **change: Any) -> EmbeddingCall:
    return parse_embeddings({"model": "e", "input": value, **change}, 384)


@pytest.mark.parametrize(
    ("value", "inputs", "counted"),
    [
        ("two words", ("two words",), 2),
        (["a", "b c"], ("a", "b c"), 3),
        ([5, 6, 7], ((5, 6, 7),), 3),
        ([[5], [6, 7]], ((5,), (6, 7)), 3),
        (["a", [6, 7]], ("a", (6, 7)), 3),
    ],
)
def test_inputs(value: Any, inputs: tuple[Any, ...], counted: int) -> None:
    call = ask(value, dimensions=16, encoding_format="base64", user="u", unknown=1)
    assert call == EmbeddingCall("e", inputs, 16, True, "u")
    assert input_tokens(call) == counted


def test_inputs_that_share_token_ids_lie_close_together() -> None:
    one, near, far = (embed(input_text(ids), 384) for ids in ((1, 2, 3, 4), (1, 2, 3, 5), (6, 7, 8, 9)))
    assert one @ near > one @ far + 0.3


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"input": None}, "input", "missing_required_parameter"),
        ({"input": ""}, "input", "empty_string"),
        ({"input": []}, "input", "empty_array"),
        ({"input": ["a", ""]}, "input[1]", "empty_string"),
        ({"input": ["a", 3]}, "input[1]", "invalid_type"),
        ({"input": [3, "a"]}, "input[1]", "invalid_type"),
        ({"input": [[]]}, "input[0]", "empty_array"),
        ({"input": [[-1]]}, "input[0][0]", "integer_below_min_value"),
        ({"input": [True]}, "input[0]", "invalid_type"),
        ({"input": {}}, "input", "invalid_type"),
        ({"input": ["a"] * 2_049}, "input", "array_above_max_length"),
        ({"input": "a " * 8_193}, "input", None),
        ({"input": [1] * 8_193}, "input", "array_above_max_length"),
        ({"input": [[1] * 8_000] * 38}, "input", None),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"dimensions": 0}, "dimensions", "integer_below_min_value"),
        ({"dimensions": 385}, "dimensions", None),
        ({"encoding_format": "int8"}, "encoding_format", "invalid_value"),
    ],
)
def test_what_is_refused(change: dict[str, Any], param: str, code: str | None) -> None:
    with pytest.raises(ProviderError) as caught:
        ask("x", **change)
    assert (caught.value.status, caught.value.type, caught.value.param, caught.value.code) == (400, "invalid_request_error", param, code)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3), lambda inner: st.lists(inner, max_size=3))
)
def test_whatever_the_input_is_it_is_parsed_or_refused(value: Any) -> None:
    try:
        ask(value)
    except ProviderError as error:
        assert error.param
        assert error.param.startswith("input")


def test_an_answer_as_numbers_and_as_base64() -> None:
    vectors = [embed("one", 384), embed("two", 384)]
    numbers = json.loads(embeddings(EmbeddingAnswer("e-1", vectors, [0, 1], Usage(2), as_base64=False)))
    CreateEmbeddingResponse.model_validate(numbers, strict=True)
    for item, vector in zip(numbers["data"], vectors, strict=True):
        np.testing.assert_array_equal(np.array(item["embedding"], dtype=np.float32), vector)
    coded = json.loads(embeddings(EmbeddingAnswer("e-1", vectors, [1, 0], Usage(2), as_base64=True)))
    assert [np.frombuffer(base64.b64decode(item["embedding"]), dtype="<f4").tolist() for item in coded["data"]] == [
        v.tolist() for v in vectors
    ]
    assert [item["index"] for item in coded["data"]] == [1, 0]
    for body in (numbers, coded):
        assert {name: value for name, value in body.items() if name != "data"} == {
            "object": "list",
            "model": "e-1",
            "usage": {"prompt_tokens": 2, "total_tokens": 2},
        }


def test_what_is_no_number_is_said_as_python_says_it() -> None:
    broken = np.array([1.0, math.nan, math.inf, -math.inf], dtype=np.float32)
    body = embeddings(EmbeddingAnswer("e", [broken], [0], Usage(1), as_base64=False))
    assert b'"embedding":[1.0,NaN,Infinity,-Infinity]' in body
