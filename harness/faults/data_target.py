"""What faults of a RAG system's data share: questions with known answers, the public interface, and the tables of documents and chunks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.faults.base import Context, FaultError, Parameters, Target, act, capability
from harness.faults.database_client import Connection, DatabaseFault, text
from harness.faults.rag_api import RagApi
from harness.lazy import Lazy
from harness.scenario.catalog import FaultSpec, Role
from harness.stack.base import CacheClearable, Documented, PointsAt, Questioned, Stack, StackError

if TYPE_CHECKING:
    from psycopg import sql
else:
    sql = Lazy("psycopg.sql")

INTAKE = ("document",)
"""The service of the reference stack that takes documents."""
DOCUMENTS, CHUNKS = "documents", "chunks"
_TABLES = {DOCUMENTS: ("doc_id",), CHUNKS: ("doc_id", "chunk_id", "text")}
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"

# Of every stream, the events that speak of documents with the fault's name, also of those that a consumer has in hand.
PURGE = """
local purged = 0
for _, key in ipairs(redis.call('KEYS', '*')) do
    if redis.call('TYPE', key).ok == 'stream' then
        local groups = redis.call('XINFO', 'GROUPS', key)
        for _, entry in ipairs(redis.call('XRANGE', key, '-', '+')) do
            if string.find(table.concat(entry[2], ' '), ARGV[1], 1, true) then
                for _, group in ipairs(groups) do redis.call('XACK', key, group[2], entry[1]) end
                purged = purged + redis.call('XDEL', key, entry[1])
            end
        end
    end
end
return purged
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A question, the document that answers it, and the code that only this document states."""

    question: str
    doc_id: str
    title: str
    text: str
    canary: str

    @property
    def sentence(self) -> str:
        """The one that states the code."""
        return next((part for part in self.text.split("\n\n") if self.canary in part), self.canary)


def known_questions(stack: Stack) -> list[Known]:
    """The answerable ones, one a document, in the order of the file. Raises FaultError for a stack without."""
    questioned = capability(stack, Questioned)
    documents = {row["doc_id"]: row for row in _rows(questioned.corpus_path.read_text(encoding="utf-8"))}
    found: dict[str, Known] = {}
    for row in _rows(questioned.questions_path.read_text(encoding="utf-8")):
        document = documents.get(row["gold"][0]) if row["gold"] else None
        if row["answerable"] and document is not None and document["doc_id"] not in found:
            found[document["doc_id"]] = Known(row["question"], document["doc_id"], document["title"], document["text"], row["canary"])
    if not found:
        raise FaultError("the stack has no question with a known answer")
    return list(found.values())


def _rows(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines() if line.strip()]


def service_of(stack: Stack, role: Role) -> str | None:
    """The service that speaks it; None where none does."""
    return next((service for service in stack.info.services if stack.info.role(service) == role), None)


class DataFault(DatabaseFault[Parameters]):
    """A fault of documents and of what the pipeline made of them, in the tables of the reference stack."""

    spec: ClassVar[FaultSpec]

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        """Raises FaultError for a stack some of whose derived data are out of reach: they could not be taken back."""
        super().__init__(target, parameters, context)
        try:
            self._documents = capability(context.stack, Documented).documents()
        except StackError as error:
            raise FaultError(f"{self.spec.name}: {error}") from error
        self.api = RagApi(context.stack.entry_url, context.stack.api_key)

    @property
    def dsn(self) -> str:
        """Of the database that documents end up in, whatever service the target is."""
        return self._documents.dsn

    @property
    def points_at(self) -> PointsAt | None:
        """Where vectors are kept apart from the database."""
        return self._documents.points

    def check_tables(self, connection: Connection) -> None:
        """Raises FaultError where documents are not kept as the reference stack does."""
        for table, wanted in _TABLES.items():
            missing = set(wanted) - {str(row[0]) for row in connection.execute(_COLUMNS, (table,))}
            if missing:
                raise FaultError(f"the database has no table {table} with {', '.join(sorted(missing))}: this fault knows only such")

    def draw(self, share: float) -> list[Known]:
        """That share of the documents that are asked about, at least one, drawn with the scenario's seed."""
        known = known_questions(self.context.stack)
        return self.context.random.sample(known, max(1, round(share * len(known))))

    def forget_copies(self) -> None:
        """Caches may hold what was found meanwhile: they are emptied, where the stack can."""
        if isinstance(self.context.stack, CacheClearable):
            act("clearing caches", self.context.stack.clear_cache)

    def fingerprint(self, connection: Connection, doc_ids: Sequence[str]) -> str:
        """Of all that is kept of these documents."""
        digests = []
        for table in _TABLES:
            query = text(
                sql.SQL(
                    "SELECT md5(coalesce(string_agg(row::text, '|' ORDER BY row::text), '')) FROM {table} AS row WHERE doc_id = ANY(%s)"
                ),
                table=sql.Identifier(table),
            )
            row = connection.execute(query.encode(), (list(doc_ids),)).fetchone()
            digests.append(str(row[0]) if row else "")
        return "-".join(digests)

    def other_code(self, known: Known) -> str:
        """A code of the same shape that is not the document's."""
        rng = self.context.random
        while True:
            shuffled = "".join(rng.choice("0123456789ABCDEF") for _ in range(6))
            code = f"{known.canary.partition('-')[0]}-{shuffled}"
            if code != known.canary:
                return code
