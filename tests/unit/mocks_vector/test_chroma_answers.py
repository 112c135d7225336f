"""The mock's answers, one by one, against those that the real server gave (`tests/integration/record_chroma.py`)."""

import json
from typing import Any
from urllib.parse import unquote

import pytest

from mocks.http.message import Request
from mocks.vector.chroma.service import ChromaService
from mocks.vector.plan import VectorError
from mocks.vector.store import Limits, Store
from tests.integration.chroma_conversation import STEPS, Answer, Step, hold
from tests.integration.record_chroma import RECORD

RECORDED: dict[str, Answer] = json.loads(RECORD.read_text())


@pytest.fixture(scope="module")
def answers() -> dict[str, Answer]:
    service = ChromaService(Store(Limits()))
    return hold(lambda method, path, body, headers: _ask(service, method, path, body, headers))


def test_the_record_is_of_this_conversation() -> None:
    assert list(RECORDED) == [step.name for step in STEPS]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_an_answer_is_the_one_recorded(step: Step, answers: dict[str, Answer]) -> None:
    assert _rounded(answers[step.name]) == _rounded(RECORDED[step.name])


def _ask(service: ChromaService, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
    raw_path, _, query = path.partition("?")
    sent = {name.encode(): value.encode() for name, value in headers.items()}
    request = Request(method, unquote(raw_path), query, sent, body or b"", 1, 1, 0.0, raw_path)
    try:
        outcome = service.call(request).perform()
        if outcome.commit is not None:
            outcome.commit()
        answer = service.answer(outcome.body(outcome.lists), outcome.status, 0.0)
    except VectorError as error:
        answer = service.refusal(error, 0.0)
    is_json = answer.content_type == "application/json"
    return {
        "status": answer.status,
        "type": answer.content_type or None,
        "body": json.loads(answer.body) if is_json else answer.body.decode(),
    }


def _rounded(value: Any) -> Any:
    """With numbers to five places and six digits: the real server adds up its distances in another order."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{round(value, 5):.6g}") if isinstance(value, float) else value
