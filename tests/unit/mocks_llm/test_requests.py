"""Request bodies, profiles and settings: what is accepted, and what is said about the rest."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocks.llm.chat import complete
from mocks.llm.profile import Profile, ProfileError, Settings, profile_from_env
from mocks.llm.requests import ChatRequest, EmbeddingRequest, parse_body, parse_chat, parse_embedding, request_key
from mocks.llm.wire import ProviderError, Usage

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
FACT = "[a.b] The colour of a.b is red.\n\nQuestion: What is the colour of a.b?"


def test_a_chat_request() -> None:
    body = {
        "model": "m",
        "messages": MESSAGES,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 9,
        "max_completion_tokens": 7,
        "stop": "x",
        "n": 1,
        "temperature": 0.5,
        "unknown": 1,
    }
    assert parse_chat(body) == ChatRequest("m", "Be brief.\n\nHi", True, True, 7, ("x",))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 3}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"n": 2}, "n"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": ""}, "stop"),
    ],
)
def test_bad_chat_requests_name_the_parameter(change: dict[str, Any], param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_chat({"model": "m", "messages": MESSAGES, **change})
    error = caught.value
    assert (error.status, error.type, error.param) == (400, "invalid_request_error", param)
    assert json.loads(error.body())["error"].keys() == {"message", "type", "param", "code"}


def test_an_embedding_request() -> None:
    assert parse_embedding({"model": "m", "input": "x"}, 384) == EmbeddingRequest("m", ("x",), None, False)
    body = {"model": "m", "input": ["x", "y"], "dimensions": 16, "encoding_format": "base64"}
    assert parse_embedding(body, 384) == EmbeddingRequest("m", ("x", "y"), 16, True)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x", 3]}, "input"),
        ({"input": ["x"] * 2_049}, "input"),
        ({"dimensions": 385}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
    ],
)
def test_bad_embedding_requests_name_the_parameter(change: dict[str, Any], param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        parse_embedding({"model": "m", "input": "x", **change}, 384)
    assert caught.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["role", "content", "type", "text"]), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["model", "messages", "stream", "stream_options", "n", "stop", "max_tokens", "input", "dimensions"])


@settings(deadline=None)
@given(st.dictionaries(FIELDS, JSON))
def test_whatever_is_asked_is_parsed_or_refused_in_the_providers_shape(body: dict[str, Any]) -> None:
    for parse in (parse_chat, lambda body: parse_embedding(body, 384)):
        try:
            parse(body)
        except ProviderError as error:
            assert error.status == 400


@settings(deadline=None)
@given(st.binary(max_size=50) | st.just(b"[" * 100_000))
def test_bodies_that_are_no_object_are_refused(raw: bytes) -> None:
    try:
        assert isinstance(parse_body(raw), dict)
    except ProviderError as error:
        assert error.status == 400


def test_keys_follow_seed_route_and_body_and_nothing_else() -> None:
    key = request_key(1, "/r", {"a": 1, "b": 2})
    assert request_key(1, "/r", {"b": 2, "a": 1}) == key
    assert len({key, request_key(2, "/r", {"a": 1, "b": 2}), request_key(1, "/s", {"a": 1, "b": 2}), request_key(1, "/r", {"a": 2})}) == 4


def request(**change: Any) -> ChatRequest:
    return parse_chat({"model": "m", "messages": [{"role": "user", "content": FACT}], **change})


def test_completions_end_by_themselves_by_limit_or_by_stop() -> None:
    whole = complete(request())
    assert ("".join(whole.tokens), whole.finish_reason) == ("The colour of a.b is red. [a.b]", "stop")
    assert whole.usage == Usage(25, 14)
    cut = complete(request(max_tokens=3))
    assert ("".join(cut.tokens), cut.finish_reason, cut.usage) == ("The colour of", "length", Usage(25, 3))
    assert complete(request(max_tokens=14)).finish_reason == "stop"
    stopped = complete(request(stop=["red", " is"]))
    assert ("".join(stopped.tokens), stopped.finish_reason) == ("The colour of a.b", "stop")
    assert complete(request(stop="The")).tokens == []


def test_profiles(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"models": ["a"], "ttft_ms": 5, "api_keys": ["k"], "seed": 4}')
    assert profile_from_env({"LLM_PROFILE": str(path)}) == Profile(models=("a",), ttft_ms=5, api_keys=("k",), seed=4)
    assert profile_from_env({}) == Profile()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"model": ["a"]}, "unknown key in the profile: model"),
        ({"models": []}, "models must name at least one"),
        ({"models": "a"}, "models must be a list"),
        ({"ttft_ms": -1}, "ttft_ms must be a number of milliseconds"),
        ({"itl_ms": "5"}, "itl_ms must be"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"embedding_dimensions": 0}, "embedding_dimensions must be"),
        ({"tokens_per_chunk": 0}, "tokens_per_chunk must be"),
        ({"api_keys": [""]}, "api_keys must be a list"),
    ],
)
def test_bad_profiles(document: dict[str, Any], reason: str) -> None:
    with pytest.raises(ProfileError, match=reason):
        Profile.parse(document)


def test_profiles_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    with pytest.raises(ProfileError, match="cannot read the profile"):
        Profile.load(path)
    path.write_text("[1]")
    with pytest.raises(ProfileError, match="must be a JSON object"):
        Profile.load(path)


def test_settings() -> None:
    given_env = {"PORT": "80", "INSTANCE": "llm_fallback-1", "ADMIN_PORT": "81", "ADMIN_TOKEN": "t", "LOG_LEVEL": "error"}
    found = Settings.from_env(given_env)
    assert found == Settings("127.0.0.1", 80, "llm_fallback-1", "1.0.0", False, 81, "t")
    assert found.service == "llm_fallback"


@pytest.mark.parametrize("env", [{}, {"PORT": "x"}, {"PORT": "70000"}, {"PORT": "1", "ADMIN_PORT": "2"}])
def test_bad_settings(env: dict[str, str]) -> None:
    with pytest.raises(ProfileError):
        Settings.from_env(env)
