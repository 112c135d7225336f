"""Chunks hold every word once, in order, whole sentences where they fit, and the title."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.rag.document.chunking import Chunk, chunk_document

TEXTS = st.text(alphabet="ab .!?\n\t", max_size=400)
TITLES = st.text(alphabet="xy \n", max_size=12)


@given(text=TEXTS, title=TITLES, limit=st.integers(1, 12))
def test_every_word_is_in_exactly_one_chunk_in_order_below_the_title(text: str, title: str, limit: int) -> None:
    chunks = chunk_document("d", title, text, limit)
    heading = " ".join(title.split())
    bodies = [chunk.text.removeprefix(f"{heading}\n") if heading else chunk.text for chunk in chunks]
    assert [word for body in bodies for word in body.split()] == text.split()
    assert all(0 < len(body.split()) <= limit for body in bodies)
    assert all(chunk.text.startswith(heading) for chunk in chunks)
    assert [(chunk.chunk_id, chunk.doc_id, chunk.ordinal) for chunk in chunks] == [(f"d#{n}", "d", n) for n in range(len(chunks))]


@given(sentences=st.lists(st.integers(1, 8), min_size=1, max_size=20))
def test_a_sentence_that_fits_is_never_cut(sentences: list[int]) -> None:
    text = " ".join(" ".join([f"s{number}"] * words) + "." for number, words in enumerate(sentences))
    found = [chunk.text for chunk in chunk_document("d", "", text, 8)]
    for number, words in enumerate(sentences):
        assert sum(f"{' '.join([f's{number}'] * words)}." in body for body in found) == 1


def test_packs_as_many_sentences_as_fit() -> None:
    chunks = chunk_document("os.path", " os.path \n module", "One two. Three four!\n\nFive six seven.", 4)
    assert chunks == [
        Chunk("os.path#0", "os.path", 0, "os.path module\nOne two. Three four!"),
        Chunk("os.path#1", "os.path", 1, "os.path module\nFive six seven."),
    ]


def test_refuses_a_limit_that_holds_no_word() -> None:
    with pytest.raises(ValueError, match="words_per_chunk must be positive, got 0"):
        chunk_document("d", "t", "word", 0)
