"""Twelve defects, each planted in a project of its own that is otherwise ready for release: `tests/benchmarks/planted_defects.py`."""
