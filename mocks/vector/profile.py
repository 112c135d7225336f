"""What a mock vector service serves and how fast: its profile."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from mocks.common.checks import ProfileError, members, text, texts, whole
from mocks.common.key import share
from mocks.common.latency import Constant, Distribution, parse_distribution
from mocks.vector.plan import Kind
from mocks.vector.store import Limits

_AT_ONCE = Constant(0.0)
_LIMITS = Limits()


@dataclass(frozen=True)
class VectorProfile:
    """`VECTOR_PROFILE`: a JSON object with any of these keys.

    `version` is what the service says it is (None: the product's own default); `api_keys` empty means that none is asked for, those in
    `read_only_api_keys` may not write (Qdrant alone knows such keys). `persist_dir` keeps everything over a restart; without it, nothing
    is kept. `latency` draws milliseconds for reads and for writes; `seed` decides, together with the request, everything that is drawn.
    """

    version: str | None = None
    api_keys: tuple[str, ...] = ()
    read_only_api_keys: tuple[str, ...] = ()
    persist_dir: Path | None = None
    read: Distribution = _AT_ONCE
    write: Distribution = _AT_ONCE
    seed: int = 0
    limits: Limits = _LIMITS
    allow_reset: bool = False
    """Whether Chroma's `reset` empties everything."""

    def delay_s(self, kind: Kind, key: str) -> float:
        """The time that an operation takes; probes take none."""
        if kind == "probe":
            return 0.0
        return (self.read if kind == "read" else self.write).at(share(key, kind)) / 1_000

    @classmethod
    def parse(cls, document: object, folder: Path) -> Self:
        """A profile from its JSON; paths are relative to `folder`. Raises ProfileError, which names the key."""
        given = members(document, "the profile", frozenset(_READERS))
        values: dict[str, Any] = {}
        for key, value in given.items():
            values.update(_READERS[key](value, key, folder))
        return cls(**values)


class LiveProfile:
    """The profile of a service that runs: its latency may be changed (`mocks.faults.admin.Profiles`)."""

    def __init__(self, document: Mapping[str, Any], folder: Path) -> None:
        """Raises ProfileError."""
        self._document = dict(document)
        self._folder = folder
        self.now = VectorProfile.parse(document, folder)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """The profile in the file that `VECTOR_PROFILE` names, or in the variable itself if it begins with a brace. Raises ProfileError."""
        document, folder = _given(env.get("VECTOR_PROFILE", "").strip())
        if not isinstance(document, dict):
            raise ProfileError(f"the profile must be a JSON object, not {document!r}")
        return cls(document, folder)

    def shown(self) -> Mapping[str, Any]:
        """As it was given, without keys."""
        return {key: value for key, value in self._document.items() if not key.endswith("api_keys")}

    def change(self, document: Mapping[str, Any]) -> None:
        """Another latency. Raises ProfileError."""
        changed = {**self._document, **members(dict(document), "the profile", frozenset(("latency",)))}
        self.now = VectorProfile.parse(changed, self._folder)
        self._document = changed


def _given(text: str) -> tuple[Any, Path]:
    if not text:
        return {}, Path.cwd()
    try:
        if text.startswith("{"):
            return json.loads(text), Path.cwd()
        path = Path(text)
        return json.loads(path.read_bytes()), path.parent
    except OSError as error:
        raise ProfileError(f"cannot read the profile: {error}") from error
    except json.JSONDecodeError as error:
        raise ProfileError(f"the profile is not JSON: {error}") from error


def _version(value: object, key: str, _folder: Path) -> dict[str, Any]:
    return {key: text(value, key)}


def _keys(value: object, key: str, _folder: Path) -> dict[str, Any]:
    return {key: texts(value, key)}


def _directory(value: object, key: str, folder: Path) -> dict[str, Any]:
    return {key: folder / text(value, key)}


def _latency(value: object, key: str, folder: Path) -> dict[str, Any]:
    given = members(value, key, frozenset(("read", "write")))
    return {name: parse_distribution(one, f"{key}.{name}", folder) for name, one in given.items()}


def _seed(value: object, key: str, _folder: Path) -> dict[str, Any]:
    return {key: whole(value, key, 0, 2**63)}


def _limits(value: object, key: str, _folder: Path) -> dict[str, Any]:
    given = members(value, key, frozenset(field.name for field in fields(Limits)))
    return {key: Limits(**{name: whole(one, f"{key}.{name}", 1, 2**40) for name, one in given.items()})}


def _flag(value: object, key: str, _folder: Path) -> dict[str, Any]:
    if not isinstance(value, bool):
        raise ProfileError(f"{key} must be true or false, not {value!r}")
    return {key: value}


_READERS = {
    "version": _version,
    "api_keys": _keys,
    "read_only_api_keys": _keys,
    "persist_dir": _directory,
    "latency": _latency,
    "seed": _seed,
    "limits": _limits,
    "allow_reset": _flag,
}
