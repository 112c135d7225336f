"""Uploads: what is read of real files, and what is refused with which status."""

import base64
import io
import zipfile
from typing import Any

import docx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from mocks.rag.common.errors import ApiError
from mocks.rag.document import parsing
from mocks.rag.document.parsing import DOCX_TYPE, UnreadableDocumentError, UnsupportedTypeError, parse
from mocks.rag.document.uploads import CONTENT_BYTES_MAX, TEXT_CHARS_MAX, Upload


def pdf_with(*pages: str) -> bytes:
    """A PDF with one line of Helvetica a page."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for line in pages:
        page = writer.add_blank_page(612, 792)
        content = DecodedStreamObject()
        content.set_data(f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})})
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def docx_with(paragraphs: list[str], row: list[str]) -> bytes:
    document = docx.Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    cells = document.add_table(rows=1, cols=len(row)).rows[0].cells
    for cell, text in zip(cells, row, strict=True):
        cell.text = text
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def test_reads_every_page_of_a_pdf() -> None:
    assert parse(pdf_with("The canary is K-17.", "Second page."), "application/pdf") == "The canary is K-17.\n\nSecond page."


def test_reads_paragraphs_and_tables_of_a_docx() -> None:
    assert parse(docx_with(["First.", "  ", "Second."], ["left", "right"]), DOCX_TYPE) == "First.\n\nSecond.\n\nleft | right"


def test_reads_markdown_without_its_marks() -> None:
    source = b'# Title #\n\n> A **bold** [link](http://x.y "t").\n\n- item `code`\n\n```python\nx = a_b_c * 2\n```\n'
    assert parse(source, "text/markdown; charset=utf-8").split() == [
        "Title",
        "A",
        "bold",
        "link.",
        "item",
        "code",
        "x",
        "=",
        "a_b_c",
        "*",
        "2",
    ]


def test_reads_text_with_a_byte_order_mark_and_without_nul() -> None:
    assert parse(b"\xef\xbb\xbfa\x00b", "Text/Plain") == "ab"


@pytest.mark.parametrize(
    ("content", "content_type", "reason"),
    [
        (b"\xff\xfe", "text/plain", "not UTF-8: invalid start byte at byte 0"),
        (b" \n", "text/plain", "the document holds no text"),
        (b"%PDF-1.7 nonsense", "application/pdf", "not a readable PDF"),
        (pdf_with("x")[:-200], "application/pdf", ""),
        (b"PK nonsense", DOCX_TYPE, "not a readable DOCX"),
        (docx_with(["x"], ["y"])[:-40], DOCX_TYPE, "not a readable DOCX"),
        (pdf_with(), "application/pdf", "the document holds no text"),
    ],
    ids=["no UTF-8", "blank", "no PDF", "a cut PDF", "no DOCX", "a cut DOCX", "a PDF without text"],  # a DOCX tells when it was made
)
def test_unreadable_content_says_why(content: bytes, content_type: str, reason: str) -> None:
    try:
        assert parse(content, content_type) == "x"  # pypdf repairs a truncated file where it can
    except UnreadableDocumentError as error:
        assert reason in str(error)
    else:
        assert not reason


@given(st.binary(max_size=300), st.sampled_from(["application/pdf", DOCX_TYPE, "text/plain", "text/markdown"]))
def test_hostile_bytes_are_text_or_unreadable(content: bytes, content_type: str) -> None:
    try:
        assert parse(content, content_type).strip()
    except UnreadableDocumentError as error:
        assert str(error)


def test_a_docx_that_unpacks_too_far_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "DOCX_UNPACKED_BYTES_MAX", 1_000)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"0" * 2_000)
    with pytest.raises(UnreadableDocumentError, match="unpacks to more than 1000 bytes"):
        parse(stream.getvalue(), DOCX_TYPE)


def test_what_the_database_cannot_keep_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(b"a\x00b", "text/plain") == "ab"
    with pytest.raises(UnreadableDocumentError, match="holds no text"):
        parse(b"\x00 \x00", "text/plain")
    monkeypatch.setattr("pypdf.PageObject.extract_text", lambda _page: "half a pair: \ud83d")
    assert parse(pdf_with("x"), "application/pdf") == "half a pair: ?"


def test_unknown_type_names_the_known_ones() -> None:
    with pytest.raises(UnsupportedTypeError, match=r"'image/png' is not one of text/plain, text/markdown, application/pdf"):
        parse(b"x", "image/png")


def test_upload_of_text_and_of_a_file() -> None:
    text = Upload.from_body({"doc_id": "a.b-1", "title": " T ", "text": "words"})
    assert (text, text.to_text()) == (Upload("a.b-1", "T", b"words", "text/plain"), "words")
    file = Upload.from_body({"title": "T", "content_base64": base64.b64encode(pdf_with("Hi.")).decode(), "content_type": "application/pdf"})
    assert file.to_text() == "Hi."
    assert file.doc_id.startswith("doc-")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"title": "t"}, 422),
        ({"title": "t", "text": "x", "content_base64": "eA=="}, 422),
        ({"title": "", "text": "x"}, 422),
        ({"title": "t" * 301, "text": "x"}, 422),
        ({"title": "t\x00", "text": "x"}, 422),
        ({"title": "t", "text": 7}, 422),
        ({"title": "t", "text": "\ud800"}, 422),
        ({"title": "t", "text": "  "}, 422),
        ({"title": "t", "text": "x", "doc_id": "../etc"}, 422),
        ({"title": "t", "text": "x", "doc_id": 7}, 422),
        ({"title": "t", "text": "x" * (TEXT_CHARS_MAX + 1)}, 413),
        ({"title": "t", "content_base64": "%%%", "content_type": "text/plain"}, 422),
        ({"title": "t", "content_base64": "eA=="}, 422),
        ({"title": "t", "content_base64": 7, "content_type": "text/plain"}, 422),
        ({"title": "t", "content_base64": base64.b64encode(bytes(CONTENT_BYTES_MAX + 1)).decode(), "content_type": "text/plain"}, 413),
        ({"title": "t", "content_base64": "eA==", "content_type": "image/png"}, 415),
        ({"title": "t", "content_base64": "eA==", "content_type": "application/pdf"}, 422),
    ],
)
def test_refuses(body: dict[str, Any], status: int) -> None:
    with pytest.raises(ApiError) as refused:
        Upload.from_body(body).to_text()
    assert refused.value.status == status
