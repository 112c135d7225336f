"""What is wrong with a parameter, as each provider says it: theirs are the shape (type, param, code) and the manner of the sentence."""

from collections.abc import Mapping
from typing import Any

from mocks.llm.dialects.kinds import MismatchError, Path
from mocks.llm.errors import ProviderError

_NAMES: Mapping[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a decimal",
    str: "a string",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
_EXPECTED = {
    "boolean": "a boolean",
    "integer": "an integer",
    "decimal": "a decimal",
    "string": "a string",
    "array": "an array",
    "object": "an object",
}
_SORTS: Mapping[type, str] = {str: "string", list: "array", dict: "object"}
_MOST_SHOWN = 60  # characters of a client's value in a message


def openai_error(wrong: MismatchError) -> ProviderError:
    """As OpenAI words it: 400 `invalid_request_error` with `param` such as `messages[0].content` and a code for the kind of mistake."""
    where = openai_path(wrong.path)
    message, code = _openai_words(wrong, where)
    return ProviderError(400, message, param=where, code=code)


def openai_path(path: Path) -> str:
    """`messages[0].content`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def anthropic_error(wrong: MismatchError) -> ProviderError:
    """As Anthropic words it: 400 `invalid_request_error`, the path before the sentence: `messages.0.content: Field required`."""
    where = ".".join(str(part) for part in wrong.path)
    return ProviderError(400, f"{where}: {_anthropic_words(wrong)}")


def refused(param: str, message: str, code: str | None = None) -> ProviderError:
    """An OpenAI 400 in a sentence of its own."""
    return ProviderError(400, message, param=param, code=code)


def listed(values: tuple[str, ...], last: str) -> str:
    """`'a', 'b', and 'c'`."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 2:
        return "".join(quoted)
    comma = "," if len(quoted) > 2 else ""
    return f"{', '.join(quoted[:-1])}{comma} {last} {quoted[-1]}"


def _openai_words(wrong: MismatchError, where: str) -> tuple[str, str]:
    expected, got = wrong.expected, wrong.got
    match wrong.problem:
        case "missing":
            return f"Missing required parameter: '{where}'.", "missing_required_parameter"
        case "type":
            named = _EXPECTED.get(expected, expected)
            return f"Invalid type for '{where}': expected {named}, but got {_NAMES[type(got)]} instead.", "invalid_type"
        case "value":
            return f"Invalid value: '{_shown(got)}'. Supported values are: {listed(expected, 'and')}.", "invalid_value"
        case "below":
            sort = _sort(expected, got)
            return (
                f"Invalid '{where}': {sort} below minimum value. Expected a value >= {expected}, but got {got} instead.",
                f"{sort}_below_min_value",
            )
        case "above":
            sort = _sort(expected, got)
            return (
                f"Invalid '{where}': {sort} above maximum value. Expected a value <= {expected}, but got {got} instead.",
                f"{sort}_above_max_value",
            )
        case "empty":
            sort = "string" if isinstance(got, str) else "array"
            least = f"Expected {_NAMES[type(got)]} with minimum length {expected}, but got an empty {sort} instead."
            return f"Invalid '{where}': empty {sort}. {least}", f"empty_{sort}"
        case "long":
            sort = _SORTS[type(got)]
            size, code = (
                ("too many properties", "object_above_max_properties")
                if sort == "object"
                else (f"{sort} too long", f"{sort}_above_max_length")
            )
            most = "at most {} properties" if sort == "object" else f"{_NAMES[type(got)]} with maximum length {{}}"
            return (
                f"Invalid '{where}': {size}. Expected {most.format(expected)}, but got {_NAMES[type(got)]} with length {len(got)} instead.",
                code,
            )


def _anthropic_words(wrong: MismatchError) -> str:
    expected, got = wrong.expected, wrong.got
    sort, items = ("String", "characters") if isinstance(got, str) else ("List", "items")
    match wrong.problem:
        case "missing":
            return "Field required"
        case "type":
            return f"Input should be a valid {_ANTHROPIC_TYPES.get(expected, expected)}"
        case "value":
            return f"Input should be {listed(expected, 'or')}"
        case "below":
            return f"Input should be greater than or equal to {expected}"
        case "above":
            return f"Input should be less than or equal to {expected}"
        case "empty":
            return f"{sort} should have at least {expected} {items if expected > 1 else items[:-1]}"
        case "long":
            return f"{sort} should have at most {expected} {items}"


_ANTHROPIC_TYPES = {"decimal": "number", "array": "list", "object": "dictionary"}


def _sort(limit: Any, got: Any) -> str:
    return "integer" if isinstance(limit, int) and isinstance(got, int) else "decimal"


def _shown(value: str) -> str:
    return value if len(value) <= _MOST_SHOWN else value[: _MOST_SHOWN - 3] + "..."
