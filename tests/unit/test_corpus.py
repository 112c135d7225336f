"""The corpus: unique facts, questions with known answers, the same for the same seed."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from mocks.rag.corpus.__main__ import main
from mocks.rag.corpus.documents import build
from mocks.rag.corpus.questions import make_questions
from mocks.rag.corpus.sources import Source, SourceError, from_folder, from_standard_library


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_command_writes_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.process_time()
    assert main(["--out", str(tmp_path / "new"), "--seed", "7"]) == 0
    assert time.process_time() - started < 10  # of a processor: a quarter of a second
    assert json.loads(capsys.readouterr().out) == {"documents": 400, "questions": 300}
    documents = read(tmp_path / "new" / "corpus.jsonl")
    questions = read(tmp_path / "new" / "questions.jsonl")
    assert {frozenset(document) for document in documents} == {frozenset({"doc_id", "title", "text", "version"})}
    assert {frozenset(question) for question in questions} == {frozenset({"id", "question", "gold", "canary", "answerable"})}
    assert [question["id"] for question in questions] == list(range(300))
    assert main(["--out", str(tmp_path / "again"), "--seed", "7"]) == 0
    for name in ("corpus.jsonl", "questions.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "new" / name).read_bytes()


@pytest.mark.parametrize("seed", [0, 1])
def test_every_fact_is_in_its_document_and_nowhere_else(seed: int) -> None:
    documents, facts = build(from_standard_library(600), seed)
    everything = "\n".join(document.text for document in documents)
    for document, fact in zip(documents, facts, strict=True):
        assert fact.sentence in document.text
        assert everything.count(fact.code) == 1
    assert len({document.doc_id.lower() for document in documents}) == 600
    assert all(len(document.text) < 2_500 and document.version == 1 for document in documents)


def test_another_seed_has_the_same_documents_and_other_facts() -> None:
    sources = from_standard_library(50)
    first, second = build(sources, 1)[1], build(sources, 2)[1]
    assert [fact.doc_id for fact in first] == [fact.doc_id for fact in second]
    assert not {fact.code for fact in first} & {fact.code for fact in second}


def test_questions_know_their_answers() -> None:
    _, facts = build(from_standard_library(400), 5)
    codes = {fact.doc_id: fact.code for fact in facts}
    questions = make_questions(facts, 300, random.Random(5))
    answerable = [question for question in questions if question.answerable]
    assert [question.id % 10 == 9 for question in questions] == [not question.answerable for question in questions]
    assert all(question.canary == codes[question.gold[0]] for question in answerable)
    assert len({question.gold[0] for question in answerable}) == 270
    assert all((question.gold, question.canary) == ([], None) for question in questions if not question.answerable)
    assert len({question.question for question in questions}) == 300
    assert max(Counter(question.question.split()[0] for question in questions).values()) < 150


def test_more_questions_than_documents_ask_again() -> None:
    _, facts = build(from_standard_library(3), 0)
    questions = make_questions(facts, 20, random.Random(0))
    assert [fact.title for fact in facts] == ["abc.ABC", "argparse", "array"]
    assert Counter(question.gold[0] for question in questions if question.gold) == {"abc.ABC": 18}  # the others are plain words


def test_plain_titles_are_asked_about_where_there_are_no_others() -> None:
    _, facts = build(from_standard_library(3), 0)
    questions = make_questions(facts[1:], 20, random.Random(0))
    assert Counter(question.gold[0] for question in questions if question.gold) == {"argparse": 9, "array": 9}


def test_a_folder_of_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "On boarding.md").write_text("# Welcome\n\nFirst day:\n\n- badge", encoding="utf-8")
    (tmp_path / "plain.txt").write_text("Über alles.", encoding="utf-8")
    (tmp_path / "empty.txt").write_text(" ")
    (tmp_path / "image.png").write_bytes(b"\xff")
    sources = from_folder(tmp_path, 10)
    assert [(source.doc_id, source.title) for source in sources] == [("plain", "plain"), ("sub-On-boarding", "On boarding")]
    documents, facts = build(sources, 0)
    assert documents[1].text == f"# Welcome.\n\n{facts[1].sentence}\n\nFirst day.\n\n- badge."


def test_sources_that_cannot_give_what_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="fewer than the 1000000 asked for"):
        from_standard_library(1_000_000)
    with pytest.raises(SourceError, match="ask for at least 1"):
        from_standard_library(0)
    assert main(["--out", str(tmp_path / "out"), "--folder", str(tmp_path / "none")]) == 2
    assert "has 0 documents" in capsys.readouterr().err
    (tmp_path / "latin.txt").write_bytes(b"\xe9t\xe9")
    with pytest.raises(SourceError, match="cannot read"):
        from_folder(tmp_path, 10)


def test_long_documents_are_cut_between_paragraphs() -> None:
    text = "\n\n".join(f"Paragraph {i} {'word ' * 50}" for i in range(40))
    (document,), (fact,) = build([Source("d", "d", text)], 0)
    paragraphs = document.text.split("\n\n")
    assert paragraphs[1] == fact.sentence
    assert paragraphs[2:] == [f"Paragraph {i} {'word ' * 50}".strip() + "." for i in range(1, len(paragraphs) - 1)]
    assert 1_200 < len(document.text) <= 1_700
