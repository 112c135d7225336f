"""What the reference stack holds: a corpus with questions, and the database filled with it. Both are made on this machine, so that every
driver holds the very same documents.
"""

from __future__ import annotations

from pathlib import Path

from harness.stack.launch import python_command, run_to_end
from harness.stack.options import StackOptions
from harness.stack.ready import Probe

CORPUS_DEADLINE_S = 60.0
MIGRATION_DEADLINE_S = 120.0
_FOLDER = "corpus"


def corpus_path(options: StackOptions) -> Path:
    """`corpus.jsonl`, once it was made."""
    return options.work_dir / _FOLDER / "corpus.jsonl"


def questions_path(options: StackOptions) -> Path:
    """`questions.jsonl`, likewise."""
    return options.work_dir / _FOLDER / "questions.jsonl"


def make_corpus(options: StackOptions, given_up: Probe) -> None:
    """Write both. Raises StackError."""
    source = ("--folder", str(options.corpus.resolve())) if options.corpus is not None else ()
    out = str(options.work_dir / _FOLDER)
    wanted = ("--out", out, "--seed", str(options.seed), "--documents", str(options.documents), *source)
    command = python_command("mocks.rag.corpus", {}, options, options.logs_dir / "corpus.log", *wanted)
    run_to_end("the corpus", command, CORPUS_DEADLINE_S, given_up)


def migrate(options: StackOptions, database_url: str, registry: Path, given_up: Probe) -> None:
    """Fill the database, and the vector store where it is another service, which `registry` lists. Raises StackError."""
    environment = {
        "DATABASE_URL": database_url,
        "CORPUS_FILE": str(corpus_path(options)),
        "VECTOR_STORE": options.vector_store,
        "REGISTRY_FILE": str(registry),
    }
    command = python_command("mocks.rag.migrate", environment, options, options.logs_dir / "migrate.log")
    run_to_end("the migration", command, MIGRATION_DEADLINE_S, given_up)
