"""Values that obey a JSON Schema, judged by a validator that is not ours."""

import json
from random import Random
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answer import ChatCall, Turn
from mocks.llm.answers.profile import answerer
from mocks.llm.answers.schema_keywords import SchemaError
from mocks.llm.answers.schemas import check_schema, fill

SAID = "The colour of a.b is red. [a.b]"


def strings() -> st.SearchStrategy[dict[str, Any]]:
    limits = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: {"minLength": min(pair), "maxLength": max(pair)})
    sorts: list[dict[str, Any]] = [{}, {"minLength": 30}, {"maxLength": 3}, {"enum": ["red", "blue"]}, {"format": "date"}, {"const": "x"}]
    plain = st.sampled_from(sorts)
    return st.one_of(limits, plain).map(lambda limit: {"type": "string", **limit})


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.dictionaries(st.sampled_from(["minimum", "exclusiveMinimum"]), st.integers(-50, 50), max_size=2)
    tops = st.dictionaries(st.sampled_from(["maximum", "exclusiveMaximum"]), st.integers(60, 200), max_size=2)
    step = st.sampled_from([{}, {"multipleOf": 5}, {"multipleOf": 0.5}])
    kinds = st.sampled_from(["integer", "number"])
    return st.builds(lambda kind, low, high, by: {"type": kind, **low, **high, **by}, kinds, bounds, tops, step)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    def make(properties: dict[str, Any], picks: list[bool], closed: bool) -> dict[str, Any]:
        required = [name for name, pick in zip(properties, picks, strict=False) if pick]
        further: dict[str, Any] = {"additionalProperties": False} if closed else {}
        return {"type": "object", "properties": properties, "required": required, **further}

    return st.builds(
        make, st.dictionaries(st.sampled_from("abcd"), inner, max_size=3), st.lists(st.booleans(), min_size=3, max_size=3), st.booleans()
    )


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    sizes = st.sampled_from([{}, {"minItems": 2}, {"maxItems": 0}, {"minItems": 1, "maxItems": 3}])
    return st.builds(lambda item, size: {"type": "array", "items": item, **size}, inner, sizes)


schemas = st.recursive(
    strings()
    | numbers()
    | st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}, {"enum": [1, "a", None]}, {}]),
    lambda inner: objects(inner) | arrays(inner) | st.lists(inner, min_size=1, max_size=2).map(lambda branches: {"anyOf": branches}),
    max_leaves=8,
)


@given(objects(schemas), st.text(max_size=30), st.integers(0, 5))
def test_what_is_made_obeys_its_schema(schema: dict[str, Any], text: str, seed: int) -> None:
    check_schema(schema, strict=False)
    made = fill(schema, text, Random(seed))
    jsonschema.Draft202012Validator(schema).validate(made)
    assert made == fill(schema, text, Random(seed))


def test_references_and_recursion() -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"$ref": "#/$defs/name"},
            "tree": {"$ref": "#/$defs/tree"},
            "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
        },
        "required": ["name", "tree", "next"],
        "$defs": {
            "name": {"type": "string", "maxLength": 3},
            "tree": {
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                "required": ["children"],
            },
        },
    }
    check_schema(schema, strict=False)
    made = fill(schema, SAID, Random(1))
    jsonschema.Draft202012Validator(schema).validate(made)
    assert made["name"] == "The"
    assert made["tree"] == {"children": []}


