"""What identifies a request, and everything that is drawn for it from that alone."""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from functools import lru_cache
from random import Random
from typing import Any

import orjson

REMEMBERED = 65_536
"""So many requests are told apart when arrivals are counted; the one not seen for longest is then new again."""


def request_key(seed: int, route: str, body: Mapping[str, Any]) -> str:
    """32 hex digits: equal bodies on one route under one seed have equal keys, in every process and in any order of their members."""
    digest = hashlib.blake2b(orjson.dumps(body, option=orjson.OPT_SORT_KEYS), digest_size=16, salt=_salt(seed, route))
    return digest.hexdigest()


def share(key: str, purpose: str) -> float:
    """A number in [0, 1), uniform over requests and fixed for this one; another for every purpose."""
    digest = hashlib.blake2b(key.encode(), digest_size=7, person=purpose.encode()).digest()
    return int.from_bytes(digest) / 2**56


def generator(key: str) -> Random:
    """The source of everything else that is random in the answer to a request."""
    return Random(int(key, 16))


class Arrivals:
    """Counts how often each request has come."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._counts: OrderedDict[str, int] = OrderedDict()

    def count(self, key: str) -> int:
        """Count an arrival of `key`; its number, from 1."""
        counts = self._counts
        number = counts.pop(key, 0) + 1
        counts[key] = number
        if len(counts) > self._most:
            counts.popitem(last=False)
        return number


@lru_cache(maxsize=64)
def _salt(seed: int, route: str) -> bytes:
    return hashlib.blake2b(f"{seed}:{route}".encode(), digest_size=16).digest()
