"""The API server of the stand-in, over HTTP on loopback, as the client finds it by its kubeconfig."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from harness.cluster import CHAOS_GROUP, KINDS
from tests.cluster import websocket
from tests.cluster.chaos import ChaosMesh
from tests.cluster.controllers import Controllers
from tests.cluster.kubelet import Kubelet
from tests.cluster.store import Document, Refusal, Store, matches, merged
from tests.cluster.types import misfits

_PLURALS = {(kind.api_version, kind.plural): name for name, kind in KINDS.items()}
MERGE_PATCH = "application/merge-patch+json"


class FakeCluster:
    """A cluster from `start` to `stop`. `requests` are (method, path) of all that was asked."""

    def __init__(self, folder: Path) -> None:
        """`folder` gets the kubeconfig, and what programs in pods are shown."""
        self.folder = folder
        self.store = Store()
        self.kubelet = Kubelet(folder)
        self.mesh = ChaosMesh(self.store, self.kubelet)
        self.controllers = Controllers(self.store, self.kubelet, self.mesh)
        self.token = secrets.token_hex(8)
        self.requests: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def start(self) -> None:
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "tester", "user": {"token": self.token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "tester"}}],
            "current-context": "fake",
        }
        self.kubeconfig.write_text(yaml.safe_dump(document), encoding="utf-8")
        threading.Thread(target=partial(self._server.serve_forever, 0.02), name="api server", daemon=True).start()
        self.controllers.start()

    def stop(self) -> None:
        self.controllers.stop()
        self._server.shutdown()
        self._server.server_close()
        for running in self.kubelet.all():
            self.kubelet.remove(running.uid)

    def serves(self, api_version: str) -> bool:
        return any(kind.api_version == api_version for kind in KINDS.values()) and (api_version != CHAOS_GROUP or self.mesh.installed)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # what follows a head waits for nobody's acknowledgement

    def __init__(self, cluster: FakeCluster, *rest: Any) -> None:
        self.cluster = cluster
        self.store = cluster.store
        super().__init__(*rest)

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        self.asked = parse_qs(parts.query, keep_blank_values=True)
        self.cluster.requests.append((self.command, parts.path))
        length = int(self.headers.get("content-length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        try:
            if self.headers.get("authorization") != f"Bearer {self.cluster.token}":
                raise Refusal(401, "Unauthorized", "Unauthorized")
            self._route(parts.path.strip("/").split("/"), body)
        except Refusal as refusal:
            status = {
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
                "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
            }  # fmt: skip
            self._answer(status, refusal.code)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 - as the base class looks for them

    def handle(self) -> None:
        with suppress(OSError, ValueError):  # whoever asked may leave at any moment
            super().handle()

    def _route(self, path: list[str], body: Any) -> None:
        if path == ["version"]:
            return self._answer({"major": "1", "minor": "37", "gitVersion": "v1.37.0-fake"})
        version, rest = ("v1", path[2:]) if path[0] == "api" else ("/".join(path[1:3]), path[3:])
        if not self.cluster.serves(version):
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if not rest:
            return self._answer({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": []})
        namespace = None
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = _PLURALS.get((version, rest[0]))
        if kind is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if len(rest) > 2:
            return self._subresource(kind, namespace, rest[1], rest[2], body)
        return self._resource(kind, namespace, rest[1] if len(rest) == 2 else None, body)

    # --- objects

    def _resource(self, kind: str, namespace: str | None, name: str | None, body: Any) -> None:
        match self.command, name:
            case "GET", None:
                self._watch(kind, namespace) if self.asked.get("watch") else self._list(kind, namespace)
            case "GET", str():
                self._answer(self.store.get(kind, namespace, name))
            case "POST", None:
                self._answer(self._create(kind, namespace, body), 201)
            case "PUT", str():
                self._answer(self._replace(kind, namespace, name, body))
            case "PATCH", str():
                self._answer(self._patch(kind, namespace, name, body))
            case "DELETE", str():
                grace = (body or {}).get("gracePeriodSeconds", self.asked.get("gracePeriodSeconds", [None])[0])
                self._answer(self.store.delete(kind, namespace, name, None if grace is None else int(grace)))
            case _:
                raise Refusal(405, "MethodNotAllowed", f"{self.command} is not supported on this")

    def _create(self, kind: str, namespace: str | None, body: Document) -> Document:
        if body.get("kind") != kind or (body.get("metadata") or {}).get("namespace") != namespace:
            raise Refusal(400, "BadRequest", "the object provided does not match the path it was sent to")
        if namespace is not None and "deletionTimestamp" in self.store.get("Namespace", None, namespace)["metadata"]:
            raise Refusal(403, "Forbidden", f"unable to create new content in namespace {namespace} because it is being terminated")
        _admit(body)
        return self.store.create(body)

    def _replace(self, kind: str, namespace: str | None, name: str, body: Document) -> Document:
        _admit(body)

        def put(one: Document) -> None:
            sent = body["metadata"].get("resourceVersion")
            if sent is not None and sent != one["metadata"]["resourceVersion"]:
                raise Refusal(
                    409, "Conflict", f'Operation cannot be fulfilled on {KINDS[kind].plural} "{name}": the object has been modified'
                )
            kept = {key: one["metadata"][key] for key in ("uid", "creationTimestamp", "generation", "resourceVersion")}
            status = one.get("status")
            one.clear()
            one.update({**body, "metadata": {**body["metadata"], **kept}})
            if status is not None:
                one["status"] = status

        return self.store.update(kind, namespace, name, put)

    def _patch(self, kind: str, namespace: str | None, name: str, change: Any, *, status: bool = False) -> Document:
        if self.headers.get("content-type") != MERGE_PATCH:
            raise Refusal(415, "UnsupportedMediaType", f"the body of the request was in an unknown format; this server takes {MERGE_PATCH}")

        def merge(one: Document) -> None:
            after = merged(
                one, {"status": change.get("status")} if status else {key: value for key, value in change.items() if key != "status"}
            )
            _admit(after)
            one.clear()
            one.update(after)

        return self.store.update(kind, namespace, name, merge)

    def _list(self, kind: str, namespace: str | None) -> None:
        items = self.store.select(kind, namespace, self._labels())
        metadata = {"resourceVersion": str(self.store.version)}
        self._answer({"kind": f"{kind}List", "apiVersion": KINDS[kind].api_version, "metadata": metadata, "items": items})

    def _labels(self) -> Mapping[str, str]:
        text = self.asked.get("labelSelector", [""])[0]
        return dict(part.split("=", 1) for part in text.split(",") if part)

    def _watch(self, kind: str, namespace: str | None) -> None:
        """Events after a version, as lines, until the time that was asked for is over."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen = int(self.asked.get("resourceVersion", ["0"])[0] or 0)
        deadline = threading.Event()
        timer = threading.Timer(float(self.asked.get("timeoutSeconds", ["30"])[0]), deadline.set)
        timer.daemon = True
        timer.start()
        while not deadline.is_set():
            with self.store.changed:
                fresh = [event for event in self.store.events if event[0] > seen]
                if not fresh:
                    self.store.changed.wait(0.05)
            for version, what, one in fresh:
                seen = version
                within = namespace in (None, one["metadata"].get("namespace"))
                if one["kind"] == kind and within and matches(one, self._labels()):
                    line = json.dumps({"type": what, "object": one}).encode() + b"\n"
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                    self.wfile.flush()
        timer.cancel()
        self.wfile.write(b"0\r\n\r\n")

    # --- subresources

    def _subresource(self, kind: str, namespace: str | None, name: str, which: str, body: Any) -> None:
        match kind, which:
            case _, "status" if self.command == "PATCH":
                self._answer(self._patch(kind, namespace, name, body, status=True))
            case _, "status":
                self._answer(self.store.get(kind, namespace, name))
            case "Pod", "log":
                self._text(self.cluster.kubelet.get(self.store.get("Pod", namespace, name)["metadata"]["uid"]).log)
            case "Pod", "exec":
                self._exec(self.store.get("Pod", namespace, name)["metadata"]["uid"])
            case "Pod", "portforward":
                self._forward(self.store.get("Pod", namespace, name)["metadata"]["uid"])
            case _:
                raise Refusal(404, "NotFound", "the server could not find the requested resource")

    def _exec(self, uid: str) -> None:
        socket = self._switch()
        status, printed = self.cluster.kubelet.execute(uid, self.asked["command"])
        socket.send(1, printed)
        done: Document = {"metadata": {}, "status": "Success"}
        if status != 0:
            causes = [{"reason": "ExitCode", "message": str(status)}]
            done = {"metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}}
        socket.send(3, json.dumps(done).encode())
        socket.close()

    def _forward(self, uid: str) -> None:
        socket = self._switch()
        port = int(self.asked["ports"][0])
        for channel in (0, 1):
            socket.send(channel, port.to_bytes(2, "little"))
        try:
            beyond = self.cluster.kubelet.connect(uid, port)
        except ConnectionRefusedError as error:
            socket.send(1, str(error).encode())
            return socket.close()
        threading.Thread(target=_answers, args=(beyond, socket), daemon=True).start()
        with beyond, suppress(OSError):  # the pod may go
            while (message := socket.receive()) is not None:
                beyond.sendall(message[1:])
            beyond.shutdown(SHUT_RDWR)  # wakes whoever waits for answers
        return None

    def _switch(self) -> websocket.WebSocket:
        if self.headers.get("upgrade", "").lower() != "websocket":
            raise Refusal(400, "BadRequest", "Upgrade request required")
        self.send_response(101)
        for name, value in websocket.accept(self.headers["sec-websocket-key"]).items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        return websocket.WebSocket(self.rfile, self.wfile)

    # --- answers

    def _answer(self, document: Any, code: int = 200) -> None:
        self._send(json.dumps(document).encode(), "application/json", code)

    def _text(self, text: str) -> None:
        self._send(text.encode(), "text/plain", 200)

    def _send(self, content: bytes, kind: str, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _answers(beyond: Any, socket: websocket.WebSocket) -> None:
    try:
        while data := beyond.recv(65536):
            socket.send(0, data)
    except (OSError, ValueError):
        pass  # one of both is gone
    socket.close()


def _admit(document: Document) -> None:
    """Refuse what does not fit the types: 400 for what cannot be decoded (strictly), 422 for what is not valid."""
    found = misfits(document)
    undecodable = [one for one in found if one.kind == "unknown" or (one.kind == "type" and document.get("kind") not in _CUSTOM)]
    if undecodable:
        raise Refusal(400, "BadRequest", f"strict decoding error: {'; '.join(undecodable)}")
    if found:
        name = document["metadata"].get("name")
        raise Refusal(422, "Invalid", f'{document.get("kind")} "{name}" is invalid: {"; ".join(found)}')


_CUSTOM = {name for name, kind in KINDS.items() if kind.api_version in (CHAOS_GROUP, "autoscaling.k8s.io/v1")}
