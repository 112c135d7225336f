"""Events of a pipeline's run, as they are appended. Times are monotonic; `run.json` holds the anchor to the wall clock."""

from __future__ import annotations

STAGE = "stage"  # stage, state: started | over
STEP = "step"  # stage, step, state, and what belongs to it
SIGNAL = "interrupted"  # signal
ENDED = "ended"  # the last event of a whole record: ending

# States of a step. What came of it goes with `finished` and `taken`: status, reason, findings, evidence, outputs.
STARTED = "started"  # fingerprint, timeout_s, about_s: what it took before
SAID = "said"  # text
FINISHED = "finished"
TAKEN = "taken"  # of an earlier run, whose directory is `run`
STOPPED = "stopped"  # reason: somebody interrupted, while it worked
NOT_RUN = "not_run"  # reason

COMPLETED, INTERRUPTED = "completed", "interrupted"
