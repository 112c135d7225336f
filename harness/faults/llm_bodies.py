"""Answers in one piece whose status says that all is well, and whose body does not."""

from __future__ import annotations

from typing import Any

from harness.faults.base import Evidence
from harness.faults.llm_answers import message_of, model_of, streamed, text_of
from harness.faults.llm_probe import EMBED, MODELS, REUSE, STREAM, WHOLE
from harness.faults.programmed.common import bodies, connections
from harness.faults.programmed.row import Row, View
from harness.faults.programmed.sees import in_body
from harness.faults.programmed.settings import choice, text
from harness.faults.programmed.wire import Exchange

WHOLES = (WHOLE, EMBED, MODELS)
_FIELD = {"choices": ("choices", "data"), "usage": ("usage",)}
USAGE = {"stream_options": {"include_usage": True}}


def _page(one: Exchange) -> str:
    kind = one.headers.get("content-type", "")
    return kind if "json" not in kind and "event-stream" not in kind else ""


def _error_object(one: Exchange) -> Any:
    value = one.value()
    return "an error object" if isinstance(value, dict) and "error" in value else None


def _missing(view: View) -> Evidence | None:
    value = view.last.value() if view.last.good else None
    wanted = _FIELD[view.document["field"]]
    if not isinstance(value, dict) or any(name in value for name in wanted):
        return None
    return {"status": view.last.status, "fields": ", ".join(sorted(value))}


def _nothing_said(view: View) -> Evidence | None:
    """Null, an empty text, or a refusal where the text would stand."""
    one, how = view.last, view.document["how"]
    if not one.good or text_of(one):
        return None
    if STREAM in view.look:
        refused = b'"refusal":"' in one.body
        return {"content": how, "finish": streamed(one).finish} if refused is (how == "refusal") else None
    message = message_of(one.value())
    found = "refusal" if message.get("refusal") else "null" if message.get("content") is None else "empty"
    return {"content": found} if message and found == how else None


def _other_model(view: View) -> Evidence | None:
    model = model_of(view.last) if view.last.good else None
    return {"model": model} if model == view.document["model"] else None


def _usage(view: View) -> Evidence | None:
    value = view.last.value() if view.last.good else None
    if not isinstance(value, dict) or not ("choices" in value or "data" in value):
        return None
    usage = value.get("usage")
    found = "absent" if usage is None else "zero" if not usage.get("total_tokens") else "told"
    return {"usage": found} if found == view.document["how"] else None


ROWS = (
    *connections((WHOLE, STREAM, EMBED, MODELS), REUSE, WHOLE),
    *bodies(WHOLES),
    Row(
        "wrong_content_type",
        "errors",
        "200 `text/html` with a login page, whatever was asked.",
        "the harness's own answer is a page",
        in_body(_page),
        (WHOLE, STREAM, EMBED, MODELS),
    ),
    Row(
        "error_in_ok",
        "errors",
        "200 with an error object instead of an answer.",
        "the harness's own answer is a success with an error object",
        in_body(_error_object),
        WHOLES,
    ),
    Row(
        "missing_field",
        "errors",
        "200 without the field that holds the answer, or without usage.",
        "the harness's own answer lacks it",
        _missing,
        (WHOLE, EMBED),
        (choice("field", "which is missing; of vectors and lists, `data` for `choices`", ("choices", "usage")),),
    ),
    Row(
        "null_content",
        "quality",
        "An answer that says nothing: content null, an empty text, or a refusal in its place.",
        "the harness's own answer says nothing",
        _nothing_said,
        (WHOLE, STREAM),
        (choice("how", "which; null only where no stream is asked for", ("null", "empty", "refusal")),),
    ),
    Row(
        "wrong_model",
        "version",
        "The answer names another model than was asked for.",
        "the harness's own answer names that model",
        _other_model,
        (WHOLE, STREAM, EMBED),
        (text("model", "the name that it carries", "gauntlet-other-model", min_length=1),),
        example={"model": "rag-chat-mini"},
    ),
    Row(
        "usage_missing",
        "data",
        "The answer tells a usage of zero, or none at all.",
        "the harness's own answer tells such a usage",
        _usage,
        (WHOLE, EMBED),
        (choice("how", "which; absent only where no stream is asked for", ("zero", "absent")),),
    ),
)
