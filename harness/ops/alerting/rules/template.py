"""Texts with `{{ … }}` in labels and annotations: the part of Go's templates that rule files use, written as Prometheus would write it.

https://prometheus.io/docs/prometheus/latest/configuration/template_reference/: `$value`, `$labels.name`, literals, pipes and the functions
for numbers and strings below. No `if`, `range`, `with`, `query`: a text that needs them is refused where the file is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_TRIMMED = re.compile(r"\s*(\{\{-)|(-\}\})\s*")
_TOKEN = re.compile(
    r"""\s*(?:(?P<pipe>\|)|(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)
    |(?P<label>(?:\$labels|\.Labels)\.(?P<name>\w+))|(?P<labels>\$labels|\.Labels)|(?P<value>\$value|\.Value)|(?P<function>\w+))""",
    re.VERBOSE,
)
_VERB = re.compile(r"%(?:%|([-+ 0]*\d*(?:\.\d+)?)([a-zA-Z]))")

Operand = Callable[[Mapping[str, str], float], "str | float"]


class TemplateError(ValueError):
    """A text that cannot be expanded here; the message says what in it, and what could stand there."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text and its parts. `of` makes one; it compares by its text."""

    text: str
    _parts: tuple[str | Operand, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """Raises TemplateError."""
        trimmed = _TRIMMED.sub(lambda m: m[1] or m[2], text)
        parts: list[str | Operand] = []
        at = 0
        for match in _ACTION.finditer(trimmed):
            parts += [trimmed[at : match.start()], _pipeline(match[1])]
            at = match.end()
        rest = trimmed[at:]
        if "{{" in rest:
            raise TemplateError("`{{` without `}}`")
        return cls(text, (*parts, rest))

    def expand(self, labels: Mapping[str, str], value: float) -> str:
        """For one element. A label that is absent is empty; a text where a number is needed is told in the place of the whole."""
        try:
            return "".join(part if isinstance(part, str) else _shown(part(labels, value)) for part in self._parts)
        except ValueError as error:
            return f"<error expanding template: {error}>"


def _pipeline(source: str) -> Operand:
    commands: list[list[Operand | str]] = [[]]
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            raise TemplateError(f"{{{{ {source} }}}}: {source[at:].strip()!r} is not known here; write $value, $labels.name or a function")
        if match["pipe"]:
            commands.append([])
        else:
            commands[-1].append(_operand(match, source))
        at = match.end()
    found: Operand | None = None
    for command in commands:
        found = _command(command, found, source)
    if found is None:
        raise TemplateError("{{ }} holds nothing")
    return found


def _operand(match: re.Match[str], source: str) -> Operand | str:
    """A value, or the name of a function."""
    if match["text"]:
        text = match["text"][1:-1] if match["text"][0] == "`" else re.sub(r"\\(.)", _unescape, match["text"][1:-1])
        return lambda _labels, _value: text
    if match["number"]:
        number = float(match["number"])
        return lambda _labels, _value: number
    if match["label"]:
        name = match["name"]
        return lambda labels, _value: labels.get(name, "")
    if match["value"]:
        return lambda _labels, value: value
    if match["labels"]:
        return "labels"
    if match["function"] not in (*_FUNCTIONS, "index"):
        raise TemplateError(f"{{{{ {source} }}}}: {match['function']} is not known here; there are {', '.join(sorted(_FUNCTIONS))}")
    return match["function"]


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t"}.get(match[1], match[1])


def _command(words: list[Operand | str], piped: Operand | None, source: str) -> Operand:
    if not words:
        raise TemplateError(f"{{{{ {source} }}}}: nothing stands between two `|`")
    head, *rest = words
    if head == "index" and len(rest) == 2 and rest[0] == "labels" and callable(rest[1]):
        key = rest[1]
        return lambda labels, value: labels.get(str(key(labels, value)), "")
    if callable(head) and not rest and piped is None:
        return head
    operands = [one for one in rest if callable(one)] + ([piped] if piped is not None else [])
    if not isinstance(head, str) or head not in _FUNCTIONS or len(operands) < len(rest):
        raise TemplateError(f"{{{{ {source} }}}}: a function comes first, then what it is given")
    function, fewest, most = _FUNCTIONS[head]
    if not fewest <= len(operands) <= most:
        raise TemplateError(f"{{{{ {source} }}}}: {head} takes {fewest} argument{'s' if fewest > 1 else ''}, {len(operands)} given")
    if head == "printf":
        _check_format(str(operands[0]({}, 0.0)), len(operands) - 1, source)
    return lambda labels, value: function(*(one(labels, value) for one in operands))


def number_text(value: float) -> str:
    """As Go prints a float: the fewest digits that are exact, with an exponent below 1e-4 and from 1e21 on."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    if value != 0 and not 1e-4 <= abs(value) < 1e21:
        return _exponent(value)
    text = f"{Decimal(repr(value)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _exponent(value: float) -> str:
    mantissa, _, exponent = f"{Decimal(repr(value)).normalize():e}".partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:].zfill(2)}"


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else number_text(value)


def _four(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else number_text(value)


def _scaled(value: float, step: float, larger: Sequence[str], smaller: Sequence[str]) -> tuple[float, str]:
    """A number between one and the step, and its prefix."""
    prefix = ""
    if abs(value) >= 1:
        for one in larger:
            if abs(value) < step:
                break
            prefix, value = one, value / step
    else:
        for one in smaller:
            if abs(value) >= 1:
                break
            prefix, value = one, value * step
    return value, prefix


_LARGE, _SMALL = "kMGTPEZY", "munpfazy"


def _humanize(value: str | float) -> str:
    number = float(value)
    if number == 0 or not math.isfinite(number):
        return _four(number)
    scaled, prefix = _scaled(number, 1000.0, _LARGE, _SMALL)
    return f"{_four(scaled)}{prefix}"


def _humanize_1024(value: str | float) -> str:
    number = float(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return _four(number)
    scaled, prefix = _scaled(number, 1024.0, [f"{p}i" for p in _LARGE], ())
    return f"{_four(scaled)}{prefix}"


def _humanize_duration(value: str | float) -> str:
    number = float(value)
    if not math.isfinite(number):
        return _four(number)
    if abs(number) < 1:
        scaled, prefix = _scaled(number, 1000.0, (), _SMALL) if number else (0.0, "")
        return f"{_four(scaled)}{prefix}s"
    sign, number = ("-", -number) if number < 0 else ("", number)
    whole = int(number)
    if whole < 60:
        return f"{sign}{_four(number)}s"
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (whole % 60, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return sign + " ".join(f"{n}{unit}" for n, unit in parts)


def _printf(form: str | float, *values: str | float) -> str:
    rest = iter(values)

    def one(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        flags, verb, value = match[1], match[2], next(rest)
        if verb in "sv" or (verb == "g" and "." not in flags):
            return f"%{flags}s" % _shown(value)
        return f"%{flags}{verb}" % float(value) if math.isfinite(float(value)) else number_text(float(value))

    return _VERB.sub(one, str(form))


def _check_format(form: str, given: int, source: str) -> None:
    verbs = [m[2] for m in _VERB.finditer(form) if m[0] != "%%"]
    if any(verb not in "feEgGsv" for verb in verbs):
        raise TemplateError(f"{{{{ {source} }}}}: a number is written by %f, %e, %g or %v, a text by %s")
    if len(verbs) != given:
        raise TemplateError(f"{{{{ {source} }}}}: the format has {len(verbs)} verbs, and {given} values are given")


def _text(change: Callable[[str], str]) -> Callable[..., str]:
    return lambda value: change(_shown(value))


_FUNCTIONS: Mapping[str, tuple[Callable[..., str | float], int, int]] = {
    "humanize": (_humanize, 1, 1),
    "humanize1024": (_humanize_1024, 1, 1),
    "humanizeDuration": (_humanize_duration, 1, 1),
    "humanizePercentage": (lambda value: f"{_four(float(value) * 100)}%", 1, 1),
    "printf": (_printf, 1, 9),
    "toUpper": (_text(str.upper), 1, 1),
    "toLower": (_text(str.lower), 1, 1),
    "title": (_text(str.title), 1, 1),
}
"""What each makes of its arguments, and how few and many it takes."""
