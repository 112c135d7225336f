"""What a mock is given on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.lifecycle.mock_documents import MockUsageError, faults_of, named, with_seed


def test_faults_come_one_or_many_from_text_or_file(tmp_path: Path) -> None:
    one, other = {"type": "server_error"}, {"id": "mine", "type": "overloaded"}
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([one, other]))
    assert faults_of(json.dumps(one)) == [one]
    assert faults_of(json.dumps([one, other])) == faults_of(f"@{file}") == [one, other]


@pytest.mark.parametrize("text", ["rate_limited", "[1]", '"text"', '{"id": 3}', "@no-such-file"])
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(MockUsageError, match=r"is not JSON|is an object|no-such-file"):
        faults_of(text)


def test_every_fault_has_an_id_of_its_own() -> None:
    assert [fault["id"] for fault in named([{"type": "a"}, {"id": "mine", "type": "b"}, {"type": "c"}])] == ["fault-1", "mine", "fault-3"]
    for faults, says in (
        ([{"id": "a"}, {"id": "a"}], "2 faults have the id 'a'"),
        ([{}, {"id": "fault-1"}], "2 faults"),
        ([{"id": ""}], "empty"),
    ):
        with pytest.raises(MockUsageError, match=says):
            named(faults)


def test_a_seed_takes_the_place_of_the_profiles(tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    latency = {"ttft": {"trace": {"file": "trace.csv", "format": "azure"}}}
    profile.write_text(json.dumps({"seed": 1, "latency": latency, "persist_dir": "/data", "models": ["file"]}))
    assert with_seed(profile, 7) == {
        "seed": 7,
        "latency": {"ttft": {"trace": {"file": str(tmp_path / "trace.csv"), "format": "azure"}}},
        "persist_dir": "/data",
        "models": ["file"],
    }
    assert with_seed(None, 7) == {"seed": 7}


@pytest.mark.parametrize("text", ["[]", "{", ""])
def test_what_is_no_profile(text: str, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text(text)
    with pytest.raises(MockUsageError, match=r"profile\.json"):
        with_seed(profile, 7)
