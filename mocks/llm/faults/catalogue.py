"""All modules with fault types: importing them fills the registry. Their order here is that of the documentation."""

from types import ModuleType

from mocks.faults import body as shared_body
from mocks.faults import connection, head, keep_alive
from mocks.llm.faults import (
    body,
    embedding,
    finish,
    http,
    legal,
    limits,
    pace,
    semantic,
    semantic_form,
    stream_content,
    stream_endings,
)
from mocks.llm.faults.registry import FAULTS

FAMILIES: dict[str, tuple[ModuleType, ...]] = {
    "Errors of the provider": (limits, http),
    "Connections": (connection, head, keep_alive),
    "Bodies": (shared_body, body),
    "Pace": (pace,),
    "Streams": (stream_endings, stream_content),
    "Finish reasons": (finish,),
    "Legal streams": (legal,),
    "Meaning": (semantic, semantic_form),
    "Vectors": (embedding,),
}
"""The modules by the headings under which their types are documented."""

__all__ = ["FAMILIES", "FAULTS"]
