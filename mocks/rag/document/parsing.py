"""Turns an uploaded file into text: plain text, Markdown, PDF and DOCX.

Parsing runs on untrusted bytes: whatever a library raises on a broken file becomes `UnreadableDocumentError`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator

import docx
import pypdf
from docx.document import Document as DocxDocument

from mocks.rag.document.storable import storable

DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
DOCX_UNPACKED_BYTES_MAX = 64 * 1024 * 1024
PDF_PAGES_MAX = 2_000

_MARKDOWN_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^\s*(```|~~~).*$", re.MULTILINE), ""),  # fences go, the code between them stays searchable
    (re.compile(r"^ {0,3}#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE), r"\1\n"),
    (re.compile(r"^ {0,3}>\s?", re.MULTILINE), ""),
    (re.compile(r"^\s*[-*+]\s+", re.MULTILINE), ""),
    (re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"`([^`\n]+)`"), r"\1"),
)


class UnsupportedTypeError(Exception):
    """The content type is none that this service reads."""


class UnreadableDocumentError(Exception):
    """The bytes are not what their content type says, or hold no text."""


def parse(content: bytes, content_type: str) -> str:
    """The text of a file. `content_type` may carry parameters (`text/plain; charset=utf-8`)."""
    media_type = content_type.partition(";")[0].strip().lower()
    parser = _PARSERS.get(media_type)
    if parser is None:
        raise UnsupportedTypeError(f"content type {media_type!r} is not one of {', '.join(_PARSERS)}")
    text = storable(parser(content))  # a PDF's text may hold anything
    if not text.strip():
        raise UnreadableDocumentError("the document holds no text")
    return text


def _plain(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError(f"not UTF-8: {error.reason} at byte {error.start}") from error


def _markdown(content: bytes) -> str:
    text = _plain(content)
    for pattern, replacement in _MARKDOWN_RULES:
        text = pattern.sub(replacement, text)
    return text


def _pdf(content: bytes) -> str:
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if len(reader.pages) > PDF_PAGES_MAX:
            raise UnreadableDocumentError(f"more than {PDF_PAGES_MAX} pages")
        return "\n\n".join(page.extract_text() for page in reader.pages)
    except UnreadableDocumentError:
        raise
    except Exception as error:  # a hostile PDF makes pypdf raise anything from KeyError to RecursionError
        raise UnreadableDocumentError(f"not a readable PDF: {error}") from error


def _docx(content: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > DOCX_UNPACKED_BYTES_MAX:
                raise UnreadableDocumentError(f"unpacks to more than {DOCX_UNPACKED_BYTES_MAX} bytes")
        return "\n\n".join(_docx_paragraphs(docx.Document(io.BytesIO(content))))
    except UnreadableDocumentError:
        raise
    except Exception as error:  # zipfile, lxml and python-docx each have their own errors for a broken package
        raise UnreadableDocumentError(f"not a readable DOCX: {error}") from error


def _docx_paragraphs(document: DocxDocument) -> Iterator[str]:
    for paragraph in document.paragraphs:
        if paragraph.text.strip():
            yield paragraph.text
    for table in document.tables:
        for row in table.rows:
            yield " | ".join(cell.text for cell in row.cells)


_PARSERS: dict[str, Callable[[bytes], str]] = {
    "text/plain": _plain,
    "text/markdown": _markdown,
    "application/pdf": _pdf,
    DOCX_TYPE: _docx,
}
