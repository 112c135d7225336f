"""Makes the secrets of a deployment once: `python -m mocks.rag.credentials FOLDER`; `--show NAME` prints one that is there.

Files of FOLDER, readable by their owner alone: `api_key` (of the one client, which may do everything) and `keys.json` (KEYS_FILE, with its
hash), `jwt_secret`, `provider_key`, `admin_token`, `postgres_password` and `database_url`, `valkey_password` and `redis_url`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAST = "keys.json"
"""Written when all others are there: a folder that has it is complete."""


def make(folder: Path) -> bool:
    """Write every file; False where they are there already, which changes nothing. Raises OSError."""
    if (folder / _LAST).is_file():
        return False
    for name, text in _texts().items():
        path = folder / name
        path.unlink(missing_ok=True)  # of an attempt that was cut short
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    return True


def _texts() -> Mapping[str, str]:
    """Of every file, `_LAST` last."""
    api_key = f"rk-{secrets.token_urlsafe(24)}"
    postgres, valkey = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    client = {"id": "key-1", "sha256": hashlib.sha256(api_key.encode()).hexdigest(), "client": "operator", "plan": "standard"}
    plans = {"standard": {"burst_per_s": 50, "per_minute": 1_500, "per_hour": 30_000}}
    return {
        "api_key": api_key,
        "jwt_secret": secrets.token_urlsafe(48),
        "provider_key": f"sk-{secrets.token_urlsafe(24)}",
        "admin_token": secrets.token_urlsafe(24),
        "postgres_password": postgres,
        "database_url": f"postgresql://postgres:{postgres}@postgres:5432/postgres",
        "valkey_password": valkey,
        "redis_url": f"redis://:{valkey}@cache:6379/0",
        _LAST: json.dumps({"keys": [{**client, "roles": ["reader", "writer", "admin"]}], "plans": plans}),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """0; or 2 with one line on stderr where the folder cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m mocks.rag.credentials", description="Make the secrets of a deployment, once.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", metavar="NAME", help="print this one")
    asked = parser.parse_args(arguments)
    try:
        if asked.show is None:
            make(asked.folder)
        else:
            sys.stdout.write((asked.folder / asked.show).read_text(encoding="utf-8") + "\n")
    except OSError as error:
        sys.stderr.write(f"credentials: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
