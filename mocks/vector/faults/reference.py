"""`python -m mocks.vector.faults.reference docs/mock-vector-faults.md` writes the page of the vector services' faults."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mocks.faults.reference import page
from mocks.vector.faults.catalogue import FAMILIES, FAULTS

_INTRODUCTION = """\
What the mock vector services (`mocks/vector`) can be made to do: the same types for Qdrant and Chroma, each in its own words. Written by
`python -m mocks.vector.faults.reference docs/mock-vector-faults.md` from the code; a test says when it is stale.

A fault is put in force with `PUT /admin/faults/{id}` on the admin port and a JSON object: `type`, the type's parameters, and any of the
keys of the next two sections. `GET /admin/faults` lists those in force, each with `id`, `expires_in_s`, `matched` (calls that it concerns)
and `applied` (calls whose answer it has changed); `DELETE /admin/faults/{id}` ends one, `DELETE /admin/faults` all.

```json
{"type": "degraded_recall", "recall": 0.6, "ramp": {"over_s": 60}, "match": {"collections": ["docs"]}}
```

Several faults in force are applied in the order in which they were put, until one refuses the call. What is drawn for a call follows from
the profile's seed, the request, how often it came before, and the fault's id: the same requests meet the same faults, in whatever order
they arrive, and a repetition is drawn anew. A fault that finds nothing to change in an answer (no filter that it could ignore, no point
that was ever replaced, a call that is refused for a reason of its own) does not count as applied. One whose edit the caller did not ask to
see (payloads without `with_payload`, distances that are not in `include`) does.

A point's text is Chroma's document, or the first of `text`, `page_content`, `content`, `document`, `chunk` and `body` in a payload, or the
text of the node that LlamaIndex keeps there."""


def text() -> str:
    """The page."""
    return page("Faults of the mock vector services", _INTRODUCTION, FAULTS, FAMILIES)


def main(argv: Sequence[str]) -> int:
    """Write the page to the file that is named."""
    Path(argv[1]).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
