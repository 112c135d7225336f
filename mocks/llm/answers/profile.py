"""The `answers` of a profile: which strategy, and its settings."""

import re
from collections.abc import Mapping
from typing import Any

from mocks.llm.answers.base import MOST_TOKENS, Answerer, Composer, Writer
from mocks.llm.answers.strategies import EXTRACT_TOKENS, Canned, Echo, Extractive, Rule, Templated

_KEYS = {
    "extractive": {"most_tokens"},
    "canned": {"rules", "default"},
    "templated": {"template"},
    "echo": {"tokens"},
}
_RULE_KEYS = frozenset({"match", "regex", "text", "tool_calls", "refusal"})


class AnswersError(ValueError):
    """The `answers` of a profile cannot be used; the text names the key."""


def answerer(document: Any) -> Answerer:
    """The Answerer that a profile's `answers` describe; an empty object means extractive. Raises AnswersError.

    - `{"strategy": "extractive", "most_tokens": 60}`
    - `{"strategy": "canned", "rules": […], "default": "text"}`; without `default`, extractive. A rule has either `match` (a text) or
      `regex`, to be found in the last user turn, and one of `text`, `refusal` and `tool_calls`: a list of
      `{"name": …, "arguments": {…}}`
    - `{"strategy": "templated", "template": "You asked {question}"}` (`strategies.FIELDS`)
    - `{"strategy": "echo", "tokens": 64}`; without `tokens`, what was said, once
    """
    if not isinstance(document, dict):
        raise AnswersError(f"answers must be an object, not {document!r}")
    strategy = document.get("strategy", "extractive")
    if not isinstance(strategy, str) or strategy not in _KEYS:
        raise AnswersError(f"answers.strategy must be one of {', '.join(_KEYS)}, not {strategy!r}")
    unknown = sorted(set(document) - _KEYS[strategy] - {"strategy"})
    if unknown:
        raise AnswersError(f"unknown key in answers: {', '.join(unknown)}; {strategy} has {', '.join(sorted(_KEYS[strategy]))}")
    return Composer(_writer(strategy, document))


def _writer(strategy: str, document: Mapping[str, Any]) -> Writer:
    match strategy:
        case "extractive":
            return Extractive(_count(document, "most_tokens", EXTRACT_TOKENS) or EXTRACT_TOKENS)
        case "canned":
            return _canned(document)
        case "templated":
            return _templated(document.get("template"))
        case _:
            return Echo(_count(document, "tokens", None))


def _canned(document: Mapping[str, Any]) -> Canned:
    rules = document.get("rules", [])
    if not isinstance(rules, list):
        raise AnswersError(f"answers.rules must be a list, not {rules!r}")
    default = document.get("default")
    if default is not None and not isinstance(default, str):
        raise AnswersError(f"answers.default must be a string, not {default!r}")
    return Canned([_rule(rule, f"answers.rules[{i}]") for i, rule in enumerate(rules)], default)


def _rule(rule: Any, where: str) -> Rule:
    if not isinstance(rule, dict) or set(rule) - _RULE_KEYS:
        raise AnswersError(f"{where} must be an object of {', '.join(sorted(_RULE_KEYS))}, not {rule!r}")
    if ("match" in rule) == ("regex" in rule):
        raise AnswersError(f"{where} must have either match or regex")
    if len(rule.keys() & {"text", "tool_calls", "refusal"}) != 1:
        raise AnswersError(f"{where} must have one of text, tool_calls and refusal")
    for key in ("match", "regex", "text", "refusal"):
        if key in rule and not isinstance(rule[key], str):
            raise AnswersError(f"{where}.{key} must be a string, not {rule[key]!r}")
    try:
        pattern = re.compile(re.escape(rule["match"]) if "match" in rule else rule["regex"])
    except re.error as error:
        raise AnswersError(f"{where}.regex cannot be used: {error}") from error
    return Rule(pattern, rule.get("text", ""), _calls(rule.get("tool_calls"), f"{where}.tool_calls"), rule.get("refusal"))


def _calls(calls: Any, where: str) -> list[tuple[str, Mapping[str, object]]]:
    if calls is None:
        return []
    if not isinstance(calls, list) or not calls or not all(_is_call(call) for call in calls):
        raise AnswersError(f'{where} must be a list of {{"name": …, "arguments": {{…}}}}, not {calls!r}')
    return [(call["name"], call.get("arguments", {})) for call in calls]


def _is_call(call: Any) -> bool:
    return (
        isinstance(call, dict)
        and not set(call) - {"name", "arguments"}
        and isinstance(call.get("name"), str)
        and isinstance(call.get("arguments", {}), dict)
    )


def _templated(template: Any) -> Templated:
    if not isinstance(template, str):
        raise AnswersError(f"answers.template must be a string, not {template!r}")
    try:
        return Templated(template)
    except ValueError as error:
        raise AnswersError(f"answers.template: {error}") from error


def _count(document: Mapping[str, Any], key: str, default: int | None) -> int | None:
    value = document.get(key, default)
    if value is not None and (type(value) is not int or not 1 <= value <= MOST_TOKENS):
        raise AnswersError(f"answers.{key} must be a whole number from 1 to {MOST_TOKENS}, not {value!r}")
    return value
