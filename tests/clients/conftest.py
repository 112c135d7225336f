"""Mock services as processes, for clients that are processes, too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.vector_stores import VectorProcess


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
