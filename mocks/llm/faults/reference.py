"""`python -m mocks.llm.faults.reference docs/mock-faults.md` writes the page of the provider's faults."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mocks.faults.reference import page
from mocks.llm.faults.catalogue import FAMILIES, FAULTS

_INTRODUCTION = """\
What the mock provider (`mocks/llm`) can be made to do, on all routes that generate, embed or list models, and in each provider's own words.
Written by
`python -m mocks.llm.faults.reference docs/mock-faults.md` from the code; a test says when it is stale.

A fault is put in force with `PUT /admin/faults/{id}` on the admin port and a JSON object: `type`, the type's parameters, and any of the
keys of the next two sections. `GET /admin/faults` lists those in force, each with `id`, `expires_in_s`, `matched` (calls that it concerns)
and `applied` (calls whose answer it has changed); `DELETE /admin/faults/{id}` ends one, `DELETE /admin/faults` all.

```json
{"type": "server_error", "retry_after_s": 2, "probability": 0.3, "window": {"start_s": 10, "duration_s": 30}, "match": {"stream": true}}
```

Several faults in force are applied in the order in which they were put, until one refuses the call. What is drawn for a call follows from
the profile's seed, the request, how often it came before, and the fault's id: the same requests meet the same faults, in whatever order
they arrive, and a repetition is drawn anew. A correlated outage is one document whose type concerns all routes, with a `window`.

Faults of the provider's errors take `retry_after_s`, `retry_after_ms` and `should_retry`: the headers about a repetition, honest or not.
A fault that finds nothing to change in an answer (no citation to leave out, no character of several bytes to split) does not count as
applied."""


def text() -> str:
    """The page."""
    return page("Faults of the mock provider", _INTRODUCTION, FAULTS, FAMILIES)


def main(argv: Sequence[str]) -> int:
    """Write the page to the file that is named."""
    Path(argv[1]).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
