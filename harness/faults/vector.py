"""Faults of a vector store, played by its mock over an admin API that the stack cannot see.

No action of an operator ends them: a store that is restarted, or filled again, answers as badly as before.
"""

from __future__ import annotations

from harness.faults import vector_answers, vector_contents
from harness.faults.programmed.fault import fault_classes
from harness.faults.programmed.match import VectorMatch
from harness.faults.programmed.row import Family
from harness.faults.vector_probe import VectorProbe

FAMILY = Family("vector", ("vector",), "vector", VectorMatch, VectorProbe, remark="  # with `stack: {vector_store: qdrant}`, or chroma")
ROWS = (*vector_answers.ROWS, *vector_contents.ROWS)
FAULTS = fault_classes(FAMILY, ROWS)
