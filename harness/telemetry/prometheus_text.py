"""The Prometheus text exposition format, read fast: this runs for every target every second, twice (sampler and operator).

Grammar: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4). prometheus-client's own parser does the same
with families and types; this one returns plain samples, and is checked against it.
"""

from __future__ import annotations

import re
from functools import lru_cache

Sample = tuple[str, dict[str, str], float]  # name, labels, value

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_SERIES_PATTERN = rf'({_NAME})\s*(?:\{{((?:[^"}}]|"(?:[^"\\]|\\.)*")*)\}})?'  # name, what stands between the braces
_SERIES = re.compile(_SERIES_PATTERN)
_LINE = re.compile(_SERIES_PATTERN + r"\s*(\S+)(?:\s+-?\d+)?")  # value, optional timestamp
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


class ParseError(ValueError):
    """A line that is no sample; the message quotes it."""


def parse(text: str) -> list[Sample]:
    """The samples in order of the text; comments and blank lines say nothing. Timestamps are dropped.

    Label dictionaries are shared between calls: do not change them. Raises ParseError.
    """
    samples: list[Sample] = []
    for line in text.split("\n"):
        if not line or line[0] == "#" or line.isspace():
            continue
        # The series of a target hardly change from one scrape to the next, only the last word of a line does.
        series, _, value = line.rpartition(" ")
        try:
            name, labels = _series(series)
            samples.append((name, labels, float(value)))
        except (ParseError, ValueError):
            samples.append(_sample(line))
    return samples


@lru_cache(maxsize=20_000)
def _series(text: str) -> tuple[str, dict[str, str]]:
    match = _SERIES.fullmatch(text)
    if match is None:
        raise ParseError(text)
    return match[1], _labels(match[2] or "", text)


def _sample(line: str) -> Sample:
    """A line in its full generality: any white space, a timestamp."""
    match = _LINE.fullmatch(line.strip())
    if match is None:
        raise ParseError(f"no sample: {line[:200]!r}")
    try:
        value = float(match[3])
    except ValueError as error:
        raise ParseError(f"no number: {line[:200]!r}") from error
    return match[1], _labels(match[2] or "", line), value


def _labels(text: str, line: str) -> dict[str, str]:
    labels: dict[str, str] = {}
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if match is None:
            if text[at:].strip() == "":
                break
            raise ParseError(f"bad labels: {line[:200]!r}")
        value = match[2]
        labels[match[1]] = _ESCAPE.sub(_unescape, value) if "\\" in value else value
        at = match.end()
    return labels


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[1], match[0])
