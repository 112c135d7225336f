"""What identifies a request, and everything that is drawn for it from that alone."""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from random import Random
from typing import Any, cast

import orjson

REMEMBERED = 32_768
"""So many requests at least are told apart when arrivals are counted; one that has not come for longer is new again."""


def request_key(seed: int, route: str, body: Mapping[str, Any]) -> str:
    """32 hex digits: equal bodies on one route under one seed have equal keys, in every process and in any order of their members."""
    digest = hashlib.blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=16, salt=_salt(seed, route))
    return digest.hexdigest()


def share(key: str, purpose: str) -> float:
    """A number in [0, 1), uniform over requests and fixed for this one; another for every purpose."""
    digest = hashlib.blake2b(key.encode(), digest_size=7, person=purpose.encode()).digest()
    return int.from_bytes(digest) / 2**56


class _SeededLater:
    """A `Random` from the first look at any of its methods on: a seed costs more than many an answer."""

    _random: Random | None = None

    def __init__(self, key: str) -> None:
        self._key = key

    def __getattr__(self, name: str) -> Any:
        if self._random is None:
            self._random = Random(int(self._key, 16))
        return getattr(self._random, name)


generator = cast(Callable[[str], Random], _SeededLater)
"""For a key, the source of everything else that is random in the answer to that request; seeded when it is used first."""


class Arrivals:
    """Counts how often each request has come: two generations of counts, of which those that are asked for again move to the younger."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._half = most // 2
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def __contains__(self, key: str) -> bool:
        """Whether it has come before."""
        return key in self._young or key in self._old

    def count(self, key: str) -> int:
        """Count an arrival of `key`; its number, from 1."""
        young = self._young
        number = 1 + (young.get(key) or self._old.get(key, 0))
        if len(young) > self._half:
            self._old, young = young, {}
            self._young = young
        young[key] = number
        return number


@lru_cache(maxsize=64)
def _salt(seed: int, route: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{route}".encode(), digest_size=16).digest()
