"""Who asks: keys, organizations, projects, and what an account may use up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mocks.common.buckets import TokenBucket
from mocks.common.checks import ProfileError, members, objects, text, whole
from mocks.llm.errors import ProviderError
from mocks.llm.plan import Facts
from mocks.llm.quotas import MINUTE_S, ORGANIZATION, Quota, Unit, admit, quota_spent

_MOST = 1e12
_KEYS = frozenset({"name", "key", "organization", "project", "requests_per_min", "tokens_per_min", "monthly_tokens"})


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One of the profile's `accounts`. Limits hold for each model by itself, as the providers keep them; None: no limit."""

    name: str
    key: str = field(repr=False)
    organization: str = ORGANIZATION
    project: str | None = None
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    monthly_tokens: int | None = None

    @classmethod
    def parse(cls, document: Mapping[str, Any], where: str) -> "AccountSettings":
        """From its JSON object. Raises ProfileError."""
        given = members(document, where, _KEYS)
        for key in ("name", "key"):
            if key not in given:
                raise ProfileError(f"{where} must have {key}")
        texts: dict[str, Any] = {
            key: text(given[key], f"{where}.{key}") for key in ("name", "key", "organization", "project") if key in given
        }
        limits: dict[str, Any] = {
            key: whole(given[key], f"{where}.{key}", 1, _MOST)
            for key in ("requests_per_min", "tokens_per_min", "monthly_tokens")
            if given.get(key) is not None
        }
        return cls(**texts, **limits)


def parse_accounts(api_keys: Sequence[str], value: object) -> tuple[AccountSettings, ...]:
    """The profile's `accounts`; each of its plain `api_keys` is an account without limits, `key-1` and so on. Raises ProfileError."""
    plain = [AccountSettings(f"key-{number}", key) for number, key in enumerate(api_keys, start=1)]
    named = [AccountSettings.parse(one, f"accounts[{i}]") for i, one in enumerate(objects(value, "accounts"))]
    for what in ("name", "key"):
        found = [getattr(account, what) for account in (*plain, *named)]
        if len(set(found)) < len(found):
            raise ProfileError(f"two accounts have the same {what}")
    return (*plain, *named)


class Account:
    """An account and what it has used."""

    def __init__(self, settings: AccountSettings) -> None:
        self.settings = settings
        self._quotas: dict[str, tuple[Quota, ...]] = {}
        self._month = ""
        self._spent = 0

    def admit(self, facts: Facts, now_s: float) -> tuple[dict[str, str], ProviderError | None]:
        """Let a call pass, or not; and the headers about rates that go with its answer."""
        most = self.settings.monthly_tokens
        if most is not None and self._spent_this_month() >= most:
            return {}, quota_spent(facts)
        quotas = self._quotas.get(facts.model)
        if quotas is None:
            quotas = self._quotas[facts.model] = self._new_quotas()
        return admit(quotas, facts, now_s) if quotas else ({}, None)

    def used(self, tokens: int) -> None:
        """Count tokens, read and written, towards the month's quota."""
        if self.settings.monthly_tokens is not None:
            self._spent = self._spent_this_month() + tokens

    def _spent_this_month(self) -> int:
        month = datetime.now(UTC).strftime("%Y-%m")
        if month != self._month:
            self._month, self._spent = month, 0
        return self._spent

    def _new_quotas(self) -> tuple[Quota, ...]:
        limits: dict[Unit, int | None] = {"requests": self.settings.requests_per_min, "tokens": self.settings.tokens_per_min}
        return tuple(Quota(unit, TokenBucket(limit / MINUTE_S, limit)) for unit, limit in limits.items() if limit is not None)


class Accounts:
    """All accounts by their keys; none: nobody is asked for a key."""

    def __init__(self, settings: Sequence[AccountSettings]) -> None:
        # A look-up by hash compares no two keys letter by letter, so that its time tells nothing about a key that is nearly right.
        self._by_key = {account.key.encode(): Account(account) for account in settings}
        self.wanted = bool(self._by_key)
        """Whether a key is asked for."""

    def identify(self, dialect: str, headers: Mapping[bytes, bytes]) -> Account:
        """Whose key a request carries. Raises ProviderError 401 in the dialect's words."""
        key = _key(dialect, headers)
        if not key:
            raise _missing(dialect)
        account = self._by_key.get(key)
        if account is None:
            raise _wrong(dialect, key.decode("latin-1"))
        if dialect == "openai":
            _check_belonging(account.settings, headers)
        return account


def _key(dialect: str, headers: Mapping[bytes, bytes]) -> bytes:
    own = {"azure": b"api-key", "anthropic": b"x-api-key"}.get(dialect)
    if own is not None and own in headers:
        return headers[own]
    scheme, _, key = headers.get(b"authorization", b"").partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


def _check_belonging(settings: AccountSettings, headers: Mapping[bytes, bytes]) -> None:
    for header, name, owned in (
        ("OpenAI-Organization", "organization", settings.organization),
        ("OpenAI-Project", "project", settings.project),
    ):
        given = headers.get(header.lower().encode())
        if given and owned is not None and given.decode("latin-1") != owned:
            raise ProviderError(401, f"{header} header should match {name} for API key", code=f"mismatched_{name}")


def _missing(dialect: str) -> ProviderError:
    if dialect == "anthropic":
        return ProviderError(401, "x-api-key header is required")
    message = (
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: "
        "Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the API from your browser and are prompted "
        "for a username and password. You can obtain an API key from https://platform.openai.com/account/api-keys."
    )
    return ProviderError(401, message)


def _wrong(dialect: str, key: str) -> ProviderError:
    if dialect == "anthropic":
        return ProviderError(401, "invalid x-api-key")
    shown = key if len(key) <= 8 else f"{key[:4]}{'*' * min(32, len(key) - 8)}{key[-4:]}"
    message = f"Incorrect API key provided: {shown}. You can find your API key at https://platform.openai.com/account/api-keys."
    return ProviderError(401, message, code="invalid_api_key")
