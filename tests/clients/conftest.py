"""Mock services as processes, for clients that are processes, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.llm_process import LlmProcess
from tests.integration.vector_stores import VectorProcess

KEY = "sk-test"


@pytest.fixture
def llm(tmp_path: Path) -> Iterator[LlmProcess]:
    process = LlmProcess(tmp_path, profile={"api_keys": [KEY]})
    yield process
    process.close()


@pytest.fixture
def qdrant(tmp_path: Path) -> Iterator[VectorProcess]:
    yield from _started(VectorProcess("qdrant", tmp_path / "qdrant"))


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[VectorProcess]:
    yield from _started(VectorProcess("chroma", tmp_path / "chroma"))


def _started(process: VectorProcess) -> Iterator[VectorProcess]:
    try:
        process.start()
        yield process
    finally:
        process.close()
