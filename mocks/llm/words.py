"""How the mock reads text: words, identifiers and tokens."""

import re
from collections.abc import Callable
from functools import lru_cache, wraps
from typing import TypeVar

_WORD = re.compile(r"\w+(?:[.\-]\w+)*")
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_JOINT = re.compile(r"[._\-]+")
_TOKEN = re.compile(r"\s*(?:[A-Za-z]+|\d{1,3}|[^A-Za-z\d\s])|\s+\Z")
_NAMED = re.compile(r"[._0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]")

_STOP_WORDS = """
a about am an and any are as at be been being but by can cannot could did do does each for from give given gives had has have he her his
how i if in into is it its itself just let many may me more most my no not of off on one only or other our out over own please same say
says she should so some such tell than that the their them then there these they this those through to too under until up us use used
using very was we were what when where which while who whom whose why will with would you your
"""
_COMMON_WORDS = """
additional all also argument ask asked base belong call case change class code create data default describe described description
document entry error example exist false file find first following function get handle implementation information input instance key
kind know last line list look looking method module name new none number object optional order output parameter part pass point possible
process provide put raise read record reference related release represent require result return section sequence set similar simple
somebody specified start string support system tag take test time true type user valid value version way whether word work write
"""

STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that carry no meaning of their own."""
COMMON_WORDS = frozenset(_COMMON_WORDS.split())
"""Words (stemmed) that so many technical texts share that they say little about any one of them."""


_MOST_REMEMBERED = 16_384
_LONGEST_REMEMBERED = 64  # characters: words are shorter, and what a caller makes up must not stay in memory

_Said = TypeVar("_Said")


def remembered(function: Callable[[str], _Said]) -> Callable[[str], _Said]:
    """Decorator: remember what a function says of the words that came last."""
    known = lru_cache(maxsize=_MOST_REMEMBERED)(function)

    @wraps(function)
    def ask(word: str) -> _Said:
        return known(word) if len(word) <= _LONGEST_REMEMBERED else function(word)

    return ask


def words(text: str) -> list[str]:
    """The words of `text` in order; a dotted, hyphenated or underscored name is one word."""
    return _WORD.findall(text)


@remembered
def is_identifier(word: str) -> bool:
    """Whether `word` names one thing (`json.dumps`, `ZK-7F3A91`, `max_len`, `OrderedDict`) rather than describing it."""
    return _NAMED.search(word) is not None or (not word.isascii() and any(c.isdigit() for c in word))


@remembered
def parts(word: str) -> tuple[str, ...]:
    """The lower-cased pieces of a name or hyphenated word, stop words dropped; a plain word is its only piece."""
    pieces = _PART.findall(word) if word.isascii() else _JOINT.split(word)
    stems = [stem(piece.lower()) for piece in pieces]
    return tuple([piece for piece in stems if piece and piece not in STOP_WORDS])


def stem(word: str) -> str:
    """`word` without its plural ending, so that "returns" and "return" meet."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def tokens(text: str) -> list[str]:
    """Cut `text` into the mock's model tokens; joined again they are `text`, byte for byte."""
    return _TOKEN.findall(text)
