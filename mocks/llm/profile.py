"""What the mock serves, how fast, and to whom: its profile."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mocks.common import journal, traces
from mocks.common.checks import ProfileError, members, number, texts, whole
from mocks.common.latency import MOST_MS, Latency, parse_latency
from mocks.llm.accounts import AccountSettings, parse_accounts
from mocks.llm.answers.base import Answerer
from mocks.llm.answers.profile import AnswersError, answerer

__all__ = ["Profile", "ProfileError", "profile_from_env"]

_DEFAULTS: Mapping[str, Any] = {
    "models": ["rag-chat", "rag-embedding"],
    "snapshots": {},
    "ttft_ms": 120.0,
    "itl_ms": 8.0,
    "tokens_per_chunk": 1,
    "api_keys": [],
    "accounts": [],
    "seed": 0,
    "embedding_dimensions": 384,
    "latency": {},
    "answers": {},
    "max_concurrency": None,
    "context_length": None,
    "journal": {},
}
ANY_MODEL = "*"
"""Among `models`: whatever a caller asks for is served, under the name that it has there."""
AT_RUN_TIME = ("ttft_ms", "itl_ms", "latency", "answers", "tokens_per_chunk", "max_concurrency", "context_length")
"""The keys that may be changed while the mock runs."""
_SECRET = ("api_keys", "accounts")


@dataclass(frozen=True)
class Profile:
    """A profile that was read; `document` is what it was read from, complete with defaults.

    A stream's first event holds one token, each further one up to `tokens_per_chunk`, sent when the last of them is due; `snapshots` maps a
    model to the dated name that answers carry, as providers do (`gpt-4o` answers as `gpt-4o-2024-08-06`); `seed` decides, together with the
    request, everything that is drawn; `lengths` are those of a trace, one of which is drawn for every answer; at most `max_concurrency`
    answers are generated at once, the others wait; a prompt of more than `context_length` tokens is refused.
    """

    document: Mapping[str, Any]
    folder: Path
    models: tuple[str, ...]
    any_model: bool
    snapshots: Mapping[str, str]
    tokens_per_chunk: int
    accounts: tuple[AccountSettings, ...]
    seed: int
    embedding_dimensions: int
    latency: Latency
    answerer: Answerer = field(compare=False)
    lengths: Sequence[int] | None = field(repr=False)
    max_concurrency: int | None
    context_length: int | None
    journal_rows: int
    journal_bytes: int

    def serves(self, model: str) -> bool:
        """Whether answers of a model of that name are given."""
        return self.any_model or model in self.models

    def named(self, model: str) -> str:
        """The name under which answers of a model go out."""
        return self.snapshots.get(model, model)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a profile; files that it names are relative to its folder. Raises ProfileError."""
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ProfileError(f"cannot read the profile {path}: {error}") from error
        if not isinstance(document, dict):
            raise ProfileError(f"the profile {path} must be a JSON object")
        return cls.parse(document, path.parent)

    @classmethod
    def parse(cls, document: Mapping[str, Any], folder: Path = Path()) -> Self:
        """A profile from its JSON object. Raises ProfileError for an unknown key or a value out of range."""
        unknown = sorted(set(document) - set(_DEFAULTS))
        if unknown:
            raise ProfileError(f"unknown key in the profile: {', '.join(unknown)}")
        given = {**_DEFAULTS, **document}
        asked = texts(given["models"], "models")
        models = tuple(model for model in asked if model != ANY_MODEL)
        if not models:
            raise ProfileError("models must name at least one model")
        pace_ms = {key: number(given[key], key, 0, MOST_MS, "milliseconds") for key in ("ttft_ms", "itl_ms")}
        kept = members(given["journal"], "journal", frozenset({"rows", "bytes"}))
        answers, lengths = _answers(given["answers"], folder)
        return cls(
            document=given,
            folder=folder,
            models=models,
            any_model=ANY_MODEL in asked,
            snapshots=_snapshots(given["snapshots"]),
            tokens_per_chunk=whole(given["tokens_per_chunk"], "tokens_per_chunk", 1, 1_024),
            accounts=parse_accounts(texts(given["api_keys"], "api_keys"), given["accounts"]),
            seed=whole(given["seed"], "seed", -(2**63), 2**63),
            embedding_dimensions=whole(given["embedding_dimensions"], "embedding_dimensions", 1, 16_384),
            latency=parse_latency(given["latency"], **pace_ms, folder=folder),
            answerer=answers,
            lengths=lengths,
            max_concurrency=_limit(given["max_concurrency"], "max_concurrency"),
            context_length=_limit(given["context_length"], "context_length"),
            journal_rows=whole(kept.get("rows", journal.ROWS), "journal.rows", 1, 1_000_000),
            journal_bytes=whole(kept.get("bytes", journal.BYTES), "journal.bytes", 4_096, 2**32),
        )

    def changed(self, change: Mapping[str, Any]) -> Self:
        """With other values of some keys that may change at run time. Raises ProfileError."""
        fixed = sorted(set(change) - set(AT_RUN_TIME))
        if fixed:
            raise ProfileError(f"{', '.join(fixed)} cannot be changed at run time; {', '.join(AT_RUN_TIME)} can")
        return self.parse({**self.document, **change}, self.folder)

    def shown(self) -> dict[str, Any]:
        """As JSON, without the keys of accounts."""
        names = [account.name for account in self.accounts]
        return {key: value for key, value in self.document.items() if key not in _SECRET} | {"accounts": names}


def profile_from_env(env: Mapping[str, str] = os.environ) -> Profile:
    """The profile that `LLM_PROFILE` names, the default one without it. Raises ProfileError."""
    path = env.get("LLM_PROFILE")
    return Profile.load(Path(path)) if path else Profile.parse({})


def _answers(document: Any, folder: Path) -> tuple[Answerer, Sequence[int] | None]:
    """The strategy; and the lengths of a trace, where `{"strategy": "echo", "tokens": {"trace": {…}}}` asks for them."""
    lengths = None
    if isinstance(document, dict) and isinstance(document.get("tokens"), dict):
        given = members(document["tokens"], "answers.tokens", frozenset({"trace"}))
        if document.get("strategy") != "echo" or "trace" not in given:
            raise ProfileError('answers.tokens may be {"trace": {…}} with the strategy echo, which can be of any length')
        lengths = traces.lengths(given["trace"], "answers.tokens.trace", folder)
        document = {key: value for key, value in document.items() if key != "tokens"}
    try:
        return answerer(document), lengths
    except AnswersError as error:
        raise ProfileError(str(error)) from error


def _snapshots(value: object) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise ProfileError(f"snapshots must map model names to the names that answers carry, not {value!r}")
    return value


def _limit(value: object, key: str) -> int | None:
    return None if value is None else whole(value, key, 1, 1_000_000_000)
