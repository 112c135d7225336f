"""Which calls a fault is meant for: `match` of its document, all of whose keys must hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mocks.faults.documents import FaultError, spelled


@dataclass(frozen=True, slots=True)
class Criterion:
    """One key of `match`: what it reads of a call's facts, and how it is compared.

    `names`: the document lists texts, one of which the fact must be; `flag`: true or false, which it must be; `text`: a substring of it.
    A call without the fact (None) never matches.
    """

    says: str
    how: Literal["names", "flag", "text"]
    read: Callable[[Any], str | bool | None]
    known: frozenset[str] | None = None
    """The only names there are; None where any may come."""

    def wanted(self, key: str, value: object) -> Any:
        """The document's value, checked. Raises FaultError."""
        if self.how == "flag":
            if not isinstance(value, bool):
                raise FaultError(f"match.{key} must be true or false, not {spelled(value)}")
            return value
        if self.how == "text":
            if not isinstance(value, str) or not value:
                raise FaultError(f"match.{key} must be the text to look for, not {spelled(value)}")
            return value
        if not isinstance(value, (list, tuple, frozenset)) or not value or not all(isinstance(one, str) for one in value):
            raise FaultError(f"match.{key} must be a list of texts, not {spelled(value)}")
        names = frozenset(value)
        if self.known is not None and not names <= self.known:
            raise FaultError(f"match.{key} may list {', '.join(sorted(self.known))}, not {', '.join(sorted(names - self.known))}")
        return names

    def holds(self, facts: object, wanted: Any) -> bool:
        """Whether a call is as the document wants it."""
        fact = self.read(facts)
        if fact is None:
            return False
        if self.how == "flag":
            return fact is wanted
        return fact in wanted if self.how == "names" else wanted in fact  # type: ignore[operator]  # `how` says which types they have


class Match:
    """A parsed `match`."""

    def __init__(self, document: object, criteria: Mapping[str, Criterion], defaults: Mapping[str, Any]) -> None:
        """Raises FaultError. `defaults` hold under the keys that the document leaves out."""
        if not isinstance(document, Mapping):
            raise FaultError(f"match must be an object with any of {', '.join(criteria)}, not {spelled(document)}")
        unknown = sorted(map(str, set(document) - set(criteria)))
        if unknown:
            raise FaultError(f"match knows no {', '.join(unknown)}; it may have {', '.join(criteria)}")
        merged = {**defaults, **document}
        self._wanted = tuple((criteria[key], criteria[key].wanted(key, value)) for key, value in merged.items())

    def holds(self, facts: object) -> bool:
        """Whether everything that was asked for is so."""
        return all(criterion.holds(facts, wanted) for criterion, wanted in self._wanted)
