"""Log probabilities of tokens: made up, but the same for the same token, and never more than certainty."""

import zlib
from collections.abc import Sequence
from typing import Any


def scored(tokens: Sequence[str], start: int, end: int, alternatives: int) -> list[dict[str, Any]]:
    """The entries for `tokens[start:end]`, each with its most likely `alternatives`: the token itself, then others of the answer."""
    others = sorted(set(tokens))[: alternatives + 1]
    return [_entry(token, [other for other in others if other != token], alternatives) for token in tokens[start:end]]


def _entry(token: str, others: Sequence[str], alternatives: int) -> dict[str, Any]:
    best = _logprob(token)
    top = [_one(token, best), *(_one(other, best - 1.0 - i) for i, other in enumerate(others))]
    return {**_one(token, best), "top_logprobs": top[:alternatives]}


def _one(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _logprob(token: str) -> float:
    return -(zlib.crc32(token.encode()) % 1_000) / 2_000
