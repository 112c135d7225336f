"""Values that are made for every request."""

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T]) -> type[T]:
    """A dataclass whose fields the type checker lets nobody assign to.

    Frozen at run time as well, it would take three times as long to make, which a request with half a dozen of them feels.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
