"""Requests of strange size and form: oversized bodies, paths that climb, headers on which two servers disagree (RFC 9112, 6.3 and 11.2)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from harness.score.check import Status
from harness.security.abuse.exchange import Attempt, Came, Gate, judged

_CLIMBS = (
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "/etc/passwd",
    "..\\..\\windows\\win.ini",
    "a/../../b",
    "....//....//etc/passwd",
    "x\x00.txt",
    "%2e%2e/",
)


def bodies(gate: Gate) -> Iterator[Attempt]:
    """Too much, and too deep; the service must be there afterwards."""
    route = gate.plan.routes.ask or gate.plan.routes.ingest
    if route is None or route.method != "POST":
        return
    size = gate.plan.max_body_bytes
    filler = b'{"question": "' + b"x" * size + b'"}'
    yield judged("bodies", "oversized", f"{len(filler)} bytes of JSON", _cut_off(gate.ask(route, gate.key, raw=filler)))
    yield _declared(gate, route.path, 10**12)
    deep = b'{"question": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    yield judged("bodies", "nested", "100,000 nested lists", gate.ask(route, gate.key, raw=deep))
    yield judged("bodies", "no_json", "bytes that are no JSON", gate.ask(route, gate.key, raw=b"\xff\xfe\x00{"))


def _cut_off(came: Came) -> Came:
    """Who hangs up in the middle of a body has refused it, as RFC 9110, 15.5.14 allows."""
    return Came(413, "hung up") if came.status == 0 and came.text in ("WriteError", "ReadError", "RemoteProtocolError") else came


def _declared(gate: Gate, path: str, size: int) -> Attempt:
    sent = f"a content-length of {size}, and one byte"
    try:
        statuses, _ = gate.bytes(_head(gate, "POST", path, f"Content-Type: application/json\r\nContent-Length: {size}") + b"{")
    except OSError as error:
        return judged("bodies", "declared", sent, Came(0, type(error).__name__))
    if not statuses:
        reason = "neither refused nor answered in time: it may wait for the rest, up to its limits"
        return Attempt("bodies", "declared", sent, "nothing", Status.INCONCLUSIVE, reason)
    return judged("bodies", "declared", sent, Came(statuses[0]))


def traversal(gate: Gate) -> Iterator[Attempt]:
    """Names of documents that climb out of their folder, in the body and in the path."""
    routes = gate.plan.routes
    for climb in _CLIMBS if routes.ingest is not None else ():
        assert routes.ingest is not None
        yield judged(
            "traversal",
            f"ingest:{climb!a}",
            f"a document named {climb!a}",
            gate.ask(routes.ingest, gate.key, id_=climb, text="x"),
        )
    for climb in ("..%2f..%2fhealth", "%2e%2e%2f%2e%2e%2fmetrics", "..%252f..%252fetc%252fpasswd") if routes.document is not None else ():
        assert routes.document is not None
        came = gate.ask(routes.document, gate.key, id_=climb)
        attempt = judged("traversal", f"path:{climb}", f"the state of document {climb}", came)
        if came.status == 404:  # there is no such document: what was to be shown
            attempt = Attempt(attempt.family, attempt.name, attempt.sent, attempt.came, Status.PASS, "answered 404: no such document")
        yield attempt


def smuggling(gate: Gate) -> Iterator[Attempt]:
    """One request to one reader, two to another: the hidden one must get no answer."""
    hidden = _head(gate, "GET", gate.plan.routes.protected.path, "Connection: close")
    chunked = b"0\r\n\r\n"
    for name, sent, lines, body in (
        (
            "cl_te",
            "content-length and transfer-encoding",
            f"Content-Length: {len(chunked + hidden)}\r\nTransfer-Encoding: chunked",
            chunked + hidden,
        ),
        ("te_cl", "transfer-encoding and a short content-length", "Transfer-Encoding: chunked\r\nContent-Length: 4", chunked + hidden),
        ("two_lengths", "two different content-lengths", f"Content-Length: 0\r\nContent-Length: {len(hidden)}", hidden),
        ("list_of_lengths", "a list of content-lengths", f"Content-Length: 0, {len(hidden)}", hidden),
        (
            "te_with_blank",
            "a blank before the colon",
            f"Transfer-Encoding : chunked\r\nContent-Length: {len(chunked + hidden)}",
            chunked + hidden,
        ),
        ("te_unknown", "a coding that nobody knows", f"Transfer-Encoding: xchunked\r\nContent-Length: {len(hidden)}", hidden),
        ("signed_length", "a content-length with a sign", f"Content-Length: +{len(hidden)}", hidden),
        ("folded", "a folded header", f"Transfer-Encoding:\r\n chunked\r\nContent-Length: {len(chunked + hidden)}", chunked + hidden),
    ):
        yield _smuggled(gate, name, sent, lines, body)


def _smuggled(gate: Gate, name: str, sent: str, lines: str, body: bytes) -> Attempt:
    route = gate.plan.routes.ask or gate.plan.routes.protected
    try:
        statuses, _ = gate.bytes(_head(gate, "POST", route.path, lines) + body)
    except OSError as error:
        return judged("smuggling", name, sent, Came(0, type(error).__name__))
    came = ", ".join(map(str, statuses)) or "hung up, or nothing"
    if len(statuses) > 1:
        return Attempt("smuggling", name, sent, came, Status.FAIL, "the hidden request was answered too")
    if statuses and statuses[0] >= 500 and statuses[0] != 501:
        return Attempt("smuggling", name, sent, came, Status.FAIL, f"answered {statuses[0]}: it broke instead of refusing")
    if name in ("two_lengths", "list_of_lengths", "te_with_blank") and statuses and statuses[0] < 400:
        return Attempt("smuggling", name, sent, came, Status.FAIL, "taken for a request; RFC 9112 wants it refused")
    return Attempt("smuggling", name, sent, came, Status.PASS, "one answer at most, and none to the hidden request")


def _head(gate: Gate, method: str, path: str, lines: str) -> bytes:
    host = urlsplit(gate.plan.url).netloc
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {gate.key}\r\n{lines}\r\n\r\n".encode(
        "latin-1", errors="replace"
    )