def test_branches_are_merged_and_texts_choose_from_enumerations() -> None:
    letters = {"type": "array", "items": {"enum": ["x", "y", "z"]}, "minItems": 3, "uniqueItems": True}
    counts = {"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 6}, "minItems": 4, "uniqueItems": True}
    schema = {
        "type": "object",
        "allOf": [
            {"properties": {"colour": {"enum": ["blue", "red"]}}, "required": ["colour"]},
            {
                "properties": {"items": letters, "counts": counts},
                "required": ["items", "counts"],
            },
        ],
    }
    check_schema(schema, strict=False)
    made = fill(schema, SAID, Random(1))
    jsonschema.Draft202012Validator(schema).validate(made)
    assert made["colour"] == "red"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'"),
        ({}, "got 'type: \"None\"'"),
        ({"type": "object", "properties": []}, "'properties' must be an object"),
        ({"type": "object", "required": "a"}, "'required' must be an array"),
        ({"type": "object", "required": [1]}, "'required' must be an array of strings"),
        ({"type": "object", "properties": {"a": {"type": "thing"}}, "required": ["a"]}, "In property 'a': 'thing' is not valid"),
        ({"type": "object", "properties": {"a": {"$ref": "#/nowhere"}}, "required": ["a"]}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "https://x/y"}}, "required": ["a"]}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "leads nowhere"),
        ({"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]}, "'enum' must be a non-empty array"),
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": 2, "maximum": 1}}, "required": ["a"]}, "within the limits"),
        ({"type": "object", "properties": {"a": {"type": "integer", "minimum": "2"}}, "required": ["a"]}, "'minimum' must be a number"),
        ({"type": "object", "properties": {"a": {"type": "array", "minItems": 10**9}}, "required": ["a"]}, "too many"),
        ({"type": "object", "properties": {"a": {"type": "string", "minLength": 10**9}}, "required": ["a"]}, "no string of this model"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "a schema must be an object, not False"),
    ],
)
def test_what_cannot_be_obeyed_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(SchemaError, match=reason.replace("(", r"\(").replace(")", r"\)")):
        check_schema(schema, strict=False)


def test_deep_and_explosive_schemas_are_refused_in_time() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(300):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
    names = [f"n{i}" for i in range(10)]
    laughs: dict[str, Any] = {"d0": {"type": "string"}}
    for level in range(1, 12):
        laughs[f"d{level}"] = {
            "type": "object",
            "properties": {name: {"$ref": f"#/$defs/d{level - 1}"} for name in names},
            "required": names,
        }
    for schema in (deep, {"$ref": "#/$defs/d11", "$defs": laughs}):
        for strict in (False, True):
            with pytest.raises(SchemaError):
                check_schema(schema, strict=strict)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "object", "properties": {}}, "In context=(), 'additionalProperties' is required to be supplied and to be false."),
        (
            {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
            "In context=(), 'required' is required to be supplied and to be an array including every key in properties. Missing 'a'.",
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object", "properties": {}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            "In context=('properties', 'a'), 'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            {"type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}, "required": ["a"], "additionalProperties": False},
            "In context=('properties', 'a'), 'pattern' is not permitted.",
        ),
    ],
)
def test_strict_schemas_have_rules_of_their_own(schema: dict[str, Any], reason: str) -> None:
    check_schema(schema, strict=False)
    with pytest.raises(SchemaError) as caught:
        check_schema(schema, strict=True)
    assert str(caught.value) == reason


KEYWORDS = ["type", "properties", "items", "required", "anyOf", "allOf", "enum", "minimum", "multipleOf", "minItems", "$ref"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["type", "properties", "items", "required", "anyOf", "allOf", "enum", "minimum", "multipleOf", "minItems", "$ref"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_whatever_is_called_a_schema_is_filled_or_refused(inner: Any) -> None:
    schema = {"type": "object", "properties": {"a": inner}, "required": ["a"]}
    try:
        check_schema(schema, strict=False)
    except SchemaError:
        return
    json.dumps(fill(schema, SAID, Random(1)))


def answer(schema: dict[str, Any], text: str) -> str:
    document = {"strategy": "canned", "default": text}
    (choice,) = answerer(document).compose(ChatCall("m", (Turn("user", "x"),), json_schema=schema), Random(1))
    return choice.text


def test_answers_in_json() -> None:
    assert answer({}, SAID) == '{"answer":"' + SAID + '"}'
    assert (
        answer({"type": "object", "properties": {"reply": {"type": "string"}}, "required": ["reply"]}, SAID) == '{"reply":"' + SAID + '"}'
    )
    assert answer({}, '{"already": 1}') == '{"already": 1}'
    assert answer({}, "{no") == '{"answer":"{no"}'
