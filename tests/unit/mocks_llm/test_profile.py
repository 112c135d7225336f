"""Profiles and settings: what is accepted, what is said about the rest, and what may change at run time."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from mocks.common.latency import Constant, Lognormal
from mocks.common.settings import Settings
from mocks.llm.accounts import AccountSettings
from mocks.llm.profile import Profile, ProfileError, profile_from_env


def test_profiles(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    path.write_text('{"models": ["a"], "ttft_ms": 5, "api_keys": ["k"], "seed": 4, "max_concurrency": 3, "journal": {"rows": 7}}')
    profile = profile_from_env({"LLM_PROFILE": str(path)})
    assert (profile.models, profile.seed, profile.max_concurrency, profile.journal_rows) == (("a",), 4, 3, 7)
    assert (profile.latency.ttft, profile.latency.itl) == (Constant(5.0), Constant(8.0))
    assert profile.accounts == (AccountSettings("key-1", "k"),)
    assert profile_from_env({}) == Profile.parse({})


def test_an_account_with_everything() -> None:
    document = {
        "name": "team",
        "key": "sk-1",
        "organization": "org-1",
        "project": "proj_1",
        "requests_per_min": 60,
        "tokens_per_min": 30_000,
        "monthly_tokens": 1_000_000,
    }
    assert Profile.parse({"accounts": [document]}).accounts == (AccountSettings(**document),)
    assert "sk-1" not in repr(Profile.parse({"accounts": [document]}).accounts)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"model": ["a"]}, "unknown key in the profile: model"),
        ({"models": []}, "models must name at least one"),
        ({"models": ["*"]}, "models must name at least one"),
        ({"models": "a"}, "models must be a list"),
        ({"ttft_ms": -1}, "ttft_ms must be a number of milliseconds"),
        ({"itl_ms": "5"}, "itl_ms must be"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"snapshots": {"a": 1}}, "snapshots must map"),
        ({"embedding_dimensions": 0}, "embedding_dimensions must be"),
        ({"tokens_per_chunk": 0}, "tokens_per_chunk must be"),
        ({"api_keys": [""]}, "api_keys must be a list"),
        ({"max_concurrency": 0}, "max_concurrency must be"),
        ({"context_length": "long"}, "context_length must be"),
        ({"journal": {"columns": 3}}, "unknown key in journal: columns; it may have bytes, rows"),
        ({"accounts": {}}, "accounts must be a list of objects"),
        ({"accounts": [{"name": "a"}]}, r"accounts\[0\] must have key"),
        ({"accounts": [{"name": "a", "key": "k", "rpm": 3}]}, r"unknown key in accounts\[0\]: rpm"),
        ({"accounts": [{"name": "a", "key": "k", "tokens_per_min": 0}]}, r"accounts\[0\].tokens_per_min must be a whole number"),
        ({"accounts": [{"name": "a", "key": "k"}, {"name": "a", "key": "l"}]}, "two accounts have the same name"),
        ({"accounts": [{"name": "a", "key": "k"}], "api_keys": ["k"]}, "two accounts have the same key"),
        ({"answers": {"strategy": "clever"}}, "answers.strategy must be one of"),
        ({"answers": {"strategy": "echo", "tokens": {"file": "x"}}}, "unknown key in answers.tokens: file"),
        ({"answers": {"strategy": "canned", "tokens": {"trace": {}}}}, "with the strategy echo"),
        ({"answers": {"strategy": "echo", "tokens": {"trace": {"file": "none", "format": "azure"}}}}, "cannot read the trace"),
        ({"latency": {"ttft": {"constant_ms": -1}}}, "latency.ttft.constant_ms must be"),
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


def test_traces_are_found_beside_the_profile(tmp_path: Path) -> None:
    (tmp_path / "azure.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\nx,5,7\ny,5,9\n")
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"answers": {"strategy": "echo", "tokens": {"trace": {"file": "azure.csv", "format": "azure"}}}}))
    lengths = Profile.load(path).lengths
    assert lengths is not None
    assert list(lengths) == [7, 9]


def test_some_keys_may_change_at_run_time_and_the_others_stay() -> None:
    profile = Profile.parse({"seed": 4, "ttft_ms": 5, "api_keys": ["k"]})
    changed = profile.changed({"latency": {"ttft": {"lognormal_ms": {"median": 100, "sigma": 1}}}, "max_concurrency": 2})
    assert (changed.latency.ttft, changed.seed, changed.max_concurrency) == (Lognormal(100.0, 1.0), 4, 2)
    again = changed.changed({"latency": {}, "max_concurrency": None})
    assert dataclasses.replace(again, document={}) == dataclasses.replace(profile, document={})
    for key in ("seed", "models", "api_keys", "journal"):
        with pytest.raises(ProfileError, match=f"{key} cannot be changed at run time; ttft_ms, itl_ms, "):
            profile.changed({key: profile.document[key]})
    with pytest.raises(ProfileError, match="ttft_ms must be"):
        profile.changed({"ttft_ms": "fast"})


def test_what_is_shown_holds_no_keys() -> None:
    profile = Profile.parse({"api_keys": ["sk-secret"], "accounts": [{"name": "team", "key": "sk-other"}], "ttft_ms": 7})
    shown = profile.shown()
    assert (shown["accounts"], shown["ttft_ms"]) == (["key-1", "team"], 7)
    assert "sk-" not in json.dumps(shown)


def test_settings() -> None:
    env = {"PORT": "80", "INSTANCE": "llm_fallback-1", "ADMIN_PORT": "81", "ADMIN_TOKEN": "t", "LOG_LEVEL": "error", "FAULTS_FILE": "/f"}
    found = Settings.from_env(env)
    assert found == Settings("127.0.0.1", 80, "llm_fallback-1", "1.0.0", False, 81, "t", Path("/f"))
    assert found.service == "llm_fallback"
    assert Settings.from_env({"PORT": "0"}).faults_file is None


@pytest.mark.parametrize("env", [{}, {"PORT": "x"}, {"PORT": "70000"}, {"PORT": "1", "ADMIN_PORT": "2"}])
def test_bad_settings(env: dict[str, str]) -> None:
    with pytest.raises(ProfileError):
        Settings.from_env(env)
