"""Chroma's interface over a store: which call a request asks for, and answers in Chroma's form."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mocks.http.message import Request
from mocks.http.router import Match, NotAllowed, Router
from mocks.vector.call import Call, Outcome
from mocks.vector.chroma.access import Access
from mocks.vector.chroma.decode import MismatchError, document, unprocessable
from mocks.vector.chroma.errors import invalid_argument
from mocks.vector.chroma.operations import Asked, Operations
from mocks.vector.chroma.routes import ROUTES, VERSION_1, Route
from mocks.vector.chroma.settings import ChromaSettings
from mocks.vector.encoding import Encode, strict
from mocks.vector.plan import Product, VectorError, Whole
from mocks.vector.store import LimitError, Store

_VERSION_1 = "/api/v1/"
_OPEN = re.compile(r"{(\w+)}")
_TRACE = {"chroma-trace-id": "0" * 32}


class ChromaService:
    """The API; `mocks.vector.call.Service` says what its methods are for."""

    name: Product = "chroma"

    def __init__(self, store: Store, settings: ChromaSettings | None = None) -> None:
        settings = settings or ChromaSettings()
        self._store = store
        self._access = Access(settings.api_keys)
        self._operations = Operations(store, settings)
        self._router = Router()
        for route in ROUTES:
            self._router.add(route.method, route.pattern, _teller(route))

    def call(self, request: Request) -> Call:
        """The call that a request asks for. Raises VectorError."""
        route, parts = self._find(request)
        account = self._access.account(request)
        asked_of = parts.get("collection")
        name = None if asked_of is None else self._known_name(asked_of)
        return Call(
            operation=route.operation,
            route=route.pattern,
            perform=lambda: self._perform(route, parts, request, account),
            collection=name,
            account=account,
            tenant=parts.get("tenant"),
            path=None if asked_of is None or name is None else request.raw_path.replace(asked_of, name),
        )

    def renew(self, call: Call) -> bool:
        """Give the collection of a call another id: handles that know the old one get 404. Those of the same name elsewhere keep theirs."""
        named = [one for one in self._store.collections.values() if one.name == call.collection]
        meant = [one for one in named if self._operations.tenant_of(one) == call.tenant]
        for collection in meant:
            self._store.renew(collection)
        return bool(meant)

    def answer(self, body: Any, status: int, took_s: float, encode: Encode = strict) -> Whole:  # noqa: ARG002 - Chroma does not say
        """A JSON value as it is."""
        return Whole(encode(body), status, headers=dict(_TRACE))

    def refusal(self, error: VectorError, took_s: float) -> Whole:  # noqa: ARG002
        """`{"error", "message"}`; nothing at all where there is no such route."""
        headers = {**_TRACE, **error.headers}
        if not error.name:
            return Whole(b"", error.status, "", headers=headers)
        return Whole(strict({"error": error.name, "message": error.message}), error.status, headers=headers)

    def _find(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        found = self._router.find(request.method, request.raw_path)
        if isinstance(found, Match):
            told: list[Route] = []
            found.target(told.append)
            return told[0], dict(zip(_OPEN.findall(told[0].pattern), found.parts, strict=True))
        if request.method == "GET" and request.path.startswith(_VERSION_1):
            return VERSION_1, {}
        allowed = found.allowed if isinstance(found, NotAllowed) else ("GET",) if request.path.startswith(_VERSION_1) else ()
        raise VectorError(405 if allowed else 404, "", headers={"allow": ",".join(allowed)} if allowed else {})

    def _perform(self, route: Route, parts: Mapping[str, str], request: Request, account: str | None) -> Outcome:
        if not route.open:
            self._access.check(account)
        try:
            fields = {} if route.struct is None else document(request.body, request.header("content-type"), route.struct)
            outcome = route.perform(self._operations, Asked(parts, request.parameters(), fields, account))
        except MismatchError as error:
            raise unprocessable(error, request.body) from None
        if outcome.commit is not None:
            outcome.commit = _bounded(outcome.commit)
        return outcome

    def _known_name(self, asked_of: str) -> str:
        """The name of a collection that was asked for by name or id."""
        collection = self._store.collections.get(asked_of.lower())
        return asked_of if collection is None else collection.name


def _bounded(commit: Callable[[], None]) -> Callable[[], None]:
    """A change that is refused where the store is full."""

    def change() -> None:
        try:
            commit()
        except LimitError as error:
            raise invalid_argument(f"Out of memory: this mock holds at most {error}") from error

    return change


def _teller(route: Route) -> Callable[..., None]:
    """A router's target that tells which route it stands for."""
    return lambda tell, *_: tell(route)
