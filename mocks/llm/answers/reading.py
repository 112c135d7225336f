"""What strategies read in a call."""

from mocks.llm.answer import ChatCall
from mocks.llm.answers import extractive


def last_user_text(call: ChatCall) -> str:
    """What the user said last; empty where no user speaks."""
    for turn in reversed(call.turns):
        if turn.role == "user":
            return turn.text
    return ""


def question(call: ChatCall) -> str:
    """What the user asks: what follows the last `Question:` of the last user turn, else its last paragraph."""
    return extractive.parse(last_user_text(call))[0]
