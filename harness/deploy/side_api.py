"""By what a side is told to replace instances, and says which it has: HTTP on loopback, with a token."""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from harness.deploy.breaking import Breaking
from harness.faults.deploy import reported_version
from harness.faults.http_look import LookError, ask
from harness.record.clock import Clock
from harness.scenario.model import FaultUse
from harness.stack.base import AdminApi, Environed, Instance, Restartable, Stack, StackError

_REPLACE_S = 60.0
_LOOK_S = 15.0
_HEAL_S = 75.0  # healing, with its repetitions and its proof
_BODY_BYTES_MAX = 1 << 20
_FAULTS = "/faults"


class SideError(RuntimeError):
    """A side does not do what it was told, or does not answer."""


@dataclass(frozen=True, slots=True)
class SeenInstance:
    """One instance as its side sees it. `version` is what it reports itself; `reason` why it is not ready."""

    service: str
    name: str
    url: str
    version: str | None
    pid: int | None
    reason: str | None


class SideApi:
    """The server, in the supervisor of the side. `GET /instances?SERVICE`, `POST /replace {instance, variables}`;
    `POST /faults {faults, seed, start_ns, end_ns}`, `GET /faults`, `DELETE /faults`."""

    def __init__(self, stack: Stack, token: str, breaking: Breaking) -> None:
        self.token = token
        self._stack = stack
        self._breaking = breaking
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.server_port}"

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="side-api", daemon=True).start()

    def stop(self) -> None:
        """Idempotent."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def instances(self, service: str) -> list[dict[str, Any]]:
        """Raises StackError for a service that there is not."""
        return [self._seen(instance) for instance in self._stack.instances(service)]

    def replace(self, instance: str, variables: Mapping[str, str]) -> None:
        """Drained, ended, and started anew with these in its environment besides; empty: as declared. Raises StackError."""
        if not isinstance(self._stack, Environed) or not isinstance(self._stack, Restartable):
            raise StackError("instances of this stack cannot be replaced one by one")
        self._stack.set_environment(instance, dict(variables))
        self._stack.restart(instance)

    def looked(self, path: str) -> dict[str, Any]:
        """What a `GET` gets. Raises StackError for a service that there is not."""
        return dict(self._breaking.told()) if path == _FAULTS else {"instances": self.instances(path.partition("/instances?")[2])}

    def done(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a `POST` asks. Raises StackError, ValueError or KeyError for what cannot be."""
        if path == _FAULTS:
            uses = [FaultUse.model_validate(use) for use in asked["faults"]]
            self._breaking.begin(uses, int(asked["seed"]), int(asked["start_ns"]), int(asked["end_ns"]))
        else:
            self.replace(str(asked["instance"]), {str(k): str(v) for k, v in asked["variables"].items()})
        return {}

    def healed(self) -> dict[str, Any]:
        """Nothing is broken any more."""
        self._breaking.end()
        return dict(self._breaking.told())

    def _seen(self, instance: Instance) -> dict[str, Any]:
        return {
            "service": instance.service,
            "name": instance.name,
            "url": instance.url,
            "version": reported_version(instance),
            "pid": instance.pid,
            "reason": self._stack.probe(instance),
        }

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(lambda: api.looked(self.path))

            def do_DELETE(self) -> None:
                self._answer(api.healed)

            def do_POST(self) -> None:
                length = min(int(self.headers.get("content-length") or 0), _BODY_BYTES_MAX)
                body = self.rfile.read(length)
                self._answer(lambda: api.done(self.path, json.loads(body)))

            def _answer(self, work: Any) -> None:
                given = self.headers.get("authorization", "")
                if not hmac.compare_digest(given.encode(), f"Bearer {api.token}".encode()):
                    self._send(401, {"error": "the token of this side is needed"})
                    return
                try:
                    self._send(200, work())
                except (StackError, ValueError, KeyError, AttributeError) as error:
                    self._send(409, {"error": str(error)})

            def _send(self, status: int, document: Mapping[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None: ...

        return Handler


@dataclass(frozen=True, slots=True)
class SideClient:
    """The same from outside."""

    api: AdminApi
    clock: Clock

    def instances(self, service: str) -> Sequence[SeenInstance]:
        """Raises SideError."""
        return [SeenInstance(**one) for one in self._call("GET", f"/instances?{service}", None, _LOOK_S)["instances"]]

    def replace(self, instance: str, variables: Mapping[str, str]) -> None:
        """Returns when it is ready again. Raises SideError that says why it is not."""
        self._call("POST", "/replace", {"instance": instance, "variables": dict(variables)}, _REPLACE_S)

    def break_(self, faults: Sequence[FaultUse], seed: int, start_ns: int, end_ns: int) -> None:
        """Play these within that span, beside the caller. Raises SideError where the stack cannot take one."""
        uses = [use.model_dump(mode="json", by_alias=True) for use in faults]
        self._call("POST", _FAULTS, {"faults": uses, "seed": seed, "start_ns": start_ns, "end_ns": end_ns}, _LOOK_S)

    def faults(self) -> Mapping[str, Any]:
        """`{done, events}`. Raises SideError."""
        return self._call("GET", _FAULTS, None, _LOOK_S)

    def heal(self) -> Mapping[str, Any]:
        """Take back what is still broken; the same, once that is proved. Raises SideError."""
        return self._call("DELETE", _FAULTS, None, _HEAL_S)

    def _call(self, method: str, path: str, body: Any, timeout_s: float) -> Mapping[str, Any]:
        headers = {"authorization": f"Bearer {self.api.token}"}
        try:
            answer = ask(self.api.url + path, self.clock, method=method, headers=headers, body=body, timeout_s=timeout_s)
            document = dict(answer.json())
        except LookError as error:
            raise SideError(f"the side does not answer: {error}") from error
        if answer.status != 200:
            raise SideError(str(document.get("error", answer.status)))
        return document
