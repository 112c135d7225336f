"""The harness's own look at an HTTP service: is it ready, and how much is it working on."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from urllib.parse import urlsplit

PROBE_TIMEOUT_S = 1.0
HTTPS = 443
MOST_BYTES = 1 << 20
_IN_PROGRESS = re.compile(r"^rag_requests_in_progress(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


def get(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> tuple[int, bytes]:
    """Status and the beginning of the body. Raises OSError or http.client.HTTPException."""
    parts = urlsplit(url)
    if parts.hostname is None:
        raise OSError(f"{url}: no host in it")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname, parts.port, timeout=timeout_s)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"connection": "close"})
        response = connection.getresponse()
        return response.status, response.read(MOST_BYTES)
    finally:
        connection.close()


def ready(url: str) -> str | None:
    """None when `/ready` below `url` says 200, else the reason."""
    return answers(f"{url}/ready")


def answers(url: str) -> str | None:
    """None when `url` answers 200, else the reason; of a readiness answer, the checks that fail."""
    try:
        status, body = get(url)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return None if status == 200 else f"HTTP {status}: {_reasons(body)}"


def ends_tls(url: str) -> str | None:
    """None when a TLS handshake at `url` completes, else the reason. Whoever it shows a certificate of: users judge that."""
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or HTTPS), timeout=PROBE_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return None
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def reachable(url: str) -> str | None:
    """None when `url` answers anything that is no server error, else the reason."""
    try:
        status, _ = get(url)
    except (OSError, http.client.HTTPException) as error:
        return f"{type(error).__name__}: {error}"
    return None if status < 500 else f"HTTP {status}"


def requests_in_progress(url: str) -> int | None:
    """What the service says it is working on; None when it does not say."""
    try:
        status, body = get(f"{url}/metrics")
    except (OSError, http.client.HTTPException):
        return None
    match = _IN_PROGRESS.search(body.decode("utf-8", errors="replace")) if status == 200 else None
    return int(float(match[1])) if match else None


def _reasons(body: bytes) -> str:
    try:
        checks = json.loads(body)["checks"]
    except (ValueError, KeyError, TypeError):
        return body[:200].decode("utf-8", errors="replace")
    return "; ".join(f"{name}: {reason}" for name, reason in checks.items())
