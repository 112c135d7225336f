"""Calls to the admin API of a proxy or a mock: standard library only, because the watchdog uses it too."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from harness.faults.base import FaultError
from harness.stack.base import AdminApi

TIMEOUT_S = 2.0


def call(api: AdminApi, method: str, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = TIMEOUT_S) -> Any:
    """The JSON answer, None for an empty one. Raises FaultError for anything but a 2xx, ConnectionRefusedError when nobody listens."""
    url = urlsplit(api.url)
    connection = http.client.HTTPConnection(url.hostname or "127.0.0.1", url.port, timeout=timeout_s)
    headers = {"authorization": f"Bearer {api.token}", "content-type": "application/json"}
    try:
        connection.request(method, url.path.rstrip("/") + path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise FaultError(f"{method} {api.url}{path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if not 200 <= answer.status < 300:
        raise FaultError(f"{method} {api.url}{path}: {answer.status} {_words(text)}")
    return json.loads(text) if text else None


def _words(text: bytes) -> str:
    """What the body of an error says: the message in the shape of our own APIs, else as much of it as a line holds."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return text[:200].decode(errors="replace")
