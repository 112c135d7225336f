"""Qdrant's interface over a store: which call a request asks for, and answers in Qdrant's envelope."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mocks.http.message import Request
from mocks.http.router import Match, Router
from mocks.vector.call import Call, Outcome
from mocks.vector.encoding import Encode, strict
from mocks.vector.plan import Product, VectorError, Whole
from mocks.vector.qdrant import errors
from mocks.vector.qdrant.access import Access
from mocks.vector.qdrant.collections import Collections
from mocks.vector.qdrant.decode import FormatError, RangeError
from mocks.vector.qdrant.routes import ROUTES, Asked, Route
from mocks.vector.store import LimitError, Store

VERSION = "1.20.0"
_TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class QdrantSettings:
    """`version` is what the service says it is: clients warn where it is not near their own."""

    version: str = VERSION
    api_keys: Sequence[str] = ()
    read_only_api_keys: Sequence[str] = ()


class QdrantService:
    """The API; `mocks.vector.call.Service` says what its methods are for."""

    name: Product = "qdrant"

    def __init__(self, store: Store, settings: QdrantSettings | None = None) -> None:
        settings = settings or QdrantSettings()
        self._store = store
        self._version = settings.version
        self._access = Access(settings.api_keys, settings.read_only_api_keys)
        self._collections = Collections(store)
        self._router = Router()
        for route in ROUTES:
            self._router.add(route.method, route.pattern, self._teller(route))

    def call(self, request: Request) -> Call:
        """The call that a request asks for. Raises VectorError where there is no such route; a wrong method is the same to Qdrant."""
        found = self._router.find(request.method, request.raw_path)
        if not isinstance(found, Match):
            raise VectorError(404, "")
        calls: list[Call] = []
        found.target(request, calls.append, *found.parts)
        return calls[0]

    def renew(self, call: Call) -> bool:  # noqa: ARG002 - whichever it is
        """Never: clients of Qdrant know collections by name alone."""
        return False

    def answer(self, body: Any, status: int, took_s: float, encode: Encode = strict) -> Whole:
        """The envelope `{"result", "status": "ok", "time"}` around a JSON value."""
        return Whole(encode({"result": body, "status": "ok", "time": took_s}), status)

    def refusal(self, error: VectorError, took_s: float) -> Whole:
        """`{"status": {"error"}, "time"}`; what refuses before Qdrant's own code does so in plain text, or without any."""
        if error.status == 401:
            return Whole(error.message.encode(), 401, _TEXT, headers=dict(error.headers))
        if not error.message:
            return Whole(b"", error.status, "", headers=dict(error.headers))
        return Whole(strict({"status": {"error": error.message}, "time": took_s}), error.status, headers=dict(error.headers))

    def _teller(self, route: Route) -> Callable[..., None]:
        named = "{name}" in route.pattern

        def tell(request: Request, take: Callable[[Call], None], *parts: str) -> None:
            asked = Asked(self._store, self._collections, request, parts, self._version)
            account = self._access.account(request)
            collection = parts[0] if named else None
            take(Call(route.operation, route.pattern, lambda: self._perform(route, asked), collection, account, account))

        return tell

    def _perform(self, route: Route, asked: Asked) -> Outcome:
        self._access.check(asked.request, route.pattern, route.kind)
        try:
            outcome = route.perform(asked)
        except (FormatError, RangeError, LimitError) as error:
            raise _refused(error, asked.request.body) from error
        if outcome.commit is not None:
            outcome.commit = _guarded(outcome.commit, asked.request.body)
        return outcome


def _guarded(commit: Callable[[], None], body: bytes) -> Callable[[], None]:
    def guarded() -> None:
        try:
            commit()
        except (FormatError, RangeError, LimitError) as error:
            raise _refused(error, body) from error

    return guarded


def _refused(error: FormatError | RangeError | LimitError, body: bytes) -> VectorError:
    if isinstance(error, LimitError):
        return errors.wrong_input(f"Out of memory: this mock holds at most {error}")
    if isinstance(error, RangeError):
        return VectorError(422, f"Validation error in JSON body: [{error}]")
    text = str(error)
    if " at line " not in text:  # serde says where it stopped: for what is missing or of the wrong type, that is the end
        lines = body.split(b"\n")
        text = f"{text} at line {len(lines)} column {len(lines[-1])}"
    return VectorError(400, f"Format error in JSON body: {text}")
