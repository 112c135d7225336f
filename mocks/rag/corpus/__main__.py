"""`python -m mocks.rag.corpus`: write `corpus.jsonl` and `questions.jsonl`."""

import argparse
import json
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from mocks.rag.corpus.documents import Document, build
from mocks.rag.corpus.questions import Question, make_questions
from mocks.rag.corpus.sources import SourceError, from_folder, from_standard_library


def write_lines(path: Path, rows: Iterable[Document | Question]) -> None:
    """Write one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the corpus; 0, or 2 with one line on stderr where the source cannot give what is asked."""
    parser = argparse.ArgumentParser(prog="python -m mocks.rag.corpus", description="Write corpus.jsonl and questions.jsonl.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--documents", type=int, default=400)
    parser.add_argument("--questions", type=int, help="how many (default: three for every four documents, at least 10)")
    parser.add_argument("--folder", type=Path, help="read .txt and .md files from here instead of the standard library's docstrings")
    args = parser.parse_args(argv)
    try:
        sources = from_folder(args.folder, args.documents) if args.folder else from_standard_library(args.documents)
    except SourceError as error:
        sys.stderr.write(f"corpus: {error}\n")
        return 2
    documents, facts = build(sources, args.seed)
    count = args.questions if args.questions is not None else max(10, len(documents) * 3 // 4)
    questions = make_questions(facts, count, random.Random(args.seed))
    args.out.mkdir(parents=True, exist_ok=True)
    write_lines(args.out / "corpus.jsonl", documents)
    write_lines(args.out / "questions.jsonl", questions)
    sys.stdout.write(json.dumps({"documents": len(documents), "questions": len(questions)}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
