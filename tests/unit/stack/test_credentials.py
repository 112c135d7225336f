from __future__ import annotations

import hashlib
import json
from pathlib import Path

from harness.stack.credentials import Credentials


def test_the_keys_file_is_private_and_holds_only_the_hash(tmp_path: Path) -> None:
    credentials = Credentials.fresh()
    path = tmp_path / "keys.json"
    credentials.write_keys_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert credentials.api_key not in text and credentials.limited_key not in text
    document = json.loads(text)
    load, visitor = document["keys"]
    assert load["sha256"] == hashlib.sha256(credentials.api_key.encode()).hexdigest()
    assert document["plans"][load["plan"]] == {"burst_per_s": 0, "per_minute": 0, "per_hour": 0}
    assert visitor["sha256"] == hashlib.sha256(credentials.limited_key.encode()).hexdigest()
    assert all(document["plans"][visitor["plan"]].values()) and "admin" not in visitor["roles"]


def test_every_run_has_its_own_secrets() -> None:
    one, other = Credentials.fresh(), Credentials.fresh()
    for name in ("api_key", "limited_key", "jwt_secret", "provider_key", "admin_token"):
        assert getattr(one, name) != getattr(other, name)
        assert len(getattr(one, name)) >= 32
