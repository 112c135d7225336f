"""`python -m harness.faults.data_uploader`: hands in documents through a public interface, again and again or many at once."""

from __future__ import annotations

import base64
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from harness.faults.base import FaultError
from harness.faults.beside import Ending, order, say
from harness.faults.rag_api import RagApi

AT_ONCE = 8
NO_ANSWER = "none"
_WORDS = ("orange", "river", "stone", "lantern", "copper", "meadow", "signal", "harbour", "winter", "thread", "garden", "anchor")


def corrupt_pdf(name: str, _size: int) -> dict[str, Any]:
    """A file that says it is a PDF, cut off in the middle of its first object, with noise where its text should be."""
    noise = random.Random(name).randbytes(600)
    content = (
        b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n2 0 obj\n<< /Length 900 /Filter /FlateDecode >>\nstream\n" + noise
    )
    return {"title": f"Report {name}", "content_base64": base64.b64encode(content).decode(), "content_type": "application/pdf"}


def plain_text(name: str, size: int) -> dict[str, Any]:
    """So many characters of common words, no two documents alike."""
    rng = random.Random(name)
    words = [f"Note {name}:"]
    length = len(words[0])
    while length < size:
        words.append(rng.choice(_WORDS))
        length += len(words[-1]) + 1
    return {"title": f"Note {name}", "text": " ".join(words)[: size - 1] + "."}


MAKERS: Mapping[str, Callable[[str, int], dict[str, Any]]] = {"corrupt_pdf": corrupt_pdf, "plain_text": plain_text}


class Uploads:
    """Counts the answers, by status. Threads share it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._api = RagApi(told["url"], told["api_key"])
        self._make = MAKERS[told["make"]]
        self._name, self._size = told["name"], told["size"]
        self._lock = threading.Lock()
        self._next = 0
        self._answers: Counter[str] = Counter()

    def one(self, at_most: int | None = None) -> bool:
        """Hand in the next one; False where that would be too many."""
        with self._lock:
            number = self._next
            if at_most is not None and number >= at_most:
                return False
            self._next += 1
        doc_id = f"{self._name}-{number}"
        try:
            answer = str(self._api.upload({"doc_id": doc_id, **self._make(doc_id, self._size)}).status)
        except FaultError:
            answer = NO_ANSWER
        with self._lock:
            self._answers[answer] += 1
            say(answers=dict(self._answers), latest=doc_id)
        return True


def main() -> int:
    told = order()
    uploads, ending = Uploads(told), Ending(told["ttl_s"])
    if told["burst"] is None:
        while not ending.wait(1 / told["rate"]):
            uploads.one()
        return 0

    def hand_in() -> None:
        while not ending.wait(0) and uploads.one(told["burst"]):
            pass

    for _ in range(AT_ONCE):
        threading.Thread(target=hand_in, daemon=True).start()
    ending.wait(told["ttl_s"])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
