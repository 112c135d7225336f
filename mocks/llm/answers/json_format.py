"""Answers in JSON."""

from collections.abc import Mapping
from random import Random
from typing import Any

import orjson

from mocks.llm.answers.schemas import fill


def as_json(text: str, schema: Mapping[str, Any], rng: Random) -> str:
    """The text as a JSON object that obeys the schema; `{}` asks for any object. A text that is a JSON object already is left as it is.

    The schema must have been checked (`schemas.check_schema`).
    """
    if text.lstrip().startswith("{") and _is_object(text):
        return text
    value = fill(schema, text, rng) if schema else {"answer": text}
    return orjson.dumps(value).decode()


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
