"""Regular expressions of document filters: Python's, refusing what the server's engine refuses, in its words.

Unlike the server's, Python's engine may backtrack for long on a pattern made for that.
"""

import re

from mocks.vector.chroma.errors import invalid_argument
from mocks.vector.plan import VectorError

_LOOK_AROUND = re.compile(r"(?:^|(?<=[^\\]))\(\?(?:<?[=!])")
_BACK_REFERENCE = re.compile(r"(?:^|(?<=[^\\]))\\[1-9]")
_WORDS = (
    ("unterminated subpattern", "unclosed group"),
    ("unbalanced parenthesis", "unopened group"),
    ("unterminated character set", "unclosed character class"),
    ("nothing to repeat", "repetition operator missing expression"),
    ("min repeat greater than max repeat", "invalid repetition count range, the start must be <= the end"),
    ("bad escape", "unrecognized escape sequence"),
)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The compiled pattern, to be searched for. Raises VectorError."""
    for found, words in (
        (_LOOK_AROUND.search(pattern), "look-around, including look-ahead and look-behind, is not supported"),
        (_BACK_REFERENCE.search(pattern), "backreferences are not supported"),
    ):
        if found is not None:
            raise _refusal(pattern, found.start(), len(found.group()), words)
    try:
        return re.compile(pattern)
    except re.error as error:
        words = next((ours for theirs, ours in _WORDS if theirs in error.msg), error.msg)
        raise _refusal(pattern, error.pos or 0, 2 if "escape" in words else 1, words) from None
    except (OverflowError, RecursionError):
        raise invalid_argument("Regex syntax errror: Compiled regex exceeds size limit") from None


def _refusal(pattern: str, start: int, length: int, words: str) -> VectorError:
    marks = " " * start + "^" * length
    return invalid_argument(f"Regex syntax errror: regex parse error:\n    {pattern}\n    {marks}\nerror: {words}")
