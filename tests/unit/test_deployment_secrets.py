"""`python -m mocks.rag.credentials`: made once, complete, nobody else's to read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mocks.rag import credentials
from mocks.rag.gateway.service import MIN_SECRET_BYTES


def held(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_they_are_made_once(tmp_path: Path) -> None:
    assert credentials.main([str(tmp_path)]) == 0
    first = held(tmp_path)
    assert credentials.main([str(tmp_path)]) == 0
    assert held(tmp_path) == first
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    assert len(set(first.values())) == len(first)


def test_an_attempt_that_was_cut_short_is_made_again_whole(tmp_path: Path) -> None:
    (tmp_path / "api_key").write_text("half")
    credentials.make(tmp_path)
    made = held(tmp_path)
    (key,) = json.loads(made["keys.json"])["keys"]
    assert key["sha256"] == hashlib.sha256(made["api_key"].encode()).hexdigest()
    assert made["database_url"] == f"postgresql://postgres:{made['postgres_password']}@postgres:5432/postgres"
    assert made["redis_url"] == f"redis://:{made['valkey_password']}@cache:6379/0"
    assert len(made["jwt_secret"].encode()) >= MIN_SECRET_BYTES


def test_one_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    credentials.make(tmp_path)
    assert credentials.main([str(tmp_path), "--show", "api_key"]) == 0
    assert capsys.readouterr().out == held(tmp_path)["api_key"] + "\n"
    assert credentials.main([str(tmp_path), "--show", "nothing"]) == 2
    assert "nothing" in capsys.readouterr().err
