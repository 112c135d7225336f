"""Names for what a fault leaves in a system: unmistakable for us, and telling nothing to whoever looks at the system."""

from __future__ import annotations

import hashlib
import os

from harness.faults.base import Context


def fresh_name(context: Context) -> str:
    """`batch-5f3a9c01d2`: as any job might be called; no other fault, of this run or another on this machine, gets the same."""
    origin = f"{context.fault_id}:{os.getpid()}:{context.clock.now_ns()}"
    return f"batch-{hashlib.blake2b(origin.encode(), digest_size=5).hexdigest()}"
