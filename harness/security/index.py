"""Advisories by the JSON API of a package index, which pip-audit asks by default: `vulnerabilities` of a release, as PyPI documents it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from harness.security.advisories import Hit

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 20.0
AT_ONCE = 8


class IndexUnreachableError(Exception):
    """It answers nothing at all: why."""


@dataclass(frozen=True, slots=True)
class Told:
    """Of one release. `why` says why nothing is known of it; empty where `hits` is all that the index knows."""

    hits: tuple[Hit, ...] = ()
    why: str = ""


def ask(url: str, releases: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Told]:
    """What the index below `url` (`…/pypi`) says of each (name, version). Raises IndexUnreachableError."""
    import httpx

    first, *others = sorted(set(releases))
    with httpx.Client(follow_redirects=True, timeout=TIMEOUT_S) as client:
        try:
            answers = {first: _of(client, url, *first)}  # alone: who does not answer is asked once
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise IndexUnreachableError(f"{url} does not answer: {str(error) or type(error).__name__}") from error
        with ThreadPoolExecutor(AT_ONCE) as pool:
            answers |= zip(others, pool.map(lambda one: _of_later(client, url, *one), others), strict=True)
    return answers


def _of_later(client: httpx.Client, url: str, name: str, version: str) -> Told:
    import httpx

    try:
        return _of(client, url, name, version)
    except httpx.TransportError as error:
        return Told(why=str(error) or type(error).__name__)


def _of(client: httpx.Client, url: str, name: str, version: str) -> Told:
    import httpx

    try:
        response = client.get(f"{url.rstrip('/')}/{name}/{version}/json")
    except httpx.TooManyRedirects as error:
        return Told(why=str(error))
    if response.status_code != httpx.codes.OK:
        return Told(why=f"HTTP {response.status_code}")
    try:
        document = response.json()
        about = document["info"]
        if canonicalize_name(about["name"]) != canonicalize_name(name) or about["version"] != version:
            return Told(why=f"the answer is of {about['name']} {about['version']}")
        # A mirror may leave the key out. That says nothing, and PyPI itself never does.
        return Told(tuple(_hit(one, name, version) for one in document["vulnerabilities"] if not one.get("withdrawn")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Told(why=f"the answer is none of the JSON API: {type(error).__name__}: {error}")


def _hit(told: Mapping[str, Any], name: str, version: str) -> Hit:
    text = str(told.get("summary") or told.get("details") or "").strip().splitlines()
    aliases, fixed = tuple(map(str, told.get("aliases") or ())), tuple(map(str, told.get("fixed_in") or ()))
    return Hit(str(told["id"]), aliases, canonicalize_name(name), version, fixed, text[0][:200] if text else "")
