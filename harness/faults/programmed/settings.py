"""Parameters of one type of fault: how a scenario writes each, and what the mock's document calls it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field, create_model, model_validator

from harness.scenario.catalog import FaultParameters
from harness.scenario.model import Duration, Rate


@dataclass(frozen=True, slots=True)
class Setting:
    """One parameter. `key` is its name in the mock's document, `default` `...` where it must be given."""

    name: str
    key: str
    annotation: Any
    says: str
    unit: str
    default: Any
    bounds: dict[str, Any] = field(default_factory=dict)

    @property
    def definition(self) -> tuple[Any, Any]:
        """As pydantic wants it."""
        annotation = self.annotation | None if self.default is None else self.annotation
        constraints: dict[str, Any] = {**self.bounds, "json_schema_extra": {"unit": self.unit}}
        return annotation, Field(default=self.default, validate_default=True, description=self.says, **constraints)


def duration(name: str, says: str, default: Any = ..., *, key: str = "", **bounds: float) -> Setting:
    """A time; seconds in the document, under its name and `_s`."""
    return Setting(name, key or f"{name}_s", Duration, says, "duration", default, bounds)


def rate(name: str, says: str, default: Any = ..., *, key: str, **bounds: float) -> Setting:
    """So many a second."""
    return Setting(name, key, Rate, says, "rate", default, bounds)


def number(name: str, says: str, unit: str, default: Any = ..., **bounds: float) -> Setting:
    """Any finite number."""
    return Setting(name, name, float, says, unit, default, {**bounds, "allow_inf_nan": False})


def whole(name: str, says: str, unit: str, default: Any = ..., **bounds: float) -> Setting:
    """A whole number."""
    return Setting(name, name, int, says, unit, default, bounds)


def choice(name: str, says: str, options: Sequence[Any]) -> Setting:
    """One of these; the first is the default."""
    return Setting(name, name, Literal[tuple(options)], says, " | ".join(map(str, options)), options[0])


def text(name: str, says: str, default: Any = ..., **bounds: Any) -> Setting:
    """Words."""
    return Setting(name, name, str, says, "text", default, bounds)


def flag(name: str, says: str, default: bool | None = None) -> Setting:
    """Yes or no."""
    return Setting(name, name, bool, says, "true | false", default)


def parameters_model(
    name: str, shared: type[FaultParameters], settings: Sequence[Setting], refuses: Callable[[dict[str, Any]], str]
) -> type[FaultParameters]:
    """The parameters of a type: these first, then those of `shared`, in whose place one of the same name comes.

    `refuses` says of a document why its values do not go together, and what to write.
    """

    def check(parameters: FaultParameters) -> FaultParameters:
        if reason := refuses(document_of(parameters, settings)):
            raise ValueError(reason)
        return parameters

    own: dict[str, Any] = {setting.name: setting.definition for setting in settings}
    first: type[FaultParameters] = create_model(f"{name}.own", __base__=FaultParameters, **own)
    again = {key: definition for key, definition in own.items() if key in shared.model_fields}
    checks: dict[str, Any] = {"go_together": model_validator(mode="after")(check)}
    model: type[FaultParameters] = create_model(
        name, __base__=(shared, first), __doc__=f"Parameters of `{name}`.", __validators__=checks, **again
    )
    return model


def document_of(parameters: FaultParameters, settings: Sequence[Setting]) -> dict[str, Any]:
    """What the mock is told of them; what is not given (null) is left to its own default."""
    values = {setting.key: getattr(parameters, setting.name) for setting in settings if setting.key}
    return {key: value for key, value in values.items() if value is not None}
