"""Routes: which pattern fits a path."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.http.router import Match, NotAllowed, NotFound, Router


def handler(*said: object) -> None:
    raise AssertionError(said)


def other(*said: object) -> None:
    raise AssertionError(said)


@pytest.fixture
def router() -> Router:
    router = Router()
    router.add("GET", "/", handler)
    router.add("GET", "/collections", handler)
    router.add("GET", "/collections/{name}", handler)
    router.add("PUT", "/collections/{name}", other)
    router.add("POST", "/collections/{name}/points/{id}", handler)
    router.add("POST", "/collections/aliases/points/{id}", other)
    router.add("DELETE", "/collections/aliases", other)
    return router


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/", Match(handler)),
        ("HEAD", "/", Match(handler)),
        ("GET", "/collections", Match(handler)),
        ("GET", "/collections/a", Match(handler, ("a",))),
        ("PUT", "/collections/a%2Fb%20%E2%82%AC", Match(other, ("a/b €",))),
        ("PUT", "/collections/100%25", Match(other, ("100%",))),
        ("GET", "/%63ollections", Match(handler)),
        ("POST", "/collections/a/points/7", Match(handler, ("a", "7"))),
        ("POST", "/collections/aliases/points/7", Match(other, ("7",))),
        ("GET", "/collections/aliases", Match(handler, ("aliases",))),  # the fixed pattern has no GET
        ("DELETE", "/collections/aliases", Match(other)),
        ("GET", "/collections/", NotFound()),
        ("GET", "//collections", NotFound()),
        ("GET", "/collections/a/points", NotFound()),
        ("GET", "/collections/a/points/", NotFound()),
        ("GET", "", NotFound()),
        ("GET", "*", NotFound()),
        ("POST", "/", NotAllowed(("GET", "HEAD"))),
        ("PATCH", "/collections/a", NotAllowed(("GET", "HEAD", "PUT"))),
        ("PATCH", "/collections/aliases", NotAllowed(("DELETE", "GET", "HEAD", "PUT"))),
        ("HEAD", "/collections/a/points/7", NotAllowed(("POST",))),
    ],
)
def test_find(router: Router, method: str, path: str, found: object) -> None:
    assert router.find(method, path) == found


@pytest.mark.parametrize("pattern", ["collections", "", "/a{name}", "/{name}b", "/a}"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"slash|as a whole"):
        Router().add("GET", pattern, handler)


def test_two_answers_to_one_request_are_a_mistake(router: Router) -> None:
    with pytest.raises(ValueError, match=r"two answers to GET /collections/\{id\}"):
        router.add("GET", "/collections/{id}", other)


_SEGMENT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
_OPEN = object()


@given(st.lists(_SEGMENT | st.just(_OPEN), min_size=1, max_size=5), st.data())
def test_every_open_segment_is_given_back(pattern: list[object], data: st.DataObject) -> None:
    segments = [data.draw(_SEGMENT) if part is _OPEN else str(part) for part in pattern]
    if any(part is not _OPEN and set("{}/") & set(str(part)) for part in pattern):
        return  # such a segment cannot be written in a pattern
    router = Router()
    router.add("GET", "/" + "/".join("{x}" if part is _OPEN else str(part) for part in pattern), handler)
    parts = tuple(segment for segment, part in zip(segments, pattern, strict=True) if part is _OPEN)
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    assert router.find("GET", path) == Match(handler, parts)
    assert router.find("PUT", path) == NotAllowed(("GET", "HEAD"))
    assert router.find("GET", path + "/more") == NotFound()
