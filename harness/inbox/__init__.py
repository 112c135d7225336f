"""The inbox: what operators claim and do during a run comes in here, is stamped, recorded, and performed by the stack's capabilities."""

from harness.inbox.server import Inbox

__all__ = ["Inbox"]
