"""`degraded` and its reasons, merged from everything that took part in an answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LEXICAL_RETRIEVAL = "lexical_retrieval"
NO_CONTEXT = "no_context"


def merge(*sources: Iterable[str]) -> list[str]:
    """Every reason once, in order of first mention."""
    return list(dict.fromkeys(reason for reasons in sources for reason in reasons))


def with_reasons(payload: Mapping[str, Any], earlier: Iterable[str]) -> dict[str, Any]:
    """`payload` of a later part with the reasons of the earlier parts in front; `degraded` follows from them."""
    reasons = merge(earlier, payload.get("degraded_reasons", ()))
    return {**payload, "degraded": bool(reasons) or bool(payload.get("degraded", False)), "degraded_reasons": reasons}
