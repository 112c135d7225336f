"""The text of a first scenario for a user's own service: what `gauntlet init` writes."""

from __future__ import annotations

import json
from importlib.resources import files


def starter(name: str = "my-service", url: str = "http://127.0.0.1:8000") -> str:
    """A commented scenario that loads the service at `url` and asserts two objectives; it passes `check` as it is."""
    template = files("harness.scenario").joinpath("templates/starter.yaml").read_text(encoding="utf-8")
    return template.replace("@NAME@", name).replace("@URL@", json.dumps(url))
