"""The public names of the package, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import harness


def test_the_public_names_are_these() -> None:
    assert sorted(harness.__all__) == ["FakeClock", "Options", "Verdict", "__version__", "judge", "load_scenario", "run_scenario"]
    assert all(getattr(harness, name) is not None for name in harness.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = harness.nothing


def test_importing_the_package_imports_nothing_else_of_it() -> None:
    code = "import sys, harness; print(sorted(m for m in sys.modules if m.startswith('harness.') or m in ('pydantic', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
