"""A fault that the stack cannot take is refused with what could: the same stack run otherwise, another fault of the kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.faults import registry
from harness.scenario.check import check
from harness.scenario.checks.faults import check_faults
from harness.scenario.loader import load_text
from harness.stack.catalog import info_for
from tests.unit.scenario.catalogue import CATALOG, REFERENCE

KILL = """
name: x
load: {shape: [{constant: 5/s}]}
phases: {steady_state: 10s, fault: 10s}
faults: [{id: a, type: process.kill, target: retrieval-1, at: fault, for: 5s}]
objectives: {steady_state: {availability: ">= 90%"}}
"""
ALL = REFERENCE.capabilities
LESS = ALL - {"Killable"}


@pytest.mark.parametrize(
    ("alternatives", "also_pauses_crash", "hint"),
    [
        ({"{driver: a}": ALL, "{driver: b}": LESS}, False, "`stack: {driver: a}` can"),
        ({"{driver: a}": ALL, "{driver: b}": ALL}, False, "`stack: {driver: a}` can; `stack: {driver: b}` can"),
        ({"{driver: a}": ALL}, True, "`stack: {driver: a}` can; this stack can do process.pause"),
        ({"{driver: b}": LESS}, True, "this stack can do process.pause"),
        ({"{driver: b}": LESS}, False, "use a stack that can: `stack: {use: reference}`"),
    ],
)
def test_it_is_said_what_could(alternatives: dict[str, frozenset[str]], also_pauses_crash: bool, hint: str) -> None:
    catalog = {**CATALOG, "process.pause": replace(CATALOG["process.pause"], kind="crash" if also_pauses_crash else "hang")}
    catalog = {name: spec for name, spec in catalog.items() if spec.kind != "crash" or name.startswith("process.")}
    (problem,) = [
        p
        for p in check(load_text(KILL), catalog, replace(REFERENCE, capabilities=LESS, alternatives=alternatives))
        if p.severity == "error"
    ]
    assert (problem.message, problem.hint) == ("the stack 'reference' cannot do process.kill: it is not Killable", hint)


@pytest.mark.parametrize("name", ["data.corrupt_pdf", "data.oversized_document", "data.ingest_backlog", "data.deleted_documents"])
@pytest.mark.parametrize(
    ("stack", "hint"),
    [
        ("{use: compose, file: compose.yaml, services: {document: {port: 80, role: ROLE}}}", "`stack: {use: reference}`"),
        ("{vector_store: qdrant}", "`stack: {vector_store: pgvector}` can"),
    ],
)
def test_faults_of_documents_go_to_the_stack_whose_documents_are_known(name: str, stack: str, hint: str) -> None:
    deleted = name == "data.deleted_documents"
    text = KILL.replace(
        "process.kill, target: retrieval-1", f"{name}, target: {'postgres' if deleted and 'vector' in stack else 'document'}"
    )
    loaded = load_text(f"{text}stack: {stack.replace('ROLE', 'postgres' if deleted else 'http')}\n")
    (problem,) = check_faults(loaded, registry.CATALOG, info_for(loaded.scenario.stack))
    assert problem.message.endswith(f"cannot do {name}: it is not Documented")
    assert hint in problem.hint
