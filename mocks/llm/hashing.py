"""Embeddings by feature hashing: texts that share words, and above all names, lie close together.

Words, parts of names and character n-grams are hashed to signed coordinates (Weinberger et al., 2009), so that retrieval over these
vectors finds what a lexical search would find, with no model and no vocabulary.
"""

import math
import zlib
from collections import Counter
from functools import lru_cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mocks.llm.words import COMMON_WORDS, STOP_WORDS, is_identifier, parts, stem, words

Vector = NDArray[np.float32]

# Chosen for recall@5 of the generated questions over six seeds: 0.978 at worst, 0.985 on average.
_WORD_WEIGHT = 1.0
_WHOLE_WORD_WEIGHT = 1.0  # again, unless it is common: the question "heapq" is for `heapq` before it is for `heapq.merge`
_COMMON_WORD_WEIGHT = 0.3
_IDENTIFIER_WEIGHT = 2.0
_PART_WEIGHT = 0.6  # of an identifier
_NGRAM_WEIGHT = 0.35
_NGRAM_LENGTH = 4


def embed(text: str, dimension: int) -> Vector:
    """The unit vector of `text`, shape (dimension,), float32; the same text gives the same vector in every process.

    A text without any word gets the vector of the empty word, for a zero vector has no direction.
    """
    counts = Counter(words(text))
    features = [(_features(word), 1.0 + math.log(n)) for word, n in counts.items()]
    hashes = list(chain.from_iterable(found for (found, _), _ in features)) or [_hash("")]
    weights = [weight * tf for (_, found), tf in features for weight in found] or [1.0]
    slots = np.array(hashes, dtype=np.int64)
    signed = np.where(slots & 1, 1.0, -1.0) * np.array(weights)
    vector = np.bincount((slots >> 1) % dimension, weights=signed, minlength=dimension)
    length = float(np.linalg.norm(vector))
    if length == 0.0:  # opposite signs met in every coordinate
        vector[0] = length = 1.0
    return (vector / length).astype(np.float32)


@lru_cache(maxsize=65_536)
def _features(word: str) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Hashes and weights of one word's features, stop words having none."""
    lower = word.lower()
    if lower in STOP_WORDS:
        return (), ()
    named = is_identifier(word)
    known = _PART_WEIGHT if named else _WORD_WEIGHT
    found = [(f"w:{part}", _COMMON_WORD_WEIGHT if part in COMMON_WORDS else known) for part in parts(word)]
    if named:
        found.append((f"i:{lower}", _IDENTIFIER_WEIGHT))
    elif stem(lower) not in COMMON_WORDS:
        found.append((f"i:{lower}", _WHOLE_WORD_WEIGHT))
    found += [(f"n:{gram}", _NGRAM_WEIGHT) for gram in _ngrams(lower)]
    return tuple(_hash(name) for name, _ in found), tuple(weight for _, weight in found)


def _ngrams(word: str) -> list[str]:
    return [word[i : i + _NGRAM_LENGTH] for i in range(len(word) - _NGRAM_LENGTH + 1)]


def _hash(feature: str) -> int:
    return zlib.crc32(feature.encode(errors="surrogatepass"))
