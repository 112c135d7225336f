"""The ingest event: everything the subscriber needs, so that it can be indexed whatever else is gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass


class MalformedEventError(Exception):
    """Bytes on the stream or in the spool that are no ingest event."""


@dataclass(frozen=True)
class IngestEvent:
    """An accepted document.

    `revision` orders uploads of one `doc_id`: a redelivered old event never overwrites a newer document.
    """

    doc_id: str
    title: str
    text: str
    revision: int
    request_id: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> IngestEvent:
        """Raises `MalformedEventError`."""
        try:
            fields = json.loads(raw)
            return cls(str(fields["doc_id"]), str(fields["title"]), str(fields["text"]), int(fields["revision"]), str(fields["request_id"]))
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedEventError(f"{type(error).__name__}: {error}") from error

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> IngestEvent:
        """Raises `MalformedEventError`."""
        return cls.from_json(fields.get(b"event", b""))
