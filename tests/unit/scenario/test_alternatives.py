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


@pytest.mark.parametrize("stack", ["{}", "{driver: containers}", "{vector_store: qdrant}"])
def test_an_expired_certificate_goes_to_the_stack_with_tls(stack: str) -> None:
    text = KILL.replace("process.kill, target: retrieval-1", "credentials.tls_certificate_expired, target: ingress")
    loaded = load_text(f"{text}stack: {stack}\n")
    (problem,) = check_faults(loaded, registry.CATALOG, info_for(loaded.scenario.stack))
    assert problem.message == "the stack 'reference' cannot do credentials.tls_certificate_expired: it is not Certified"
    assert "`stack: {driver: containers, tls: true}` can" in problem.hint


def test_what_nginx_cannot_do_is_refused_with_who_can() -> None:
    text = KILL.replace("process.kill, target: retrieval-1", "resource.cpu_stress, target: ingress")
    loaded = load_text(f"{text}stack: {{driver: containers, tls: true}}\n")
    (problem,) = check_faults(loaded, registry.CATALOG, info_for(loaded.scenario.stack))
    assert problem.message == "resource.cpu_stress needs Stressable, which 'ingress' of this stack is not"
    assert problem.hint == "write cache, document, embedding, gateway, generation, llm, llm_fallback, postgres, query, retrieval, user"


def test_tls_is_for_containers() -> None:
    with pytest.raises(ValueError, match="write `driver: containers`, or drop `tls`"):
        info_for(load_text(f"{KILL}stack: {{tls: true}}\n").scenario.stack)


@pytest.mark.parametrize("name", ["data.corrupt_pdf", "data.oversized_document", "data.ingest_backlog", "data.deleted_documents"])
@pytest.mark.parametrize(
    ("stack", "hint"),
    [
        ("{use: compose, file: compose.yaml, services: {document: {port: 80, role: ROLE}}}", "`stack: {use: reference}`"),
        ("{driver: kubernetes, vector_store: qdrant}", "`stack: {vector_store: pgvector}` can"),
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
