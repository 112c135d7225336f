"""Questions about the facts, in varied words, one in ten about something that does not exist."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from mocks.rag.corpus.documents import FACT_KINDS, Fact

_UNANSWERABLE_EVERY = 10
_BY_NAME = (
    "What is the {kind} of {title}?",
    "Which {kind} does {title} have?",
    "Please tell me the {kind} for {title}.",
    "I am looking for {title}; what is its {kind}?",
    "{title}: {kind}?",
    "Can you look up the {kind} that belongs to {title}?",
    "Somebody asked about {title}. What {kind} was it given?",
)
_BY_CONTENT = (
    'What is the {kind} of the entry described as "{summary}"?',
    'Which {kind} belongs to {title}, the one that reads "{summary}"?',
)
_SUMMARY_WORDS = range(6, 15)
_SYLLABLES = (
    "bra",
    "cor",
    "dun",
    "fel",
    "gri",
    "hax",
    "jun",
    "kol",
    "mev",
    "nor",
    "pla",
    "quon",
    "rix",
    "sul",
    "tav",
    "ux",
    "vor",
    "wim",
    "yel",
    "zan",
)


@dataclass(frozen=True)
class Question:
    """A question, the documents that answer it and the code that a right answer contains (None where no document answers)."""

    id: int
    question: str
    gold: list[str]
    canary: str | None
    answerable: bool


def make_questions(facts: Sequence[Fact], count: int, rng: random.Random) -> list[Question]:
    """`count` questions with ids from 0; every document is asked about before one is asked about again.

    A title that is one plain word (`string`) is not asked about where others are: no reader could tell the thing from the word.
    """
    telling = [n for n, fact in enumerate(facts) if not (fact.title.isalpha() and fact.title.islower())] or list(range(len(facts)))
    order = rng.sample(telling, len(telling))
    known = {fact.title.lower() for fact in facts}
    same_summary = Counter(fact.summary for fact in facts)
    questions: list[Question] = []
    asked = 0
    for number in range(count):
        if number % _UNANSWERABLE_EVERY == _UNANSWERABLE_EVERY - 1:
            questions.append(_unanswerable(number, facts, known, rng))
            continue
        fact = facts[order[asked % len(order)]]
        asked += 1
        text = _phrase(fact, same_summary[fact.summary] == 1, rng)
        questions.append(Question(number, text, [fact.doc_id], fact.code, answerable=True))
    return questions


def _phrase(fact: Fact, summary_is_unique: bool, rng: random.Random) -> str:
    words = fact.summary.rstrip(".").split()
    by_content = summary_is_unique and len(words) in _SUMMARY_WORDS
    template = rng.choice(_BY_NAME + _BY_CONTENT if by_content else _BY_NAME)
    return template.format(kind=fact.kind, title=fact.title, summary=" ".join(words))


def _unanswerable(number: int, facts: Sequence[Fact], known: set[str], rng: random.Random) -> Question:
    """A question about a made-up name, half of them in the neighbourhood of a real one (`json.korfel`)."""
    while True:
        name = "".join(rng.sample(_SYLLABLES, 2))
        neighbour = rng.choice(facts).title
        near = rng.random() < 0.5 and "." in neighbour
        title = f"{neighbour.rpartition('.')[0]}.{name}" if near else f"{name}.{''.join(rng.sample(_SYLLABLES, 2))}"
        if title.lower() not in known:
            break
    return Question(number, rng.choice(_BY_NAME).format(kind=rng.choice(FACT_KINDS), title=title), [], None, answerable=False)
