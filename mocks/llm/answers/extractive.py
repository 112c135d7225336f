"""Answers by extraction: the sentence of the prompt's context blocks that best holds the question's words, cited, or a refusal.

A prompt's context is lines of the form `[doc-id] text`; its question is what follows the last `Question:`, else its last paragraph.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from mocks.llm.words import COMMON_WORDS, STOP_WORDS, is_identifier, parts, stem, tokens, words

REFUSAL = "I cannot find this in the provided documents."

_BLOCK = re.compile(r"^\[([^\]\s]+)\][ \t]+(\S.*)$", re.MULTILINE)
_QUESTION = re.compile(r"^Question:[ \t]*(.+)", re.MULTILINE | re.DOTALL)
_QUOTATION = re.compile(r'"(.*)"')
_SENTENCE_END = re.compile(r"(?<=[.!?])(?<!e\.g\.)(?<!i\.e\.)\s+")

_IDENTIFIER_WEIGHT = 3.0
_BLOCK_SHARE = 0.5  # a word elsewhere in the sentence's block counts this much of one in the sentence
_SURE_SCORE = 0.6  # below, the context does not hold the answer
_SECOND_SCORE = 0.55  # a neighbour of the best sentence this good is quoted too, where there is room


@dataclass(frozen=True)
class _Sentence:
    doc_id: str
    text: str
    terms: frozenset[str]
    block: str
    block_terms: frozenset[str]


@dataclass(frozen=True)
class _Wanted:
    """A question's terms: those asked for, which the sentence must hold, and those quoted, which the block around it may hold as well.

    `sole` is the one uncommon word of a question without names or quotations: all that tells what it is about.
    """

    asked: frozenset[str]
    quoted: frozenset[str]
    quotations: tuple[str, ...]
    names: frozenset[str]
    sole: str | None


def answer(prompt: str, max_tokens: int) -> str:
    """The answer to the question in `prompt`, of at most `max_tokens` tokens and always whole: sentences cited, or REFUSAL."""
    question, blocks = parse(prompt)
    wanted = _wanted(question)
    sentences = list(_sentences(blocks))
    if not wanted.asked or not sentences:
        return REFUSAL
    weights = _weights(wanted.asked | wanted.quoted, sentences)
    scores = [_score(sentence, wanted, weights) for sentence in sentences]
    ranks = [(_verbatim(one, wanted), score, _precision(one, wanted)) for one, score in zip(sentences, scores, strict=True)]
    first = ranks.index(max(ranks))  # the first of equals: retrieval put the closest block first
    best = sentences[first]
    if scores[first] < _SURE_SCORE or not _about(best, wanted):
        return REFUSAL
    near = (i for i, one in enumerate(sentences) if one.block is best.block and i != first and scores[i] >= _SECOND_SCORE)
    return _cite([best, *(sentences[i] for i in islice(near, 1))], max_tokens)


def parse(prompt: str) -> tuple[str, list[tuple[str, str]]]:
    """The question, and the context blocks as (doc id, text)."""
    asked = _QUESTION.findall(prompt)
    question = asked[-1] if asked else prompt.strip().rpartition("\n\n")[2]
    return question.strip(), _BLOCK.findall(prompt)


def terms(text: str) -> frozenset[str]:
    """What `text` is about: its content words, stemmed, its names whole and in parts."""
    found: set[str] = set()
    for word in words(text):
        lower = word.lower()
        if lower not in STOP_WORDS:
            found.update(parts(word))
            if is_identifier(word):
                found.add(lower)
    return frozenset(found)


def _wanted(question: str) -> _Wanted:
    quotations = tuple(_QUOTATION.findall(question))
    unquoted = _QUOTATION.sub(" ", question)
    names = frozenset(word.lower() for word in words(unquoted) if "." in word)
    asked = terms(unquoted)
    uncommon = asked - COMMON_WORDS
    sole = next(iter(uncommon)) if len(uncommon) == 1 and not names and not quotations else None
    return _Wanted(asked, terms(" ".join(quotations)), quotations, names, sole)


def _about(sentence: _Sentence, wanted: _Wanted) -> bool:
    """Whether the sentence is about what was asked, and says something of it.

    Its block has every name of the question; it has the sole telling word as a word (what is said of `pickle.loads` is no answer about
    `pickle`); and where something of a name was asked for, it is not the name alone that it shares with the question.
    """
    if not wanted.names <= sentence.block_terms:
        return False
    if wanted.sole is not None and wanted.sole not in {stem(one.lower()) for one in words(sentence.text)}:
        return False
    of_names = {part for name in wanted.names for part in (name, *parts(name))}
    rest = wanted.asked - of_names
    return not wanted.names or not rest or bool(rest & sentence.terms)


def _sentences(blocks: Iterable[tuple[str, str]]) -> Iterable[_Sentence]:
    for doc_id, text in blocks:
        texts = _SENTENCE_END.split(text)
        known = [terms(one) for one in texts]
        block_terms = frozenset().union(*known) | terms(doc_id)
        for one, own in zip(texts, known, strict=True):
            yield _Sentence(doc_id, one, own, text, block_terms)


def _weights(wanted: frozenset[str], sentences: Sequence[_Sentence]) -> dict[str, float]:
    """Weight of each question term: rarer among the sentences is heavier, a name heavier still.

    A common word that no sentence holds belongs to the manner of asking and weighs nothing; any other such word weighs most.
    """
    seen = Counter(term for sentence in sentences for term in sentence.terms & wanted)
    n = len(sentences)
    return {
        term: math.log(1 + n / (0.5 + seen[term])) * (_IDENTIFIER_WEIGHT if "." in term else 1.0)
        for term in wanted
        if seen[term] or term not in COMMON_WORDS
    }


def _score(sentence: _Sentence, wanted: _Wanted, weights: dict[str, float]) -> float:
    """Share of the question's weight that the sentence, and at a discount its block, holds; 1 is all of it."""
    held: list[float] = []
    for term, weight in weights.items():
        if term in sentence.terms and term in wanted.asked:
            held.append(weight)
        elif term in sentence.block_terms:
            held.append(weight * (_BLOCK_SHARE if term in wanted.asked else 1.0))
    return math.fsum(held) / math.fsum(weights.values()) if weights else 0.0


def _verbatim(sentence: _Sentence, wanted: _Wanted) -> int:
    """How many of the question's quotations the sentence's block holds word for word."""
    return sum(quotation in sentence.block for quotation in wanted.quotations)


def _precision(sentence: _Sentence, wanted: _Wanted) -> float:
    """Share of the sentence's terms that were asked for: tells `zlib` from `zlib.adler32` when `zlib` is wanted."""
    return len(sentence.terms & wanted.asked) / max(1, len(sentence.terms))


def _cite(found: Sequence[_Sentence], max_tokens: int) -> str:
    """The sentences, each followed by its citation, as many as fit; the first is cut at a word where it alone is too long."""
    text = ""
    for sentence in found:
        citation = f" [{sentence.doc_id}]"
        room = max_tokens - len(tokens(text + citation)) - 1
        pieces = tokens(sentence.text)
        if len(pieces) > room and text:
            break
        body = sentence.text if len(pieces) <= room else "".join(pieces[: max(1, room)]).rstrip()
        text += f"{' ' if text else ''}{body}{citation}"
    return text
