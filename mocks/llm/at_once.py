"""The short way of a whole answer that is due at once, as under most load tests.

`Generation` and `Embedding` serve any request: they have a plan that faults may change, timers, a place in line, and an entry that may be
looked at while the answer is on its way. Where no fault is in force, nobody has an account, and there is neither latency nor a limit, none
of that matters: nothing else happens in the process between the last byte of the request and the last of the answer. Such a request is
understood, composed and encoded by the same code, and leaves the same row and the same numbers behind; but it goes from hand to hand as a
few locals, and its row is written later (`Ledger.done`). That takes half the time.
"""

from time import monotonic, time

from mocks.http.message import Reply, Request
from mocks.llm.answer import Answer
from mocks.llm.dialects.base import Dialect
from mocks.llm.embedding import body, understood
from mocks.llm.engine import Engine
from mocks.llm.entry import request_id
from mocks.llm.headers import openai_lines
from mocks.llm.memory import Known, KnownVectors

_LARGEST = 64 * 1024
"""Bytes of a body; there is little to win with larger ones, and what is done is kept for a while."""


def answered_at_once(engine: Engine, dialect: Dialect, request: Request, reply: Reply, fallback_id: str) -> bool:
    """Answer a request for text to an `unhindered` engine, in OpenAI's words. False: this way is not for it, and nothing has happened."""
    raw = request.body
    if b'"stream"' in raw or not _is_small_json(request):
        return False
    try:
        known = engine.understood(dialect, None, raw)
        if known.call.stream:
            return False
        answer = engine.compose(known, dialect)
    except Exception:  # noqa: BLE001 - refused or a bug: `Generation` meets it again, and says so to client and journal
        return False
    attempt, now_s = engine.arrivals.count(known.key), time()
    token = f"{known.key}{attempt:x}"
    if known.template is not None:
        whole = known.template.fill(token, int(now_s))
    else:
        given = Answer(dialect.id_prefix + token, answer.model, int(now_s), answer.choices, answer.usage, answer.longest)
        whole = dialect.whole(given, known.call)
    _send(engine, request, reply, fallback_id, whole, known, attempt, now_s)
    return True


def embedded_at_once(engine: Engine, request: Request, reply: Reply, fallback_id: str) -> bool:
    """The same for a request for vectors."""
    if not _is_small_json(request):
        return False
    try:
        known = understood(engine, "openai", None, request.body)
        whole = body(engine, known)
    except Exception:  # noqa: BLE001 - as above, and `Embedding` sees to it
        return False
    _send(engine, request, reply, fallback_id, whole, known, engine.arrivals.count(known.key), time())
    return True


def _is_small_json(request: Request) -> bool:
    return len(request.body) <= _LARGEST and request.headers.get(b"content-type") == b"application/json"


def _send(
    engine: Engine, request: Request, reply: Reply, fallback_id: str, whole: bytes, known: Known | KnownVectors, attempt: int, now_s: float
) -> None:
    name, ended_s = request_id(request, fallback_id), monotonic()
    reply.send_lines(200, whole, openai_lines(name, ended_s - request.arrived_s))
    engine.ledger.done((request, name, known, attempt, ended_s, now_s))
    if len(whole) > _LARGEST:
        engine.ledger.settle()
