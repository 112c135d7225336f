"""What clients may upload, checked and turned into text."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mocks.rag.common.errors import ApiError
from mocks.rag.document.parsing import UnreadableDocumentError, UnsupportedTypeError, parse

TITLE_CHARS_MAX = 300
TEXT_CHARS_MAX = 200_000
"""About 300 chunks: as much as is surely embedded and stored within the time limits of one event."""
CONTENT_BYTES_MAX = 8 * 1024 * 1024
BODY_BYTES_MAX = 12 * 1024 * 1024
"""Above CONTENT_BYTES_MAX in base64, so that a file that is too large is refused by its own size."""

_DOC_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")


@dataclass(frozen=True)
class Upload:
    """Body of `POST /documents`: a text, or a file as base64 with its content type."""

    doc_id: str
    title: str
    content: bytes
    content_type: str

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Upload:
        """Raises ApiError 413 or 422."""
        doc_id = body.get("doc_id") or f"doc-{uuid.uuid4().hex}"
        if not isinstance(doc_id, str) or not _DOC_ID.fullmatch(doc_id):
            raise _invalid(f"doc_id must match {_DOC_ID.pattern}")
        title = body.get("title")
        if not isinstance(title, str) or not title.strip() or len(title) > TITLE_CHARS_MAX or "\x00" in title:
            raise _invalid(f"title must be a text of 1 to {TITLE_CHARS_MAX} characters")
        if ("text" in body) == ("content_base64" in body):
            raise _invalid("one of text and content_base64 is needed")
        if "text" in body:
            return cls(doc_id, title.strip(), _text_bytes(body["text"]), "text/plain")
        content_type = body.get("content_type")
        if not isinstance(content_type, str):
            raise _invalid("content_type must say what content_base64 is")
        return cls(doc_id, title.strip(), _decoded(body["content_base64"]), content_type)

    def to_text(self) -> str:
        """Takes CPU time for a PDF or DOCX: belongs in a thread. Raises ApiError 413, 415 or 422."""
        try:
            text = parse(self.content, self.content_type)
        except UnsupportedTypeError as error:
            raise ApiError(415, "unsupported_type", str(error)) from error
        except UnreadableDocumentError as error:
            raise ApiError(422, "unreadable_document", str(error)) from error
        if len(text) > TEXT_CHARS_MAX:
            raise _too_large(f"the document's text may have at most {TEXT_CHARS_MAX} characters")
        return text


def _text_bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise _invalid("text must be a string")
    if len(text) > TEXT_CHARS_MAX:
        raise _too_large(f"text may have at most {TEXT_CHARS_MAX} characters")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise _invalid("text holds a lone surrogate") from error


def _decoded(content: Any) -> bytes:
    if not isinstance(content, str):
        raise _invalid("content_base64 must be a string")
    try:
        decoded = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _invalid(f"content_base64: {error}") from error
    if len(decoded) > CONTENT_BYTES_MAX:
        raise _too_large(f"a file may have at most {CONTENT_BYTES_MAX} bytes")
    return decoded


def _invalid(message: str) -> ApiError:
    return ApiError(422, "invalid_request", message)


def _too_large(message: str) -> ApiError:
    return ApiError(413, "too_large", message)
