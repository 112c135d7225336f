"""The operator with rules and a channel installed: `python -m harness.pipeline.steps.monitor.on_call INSTALL.json TARGETS.yaml`.

`INSTALL.json` is `{"rules": [paths], "webhook": url}`. It heals nothing by itself: what is proved is that people are told.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import yaml


def installed(install: Path, targets: Path) -> Path:
    """A targets file of its own, beside the one that the operator was given."""
    wanted = json.loads(install.read_text(encoding="utf-8"))
    document = yaml.safe_load(targets.read_text(encoding="utf-8"))
    document["rules"] = wanted["rules"]
    document["notify"] = {"channels": {"proof": {"webhook": {"url": wanted["webhook"]}}}, "group_wait": "1s", "group_interval": "1s"}
    path = targets.with_name("installed.yaml")
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return path


def main(argv: list[str]) -> None:
    """Becomes the operator."""
    path = installed(Path(argv[1]), Path(argv[2]))
    os.execv(sys.executable, [sys.executable, "-m", "harness.ops", str(path), "--dry-run"])


if __name__ == "__main__":
    main(sys.argv)
