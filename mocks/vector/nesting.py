"""How deep a request's JSON goes: both products' parsers stop at the same depth, and Python's own limits lie behind it."""

from typing import Any

MOST_NESTED = 128  # serde's limit


def too_deep(raw: bytes, document: Any) -> bool:
    """Whether there are more objects and arrays within one another than both products take; `document` is what `raw` says."""
    return raw.count(b"[") + raw.count(b"{") >= MOST_NESTED and _deeper(document, MOST_NESTED - 1)


def _deeper(document: Any, levels: int) -> bool:
    level = [document]
    for _ in range(levels):
        level = [item for one in level for item in (one.values() if type(one) is dict else one) if type(item) in (list, dict)]
        if not level:
            return False
    return True
