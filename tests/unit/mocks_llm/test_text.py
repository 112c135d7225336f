"""Words, tokens, vectors and extracted answers."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.llm.answers.extractive import REFUSAL, answer, parse
from mocks.llm.hashing import embed
from mocks.llm.words import is_identifier, parts, remembered, tokens
from tests.unit.mocks_llm.corpus_index import CorpusIndex


@pytest.fixture(scope="module", params=[1, 2])
def index(request: pytest.FixtureRequest) -> CorpusIndex:
    return CorpusIndex.build(request.param)


@settings(deadline=None)
@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens(text)) == text


def test_tokens_are_word_pieces() -> None:
    assert tokens("The code of json.dumps is ZK-7F3A91.") == [
        *("The", " code", " of", " json", ".", "dumps", " is", " ZK", "-", "7", "F", "3", "A", "91", ".")
    ]


@pytest.mark.parametrize(
    ("word", "expected"),
    [("json.dumps", True), ("ZK-7F3A91", True), ("max_len", True), ("OrderedDict", True), ("HTTPServer", True), ("Serialize", False)],
)
def test_identifiers(word: str, expected: bool) -> None:
    assert is_identifier(word) is expected


def test_parts_of_a_name() -> None:
    assert parts("collections.OrderedDict") == ("collection", "ordered", "dict")
    assert parts("größen") == ("größen",)


@settings(deadline=None)
@given(st.text(st.characters(), max_size=200), st.integers(1, 512))
def test_every_text_has_a_unit_vector(text: str, dimension: int) -> None:
    vector = embed(text, dimension)
    assert vector.shape == (dimension,)
    assert vector.dtype == np.float32
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_vectors_are_the_same_in_every_process_and_release() -> None:
    """Vectors are stored: a release that changes them makes every index that an older one filled useless."""
    vector = embed("json.dumps serializes", 8)
    assert [round(float(value), 4) for value in vector] == [-0.2361, 0.2543, -0.4359, 0.5085, 0.1271, 0.0, 0.2361, -0.5993]


def test_lexically_close_texts_are_close() -> None:
    question = embed("Which release number does json.dumps have?", 384)
    right = embed("json.dumps Serialize obj to a JSON formatted str. The release number of json.dumps is AB-123456.", 384)
    wrong = embed("shutil.rmtree Recursively delete a directory tree. The release number of shutil.rmtree is AB-654321.", 384)
    assert question @ right > 2 * (question @ wrong)


def test_a_question_is_embedded_within_a_millisecond() -> None:
    texts = [f"Which release number does module{i}.function{i} have?" for i in range(50)]
    durations = []
    for text in texts:
        started = time.perf_counter()
        embed(text, 384)
        durations.append(time.perf_counter() - started)
    assert min(durations) < 0.001  # the best of 50: what it costs when nothing else runs


def test_retrieval_finds_the_gold_document(index: CorpusIndex) -> None:
    asked = [question for question in index.questions if question.answerable]
    hits = [question.gold[0] in {chunk.doc_id for chunk in index.top(question.question)} for question in asked]
    assert len(asked) == 270
    assert np.mean(hits) >= 0.97


def test_answers_hold_the_canary_and_cite_the_gold_document(index: CorpusIndex) -> None:
    asked = [question for question in index.questions if question.canary is not None]
    answers = [answer(index.prompt(question), 60) for question in asked]
    right = [
        question.canary is not None and question.canary in text and f"[{question.gold[0]}]" in text
        for question, text in zip(asked, answers, strict=True)
    ]
    assert np.mean(right) >= 0.98


def test_answers_without_a_source_are_refused(index: CorpusIndex) -> None:
    asked = [question for question in index.questions if not question.answerable]
    refused = [answer(index.prompt(question), 60) == REFUSAL for question in asked]
    assert len(asked) == 30
    assert np.mean(refused) >= 0.98


def test_answers_keep_to_the_limit(index: CorpusIndex) -> None:
    assert max(len(tokens(answer(index.prompt(question), 60))) for question in index.questions) <= 60


def test_question_and_blocks_of_a_prompt() -> None:
    prompt = "Rules.\n\n[a.b] First text.\n\n[c] Second\ntext.\n\nQuestion: What is a.b?"
    assert parse(prompt) == ("What is a.b?", [("a.b", "First text."), ("c", "Second")])


def test_without_the_word_question_the_last_paragraph_is_it() -> None:
    assert parse("[a] Text.\n\nWhat is a?") == ("What is a?", [("a", "Text.")])


@pytest.mark.parametrize("prompt", ["", "Hello!", "Question: What is json.dumps?", "[a] Text.\n\nQuestion: ???"])
def test_prompts_that_hold_no_answer_are_refused(prompt: str) -> None:
    assert answer(prompt, 60) == REFUSAL


def test_a_sentence_longer_than_the_limit_is_cut_and_still_cited() -> None:
    prompt = f"[a.b] The colour of a.b is {'very ' * 200}red.\n\nQuestion: What is the colour of a.b?"
    text = answer(prompt, 20)
    assert text.startswith("The colour of a.b is very")
    assert text.endswith(" [a.b]")
    assert len(tokens(text)) <= 20


def test_what_is_remembered_of_words_is_bounded_in_length_as_well() -> None:
    asked: list[str] = []

    @remembered
    def length(word: str) -> int:
        asked.append(word)
        return len(word)

    short, long = "a" * 64, "a" * 65
    assert [length(word) for word in (short, short, long, long)] == [64, 64, 65, 65]
    assert asked == [short, long, long]
