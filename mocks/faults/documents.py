"""From the JSON of a fault to the fault: every parameter checked against its annotation, and said what to write instead."""

import inspect
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints


class FaultError(ValueError):
    """A fault cannot be put in force as asked; the text says why, and what to write."""


@dataclass(frozen=True, slots=True)
class Param:
    """What an `Annotated` parameter means. `above` and `below` exclude their bound, `least` and `most` include it."""

    says: str
    unit: str = ""
    """`s`, `ms`, `tokens`, `requests/s`…; empty for a name, a flag or a choice."""
    above: float = -math.inf
    below: float = math.inf
    least: float = -math.inf
    most: float = math.inf
    example: object = None
    """A value for the documentation; needed where there is no default."""


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter of a fault type: its name, annotation and default (`inspect.Parameter.empty` where it must be given)."""

    name: str
    kinds: tuple[Any, ...]
    """Types that it may have: float, int, bool, str, NoneType or a Literal."""
    param: Param
    default: object

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def range_text(self) -> str:
        """`more than 0, at most 1`; empty where anything goes."""
        bounds = (
            ("more than", self.param.above),
            ("at least", self.param.least),
            ("less than", self.param.below),
            ("at most", self.param.most),
        )
        return ", ".join(f"{words} {bound:g}" for words, bound in bounds if math.isfinite(bound))

    @property
    def kind_text(self) -> str:
        """`a number`, `true or false`, `"fin" or "reset"`."""
        return " or ".join(_spell_kind(kind) for kind in self.kinds)


def fields_of(kind: type) -> Iterator[Field]:
    """The parameters of a fault type, in order."""
    hints = get_type_hints(kind, include_extras=True)
    for name, parameter in inspect.signature(kind).parameters.items():
        annotation = hints[name]
        param = Param("")
        if get_origin(annotation) is Annotated:
            annotation, *extras = get_args(annotation)
            param = next((extra for extra in extras if isinstance(extra, Param)), param)
        kinds = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
        yield Field(name, kinds, param, parameter.default)


def construct(kind: type, parameters: Mapping[str, Any]) -> Any:
    """The fault from its JSON parameters. Raises FaultError."""
    fields = {field.name: field for field in fields_of(kind)}
    unknown = sorted(set(parameters) - set(fields))
    if unknown:
        raise FaultError(f"unknown parameter {', '.join(unknown)}; this type has {', '.join(fields) or 'none'}")
    missing = [name for name, field in fields.items() if field.required and name not in parameters]
    if missing:
        raise FaultError(f"{', '.join(missing)} must be given")
    try:
        return kind(**{name: _checked(fields[name], value) for name, value in parameters.items()})
    except ValueError as error:
        raise error if isinstance(error, FaultError) else FaultError(str(error)) from error


def example(name: str, kind: type) -> dict[str, Any]:
    """A document that puts a fault of this type in force: its type, and what has no default."""
    return {"type": name, **{field.name: field.param.example for field in fields_of(kind) if field.required}}


def number(value: object, name: str, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number in range. Raises FaultError."""
    return float(_checked(Field(name, (float,), Param("", above=above, least=least, most=most), None), value))


def whole(value: object, name: str, least: int) -> int:
    """A whole number of at least `least`. Raises FaultError."""
    return int(_checked(Field(name, (int,), Param("", least=least), None), value))


def members(value: object, name: str, known: Mapping[str, bool]) -> Mapping[str, Any]:
    """An object with these keys only, those that are true in `known` among them. Raises FaultError."""
    if not isinstance(value, Mapping):
        raise FaultError(f"{name} must be an object with {', '.join(known)}, not {spelled(value)}")
    unknown = sorted(set(value) - set(known))
    if unknown:
        raise FaultError(f"unknown key {', '.join(map(str, unknown))} in {name}; it has {', '.join(known)}")
    missing = [key for key, needed in known.items() if needed and key not in value]
    if missing:
        raise FaultError(f"{', '.join(missing)} must be given in {name}")
    return value


def spelled(value: object) -> str:
    """A value of a document for a message: what is long or deep is cut short."""
    return _SPELL.repr(value)


_SPELL = reprlib.Repr()
_SPELL.maxlevel, _SPELL.maxstring, _SPELL.maxother = 3, 200, 200


def _checked(field: Field, value: object) -> Any:
    if value is None and NoneType in field.kinds:
        return None
    amount = _amount(value)
    for kind in field.kinds:
        if amount is not None and (kind is float or (kind is int and amount == int(amount))):
            return kind(_in_range(field, amount))
        if kind in (bool, str) and type(value) is kind:
            return value
        if get_origin(kind) is Literal and value in get_args(kind) and type(value) in map(type, get_args(kind)):
            return value
    raise FaultError(f"{field.name} must be {field.kind_text}, not {spelled(value)}")


def _amount(value: object) -> float | None:
    """A finite number; JSON's true and false are none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None


def _in_range(field: Field, value: float) -> float:
    bounds = field.param
    if not (bounds.least <= value <= bounds.most and bounds.above < value < bounds.below):
        raise FaultError(f"{field.name} must be {field.range_text}, not {value:g}")
    return value


def _spell_kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f'"{one}"' if isinstance(one, str) else str(one) for one in get_args(kind))
    return {float: "a number", int: "a whole number", bool: "true or false", str: "text", NoneType: "null"}[kind]
