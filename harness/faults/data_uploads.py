"""Faults of what people hand in: files that cannot be read, that are too large, or too many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from harness.faults.base import Evidence, Parameters, Undo
from harness.faults.beside import Beside
from harness.faults.data_ingest import IngestFault
from harness.faults.data_target import INTAKE
from harness.faults.data_uploader import MAKERS
from harness.faults.database_client import connected
from harness.scenario.catalog import FaultParameters, FaultSpec
from harness.scenario.model import Rate

WAITING = ("queued", "spooled")


class UploadFault(IngestFault[Parameters]):
    """Somebody beside the harness hands in documents while the fault lasts."""

    _uploader: Beside | None = None

    def uploads(self) -> Mapping[str, Any]:
        """What the uploader is told: `make`, `size`, and `rate` or `burst`."""
        raise NotImplementedError

    def undo(self) -> Sequence[Undo]:
        return (*super().undo(), Undo("terminate_named", {"argument": Beside.argument(self.name)}))

    def inject(self) -> None:
        if self._uploader is not None and self._uploader.alive:
            return
        self.left()  # that it can be taken back is known before anything is handed in
        stack = self.context.stack
        told = {
            "url": stack.entry_url,
            "api_key": stack.api_key,
            "name": self.name,
            "ttl_s": self.context.ttl_s,
            "rate": None,
            "burst": None,
        }
        self._uploader = Beside("harness.faults.data_uploader", self.name, {**told, **self.uploads()})

    def heal(self) -> None:
        if self._uploader is not None:
            self._uploader.end()
            self._uploader = None
        self.remove()

    def gone(self) -> Evidence | None:
        if (self._uploader is not None and self._uploader.alive) or self.left():
            return None
        return {"uploads_running": False, "rows_left": 0}

    def answers(self) -> dict[str, int]:
        """How uploads were answered so far: status -> count; empty where nobody hands any in."""
        if self._uploader is None or not self._uploader.alive:
            return {}
        return dict(self._uploader.said("answers") or {})


class RefusedFault(UploadFault[Parameters]):
    """A fault of uploads that a sound system refuses, and goes on."""

    def verify(self) -> Evidence | None:
        """The harness hands one in itself: it is answered as those of the others are."""
        answers = self.answers()
        if not answers:
            return None
        own = self.own_answer()
        return {"answer": own[0], "code": own[1], "answers": answers} if str(own[0]) in answers else None

    def own_answer(self) -> tuple[int, str]:
        """Status and error code of an upload of our own, which is taken out with the others should it be accepted."""
        told = self.uploads()
        doc_id = f"{self.name}-own"
        answer = self.api.upload({"doc_id": doc_id, **MAKERS[told["make"]](doc_id, told["size"])})
        return answer.status, answer.code


class RateParameters(FaultParameters):
    """Parameters of `data.corrupt_pdf`."""

    rate: Rate = Field(default=2.0, description="uploads", gt=0, le=100, json_schema_extra={"unit": "rate"})


class CorruptPdf(RefusedFault[RateParameters]):
    """Broken files keep coming in; a sound system refuses each, and neither stops nor slows for the others."""

    spec = FaultSpec(
        name="data.corrupt_pdf",
        summary="Hands in PDF files that nobody can read, all the time: cut off, with noise in the place of text.",
        kind="data",
        parameters=RateParameters,
        targets=("service",),
        needs=("Documented",),
        evidence="uploads are answered, the harness's own in the same way; gone: nobody hands any in, and none of them is stored",
        example="{id: broken-files, type: data.corrupt_pdf, target: document, at: fault, for: 30s, with: {rate: 5/s}}",
        only_services=INTAKE,
    )

    def uploads(self) -> Mapping[str, Any]:
        return {"make": "corrupt_pdf", "size": 0, "rate": self.parameters.rate}


class OversizedParameters(RateParameters):
    """Parameters of `data.oversized_document`."""

    characters: int = Field(default=1_000_000, description="length of each text", ge=1_000, le=20_000_000)


class OversizedDocument(RefusedFault[OversizedParameters]):
    """Documents far above what anybody writes; a sound system refuses them before they cost anything."""

    spec = FaultSpec(
        name="data.oversized_document",
        summary="Hands in texts of that length, all the time.",
        kind="data",
        parameters=OversizedParameters,
        targets=("service",),
        needs=("Documented",),
        evidence="uploads are answered, the harness's own in the same way; gone: nobody hands any in, and none of them is stored",
        example="{id: giants, type: data.oversized_document, target: document, at: fault, for: 30s, with: {characters: 5000000}}",
        only_services=INTAKE,
    )

    def uploads(self) -> Mapping[str, Any]:
        return {"make": "plain_text", "size": self.parameters.characters, "rate": self.parameters.rate}


class BacklogParameters(FaultParameters):
    """Parameters of `data.ingest_backlog`."""

    documents: int = Field(default=500, description="handed in as fast as they are taken", ge=10, le=20_000)
    characters: int = Field(default=3_000, description="length of each text", ge=100, le=200_000)


class IngestBacklog(UploadFault[BacklogParameters]):
    """A whole archive is handed in at once: what is new waits behind it."""

    spec = FaultSpec(
        name="data.ingest_backlog",
        summary="Hands in many documents at once: those of users wait behind them until they are indexed.",
        kind="latency",
        parameters=BacklogParameters,
        targets=("service",),
        needs=("Documented",),
        evidence="of the documents taken in, some wait to be indexed, and the latest does; gone: none of them waits or is stored",
        example="{id: archive, type: data.ingest_backlog, target: document, at: fault, for: 60s, with: {documents: 2000}}",
        recoverable_by=("scale",),
        only_services=INTAKE,
    )

    def uploads(self) -> Mapping[str, Any]:
        return {"make": "plain_text", "size": self.parameters.characters, "burst": self.parameters.documents}

    def verify(self) -> Evidence | None:
        answers = self.answers()
        if self._uploader is None or not answers:
            return None
        state = self.api.state(self._uploader.said("latest"))
        waiting = self._waiting()
        return {"answers": answers, "waiting": waiting, "state_of_latest": state} if waiting and state in WAITING else None

    def _waiting(self) -> int:
        query = b"SELECT count(*) FROM documents WHERE starts_with(doc_id, %s) AND status = ANY(%s)"
        with connected(self.dsn) as connection:
            row = connection.execute(query, (f"{self.name}-", list(WAITING))).fetchone()
        return int(row[0]) if row else 0


FAULTS = (CorruptPdf, OversizedDocument, IngestBacklog)
