"""What users of the reference stack see of faults of its stores and its data, and that the corpus is whole again afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest
import redis

from harness.faults.base import Context
from harness.faults.data_target import Known, known_questions
from harness.faults.rag_api import RagApi
from harness.faults.registry import build
from harness.record.clock import NS_PER_S, SystemClock
from harness.scenario.model import FaultUse
from harness.stack.options import StackOptions
from harness.stack.processes import ProcessStack

pytestmark = [pytest.mark.e2e, pytest.mark.beside]

WITHIN_S = 60.0
_CORPUS = """
SELECT md5((SELECT string_agg(d::text, '|' ORDER BY doc_id) FROM documents AS d) ||
    (SELECT string_agg(c::text, '|' ORDER BY chunk_id) FROM chunks AS c)),
    (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname LIKE 'batch%'),
    (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'batch%')
"""


@pytest.fixture(scope="module")
def stack() -> Iterator[ProcessStack]:
    folder = Path(tempfile.mkdtemp(prefix="e2e-"))
    folder.chmod(0o711)
    made = ProcessStack(StackOptions("data-faults", folder / "work", folder, documents=40))
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def api(stack: ProcessStack) -> RagApi:
    return RagApi(stack.entry_url, stack.api_key)


@pytest.fixture
def whole(stack: ProcessStack) -> Iterator[None]:
    """The corpus is after the test what it was before."""
    before = corpus(stack)
    yield
    assert corpus(stack) == before


def corpus(stack: ProcessStack) -> Any:
    with psycopg.connect(stack.instances("postgres")[0].url) as connection:
        return connection.execute(_CORPUS).fetchone()


def make(name: str, stack: ProcessStack, target: str = "postgres", **parameters: Any) -> Any:
    use = FaultUse.model_validate({"id": "seen", "type": name, "target": target, "for": "60s", "with": parameters})
    return build(use, Context(stack, SystemClock(), Random(11))).fault


def wait_for(look: Callable[[], Any], what: str) -> Any:
    clock = SystemClock()
    deadline_ns = clock.now_ns() + round(WITHIN_S * NS_PER_S)
    while not (found := look()):
        assert clock.now_ns() < deadline_ns, what
        clock.sleep(0.1)
    return found


def right_answers(api: RagApi, known: list[Known]) -> int:
    with ThreadPoolExecutor(len(known)) as people:
        return sum(people.map(lambda one: one.canary in api.ask(one.question), known))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("data.deleted_documents", {"share": 1.0}),
        ("data.stale_index", {"share": 1.0}),
        ("data.poisoned_document", {"documents": 500}),
        ("data.injection_document", {"documents": 500}),
    ],
)
@pytest.mark.usefixtures("whole")
def test_answers_are_wrong_while_it_lasts(name: str, parameters: dict[str, Any], stack: ProcessStack, api: RagApi) -> None:
    known = known_questions(stack)[:8]
    stack.clear_cache()
    before = right_answers(api, known)
    assert before >= 6
    fault = make(name, stack, **parameters)
    fault.inject()
    wait_for(fault.verify, "it bites")
    stack.clear_cache()  # what was asked before is still remembered, as it would be by any user's cache
    wait_for(lambda: right_answers(api, known) <= before // 2, "answers are wrong")
    fault.heal()
    wait_for(fault.gone, "it is gone")
    assert right_answers(api, known) == before


@pytest.mark.usefixtures("whole")
def test_poisoned_cache_entries_are_served_and_then_forgotten(stack: ProcessStack, api: RagApi) -> None:
    known = known_questions(stack)[:8]
    before = right_answers(api, known)
    fault = make("cache.poisoned", stack, "cache", match="retrieval:*")
    fault.inject()
    wait_for(fault.verify, "it bites")
    stack.restart("retrieval-1")  # a process that remembers nothing, as after a deployment
    stack.restart("retrieval-2")
    assert right_answers(api, known) <= before // 2
    fault.heal()
    wait_for(fault.gone, "it is gone")
    assert right_answers(api, known) == before


def test_a_document_is_indexed_and_not_found_while_reads_are_stale(stack: ProcessStack, api: RagApi) -> None:
    fault = make("database.stale_reads", stack, lag="60s")
    fault.inject()
    wait_for(fault.verify, "it bites")
    text = "The harbour master of Quorvintal is called Zebedee Blenkinsop."
    assert api.upload({"doc_id": "harbour", "title": "Quorvintal", "text": text}).status == 202
    wait_for(lambda: api.state("harbour") == "indexed", "it is indexed")
    question = "Who is the harbour master of Quorvintal?"
    assert "harbour" not in [source["doc_id"] for source in api.search(question)]
    fault.heal()
    wait_for(fault.gone, "it is gone")
    assert api.search(question)[0]["doc_id"] == "harbour"
    with psycopg.connect(stack.instances("postgres")[0].url) as connection:
        connection.execute("DELETE FROM documents WHERE doc_id = 'harbour'")


@pytest.mark.usefixtures("whole")
def test_uploads_of_users_wait_behind_a_backlog(stack: ProcessStack, api: RagApi) -> None:
    fault = make("data.ingest_backlog", stack, "document", documents=400)
    fault.inject()
    wait_for(fault.verify, "it bites")
    fault.heal()
    wait_for(fault.gone, "it is gone")
    with redis.Redis.from_url(stack.instances("cache")[0].url) as client:
        assert client.xlen("ingest") == 0
