"""A fault in a mock's table, and the requests of our own that prove it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from harness.faults.admin_client import call
from harness.faults.base import Context, Evidence, FaultError, Target, TargetedFault, Undo, capability
from harness.faults.programmed.callers import Callers
from harness.faults.programmed.match import Match
from harness.faults.programmed.row import Family, Look, Probe, Row, View
from harness.faults.programmed.settings import Setting, document_of, parameters_model
from harness.faults.programmed.shapes import Spans, Timing, attempts, repetitions, strikes_whoever_comes_early
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.stack.base import AdminApi, Programmable, StackError

FAULTS_PATH = "/admin/faults"
HEALTHY_LOOKS = 3
CLEARLY, BEFORE, AT_ALL = 0.9, 2 / 3, 0.5
"""How much of a time that was asked for shows the fault, could not be told from it, and is still some of it."""


class ProgrammedFault(TargetedFault[FaultParameters]):
    """Set by one call, taken back by another.

    That the mock lists it proves nothing: a request of our own has to show what a client would see of it. And that alone is no proof
    either, for a fault on a service that nobody else calls breaks nothing: the journal must tell of others whom it has hit.
    """

    spec: ClassVar[FaultSpec]
    row: ClassVar[Row]
    family: ClassVar[Family]

    def __init__(self, target: Target, parameters: FaultParameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self._callers = Callers(self._call, context.fault_id)
        self._recent = 0  # requests of others shortly before it was set
        self._healthy: Look | None = None
        self._seen: Evidence | None = None
        self._made: Probe | None = None

    def document(self) -> dict[str, Any]:
        """What the mock is told, but for how long it may live."""
        given = getattr(self.parameters, "match", None)
        match = {"match": given.document()} if isinstance(given, Match) else {}
        return {"type": self.row.type, **document_of(self.parameters, self.row.settings), **self._when(), **match}

    def undo(self) -> Sequence[Undo]:
        api = self._api()
        return (Undo("http", {"method": "DELETE", "url": api.url.rstrip("/") + self._path, "token": api.token}),)

    def inject(self) -> None:
        """Looks at the healthy service first: what it does by itself could not be told from the fault. The fault ends by itself should
        everybody who could take it back be gone.
        """
        listed = self.in_force()
        if self.context.fault_id not in listed:
            self._look_at_the_healthy(alone=not listed)
        self.put()

    def put(self) -> None:
        """Without a look at the healthy service, which another fault that counts requests would count."""
        if self.row.standing:
            self._recent = self._callers.recent()
        self._callers.start()
        self._seen = None
        self._call("PUT", self._path, {**self.document(), "ttl_s": self.context.ttl_s})

    def verify(self) -> Evidence | None:
        if self.context.fault_id not in self.in_force():
            return None
        if self._seen is None:  # some faults show once only: what was seen since injection holds
            self._seen = self._see()
        if self._seen is None:
            return None
        others = {"callers_before": self.callers_before} if self.row.standing else {"applied_to_others": self.hit()}
        return {**self._seen, **others} if all(others.values()) else None

    def in_force(self) -> frozenset[str]:
        """The ids of all faults that the mock has in force."""
        return frozenset(entry["id"] for entry in self._call("GET", FAULTS_PATH)["faults"])

    def hit(self) -> int:
        """How many requests of others it has changed since injection."""
        return self._callers.hit()

    @property
    def callers_before(self) -> int:
        """Requests of others shortly before injection; 0 where nobody looked."""
        return self._recent

    def _see(self) -> Evidence | None:
        kind = self._kind()
        if kind is None or strikes_whoever_comes_early(self._when()):
            # a request of our own would not be hit, or in the place of somebody else's
            return {"own_request": "none was sent: it is not for the likes of it"}
        return next((found for view in self._looks(kind) if (found := self.row.sees(view)) is not None), None)

    def heal(self) -> None:
        self._call("DELETE", self._path)

    def gone(self) -> Evidence | None:
        """Where another fault is still on the same service, an answer need not be fine, but free of this one. One that was never set has
        left nothing that could be told from what the service does by itself.
        """
        listed = self.in_force()
        if self.context.fault_id in listed:
            return None
        view = self._view(self._look(self._kind() or self.row.asks[0], again=False), AT_ALL)
        left = self._healthy is not None and self.row.sees(view) is not None
        if left or not (listed or self._probe.fine(view.look)):
            return None
        return {"status": view.last.status, "took_s": view.last.took_s, "other_faults": len(listed)}

    def _look_at_the_healthy(self, alone: bool) -> None:
        kind = self._kind()
        if kind is None:
            return
        for left in reversed(range(HEALTHY_LOOKS)):  # a moment in which the machine is busy is no habit of the service
            look = self._look(kind, again=False)
            reason = self._unfit(look, alone)
            if not reason:
                break
            if not left:
                raise FaultError(f"{self.target.service} {reason}")
        self._healthy = look if self._probe.fine(look) else None

    def _unfit(self, look: Look, alone: bool) -> str:
        """Why the fault could not be told from what the service does without it; empty where it could."""
        if alone and not self._probe.fine(look):
            ended = ", ".join(f"{step}: {one.status} {one.ended}" for step, one in look.items())
            return f"is not healthy ({ended}): what is added to that could not be told"
        if alone and self.row.answers_from_context and not self._probe.right(look):
            return "does not answer from the context that it is given: a wrong answer could not be told"
        found = self.row.sees(self._view(look, BEFORE))
        return f"does that already ({found}); ask for more, or the fault could not be told from it" if found is not None else ""

    def _looks(self, kind: str) -> Iterator[View]:
        """As many as it may take, where the fault does not strike every request."""
        when = self._when()
        repeated = repetitions(when)
        for n in range(max(attempts(when), repeated)):
            yield self._view(self._look(kind, again=n % repeated > 0), CLEARLY)

    def _look(self, kind: str, again: bool) -> Look:
        document = self.document()
        return self._probe.look(kind, {**self.row.how(document), "healthy": self._healthy}, document.get("match", {}), again)

    def _view(self, look: Look, clearly: float) -> View:
        return View(look, self.document(), self._healthy, clearly, self.context.stack.info.forwarded)

    def _kind(self) -> str | None:
        return self._probe.kind_for(self.row, self.document().get("match", {}))

    def _when(self) -> Mapping[str, Any]:
        return self.parameters.when() if isinstance(self.parameters, Spans) else {}

    @property
    def _probe(self) -> Probe:
        if self._made is None:
            stack = self.context.stack
            self._made = self.family.probe(stack.instances(self.target.service)[0].url, stack, self.context)
        return self._made

    @property
    def _path(self) -> str:
        return f"{FAULTS_PATH}/{self.context.fault_id}"

    def _api(self) -> AdminApi:
        try:
            return capability(self.context.stack, Programmable).admin(self.target.service)
        except StackError as error:
            raise FaultError(str(error)) from error

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            return call(self._api(), method, path, body)
        except ConnectionRefusedError as error:
            raise FaultError(f"the admin API of {self.target.service} does not listen: {error}") from error


def fault_class(family: Family, row: Row) -> type[ProgrammedFault]:
    """The class of a row's faults."""
    name = family.name_of(row)
    settings = row.settings if row.standing else (*row.settings, _match(family))
    spec = FaultSpec(
        name=name,
        summary=row.does,
        kind=row.kind,
        parameters=parameters_model(name, Spans if row.standing else Timing, settings, row.refuses),
        targets=("service",),
        needs=("Programmable",),
        evidence=f"{row.shows}, and others were hit; gone: not listed, and the harness's own request meets nothing of the kind",
        example=family.example_of(row),
        recoverable_by=() if row.benign else family.recoverable_by,
        only_roles=family.roles,
        benign=row.benign,
    )
    title = "".join(word.capitalize() for word in name.replace(".", "_").split("_"))
    return type(title, (ProgrammedFault,), {"__doc__": row.does, "spec": spec, "row": row, "family": family})


def _match(family: Family) -> Setting:
    """Whom it concerns. It is no parameter of the type, and goes into the document by itself."""
    keys = ", ".join(family.match.model_fields)
    return Setting("match", "", family.match, "only requests of which all of this is so", f"{{{keys}}}", None)


def fault_classes(family: Family, rows: Sequence[Row]) -> tuple[type[ProgrammedFault], ...]:
    """Those of a table."""
    return tuple(fault_class(family, row) for row in rows)
