"""The documents of a run, made and put into the stores from this machine, so that every driver holds the very same ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from harness.stack.data import CORPUS_DEADLINE_S, MIGRATION_DEADLINE_S
from harness.stack.launch import python_command, run_to_end
from harness.stack.options import StackOptions
from harness.stack.ready import Probe


class Documents(Protocol):
    """Where the documents of a stack come from. Both methods raise StackError."""

    def make(self, options: StackOptions, given_up: Probe) -> None:
        """Write `corpus.jsonl` and `questions.jsonl` into the folder `corpus` of the work directory."""
        ...

    def fill(self, options: StackOptions, stores: Mapping[str, str], given_up: Probe) -> None:
        """Make the tables and put the corpus into the stores, of which these are the URLs by service."""
        ...


class OwnDocuments:
    """Those of the reference stack, made as for every other driver."""

    def make(self, options: StackOptions, given_up: Probe) -> None:
        source = ("--folder", str(options.corpus.resolve())) if options.corpus is not None else ()
        wanted = ("--out", str(options.work_dir / "corpus"), "--seed", str(options.seed), "--documents", str(options.documents), *source)
        command = python_command("mocks.rag.corpus", {}, options, options.logs_dir / "corpus.log", *wanted)
        run_to_end("the corpus", command, CORPUS_DEADLINE_S, given_up)

    def fill(self, options: StackOptions, stores: Mapping[str, str], given_up: Probe) -> None:
        registry = options.work_dir / "registry-migration.json"
        listed = {name: [{"name": name, "url": url, "weight": 1}] for name, url in stores.items() if name != "postgres"}
        registry.write_text(json.dumps({"revision": 1, "services": listed, "settings": {}}), encoding="utf-8")
        environment = {
            "DATABASE_URL": stores["postgres"],
            "CORPUS_FILE": str(options.work_dir / "corpus" / "corpus.jsonl"),
            "VECTOR_STORE": options.vector_store,
            "REGISTRY_FILE": str(registry),
        }
        command = python_command("mocks.rag.migrate", environment, options, options.logs_dir / "migrate.log")
        run_to_end("the migration", command, MIGRATION_DEADLINE_S, given_up)
