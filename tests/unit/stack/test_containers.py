"""What is asked of a Docker engine and how its answers are read, against an engine of the test's own on a Unix socket."""

from __future__ import annotations

import json
import socketserver
import struct
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from harness.stack.base import Limits, StackError
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.containers.container import Container, ContainerSpec, Mount, limits_json
from harness.stack.containers.site import Site
from harness.sweep_containers import RUN_LABEL, SIDE_LABEL

MIB = 1 << 20
ENDED = {"Running": False, "Paused": False, "Pid": 0, "ExitCode": 0, "Error": "", "OOMKilled": False}


def frame(text: bytes) -> bytes:
    return struct.pack(">BxxxL", 1, len(text)) + text


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers by (method, path): a (status, document), or bytes for a stream. Everything else is 404."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, path: Path) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[str, str]] = []
        super().__init__(str(path), Handler)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        engine = self.server
        assert isinstance(engine, Engine)
        path = self.path.partition("?")[0]
        self.rfile.read(int(self.headers.get("content-length") or 0))
        engine.asked.append((self.command, self.path))
        found = engine.answers.get((self.command, path), (404, {"message": f"no {path}"}))
        status, body = (200, found) if isinstance(found, bytes) else (found[0], json.dumps(found[1]).encode())
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer  # noqa: N815 - the names that the base class looks for

    def address_string(self) -> str:
        return "test"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with tempfile.TemporaryDirectory() as folder, Engine(Path(folder) / "s") as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(engine: Engine) -> EngineApi:
    return EngineApi(str(engine.server_address))


def spec(**changes: Any) -> ContainerSpec:
    given: dict[str, Any] = {"name": "n", "host": "query-1", "image": "i", "labels": {RUN_LABEL: "r"}, "network": "net"}
    given["limits"] = Limits(1.0, 64 * MIB)
    return ContainerSpec(**{**given, **changes})


def running(engine: Engine, state: dict[str, Any], output: bytes = b"") -> None:
    """The engine can create one container, whose output ends at once in that state."""
    engine.answers |= {
        ("POST", "/containers/create"): (201, {"Id": "c0ffee"}),
        ("POST", "/containers/c0ffee/start"): (204, None),
        ("GET", "/containers/c0ffee/json"): (200, {"State": state, "Config": {}}),
        ("GET", "/containers/c0ffee/logs"): output,
    }


def test_an_engine_of_another_machine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2376")
    with pytest.raises(EngineError, match=r"the Docker engine tcp://10\.0\.0\.7:2376 is none of this machine"):
        EngineApi.found()


def test_where_no_engine_answers_the_address_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    with pytest.raises(EngineError, match=f"no Docker engine answers at {tmp_path}/none: .*No such file") as raised:
        EngineApi.found()
    assert raised.value.status == 0


def test_what_the_engine_refuses_is_told_in_its_words(engine: Engine, api: EngineApi) -> None:
    engine.answers["POST", "/x"] = (409, {"message": "name is taken"})
    with pytest.raises(EngineError, match=r"^Docker: name is taken$") as raised:
        api.call("POST", "/x")
    assert raised.value.status == 409
    assert api.call("POST", "/x", accept=(409,)) is None


def test_queries_are_written_as_the_engine_reads_them(engine: Engine, api: EngineApi) -> None:
    engine.answers["GET", "/things"] = (200, [])
    assert api.call("GET", "/things", query={"all": True, "filters": {"label": ["a=b"]}, "tail": "0"}) == []
    assert engine.asked == [("GET", "/things?all=true&filters=%7B%22label%22%3A+%5B%22a%3Db%22%5D%7D&tail=0")]


def test_output_is_put_together_from_frames_and_may_break_off(engine: Engine, api: EngineApi) -> None:
    engine.answers["GET", "/out"] = frame(b"one\n") + frame(b"two\n") + b"\x01\x00\x00"
    assert list(api.output("/out", {})) == [b"one\n", b"two\n"]


def test_a_container_gets_what_it_needs_and_no_more() -> None:
    body = spec(
        command=("mocks.rag.query",),
        environment={"PORT": "8080"},
        published={8080: 12345},
        mounts=(Mount("/run/x", "/run/x"), Mount("vol", "/data", read_only=False)),
        user="7:7",
    ).to_json()
    assert (body["Cmd"], body["Env"], body["User"], body["Labels"]) == (["mocks.rag.query"], ["PORT=8080"], "7:7", {RUN_LABEL: "r"})
    host = body["HostConfig"]
    assert host["PortBindings"] == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "12345"}]}
    assert host["Mounts"] == [
        {"Type": "bind", "Source": "/run/x", "Target": "/run/x", "ReadOnly": True},
        {"Type": "volume", "Source": "vol", "Target": "/data", "ReadOnly": False},
    ]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"], host["Init"]) == (True, ["ALL"], ["no-new-privileges"], True)
    assert "Entrypoint" not in body and spec(entrypoint=("sh",)).to_json()["Entrypoint"] == ["sh"]


def test_no_limit_is_one_that_an_update_can_set() -> None:
    total = psutil.virtual_memory().total
    assert limits_json(Limits(0.25, 64 * MIB)) == {"CpuPeriod": 100_000, "CpuQuota": 25_000, "Memory": 64 * MIB, "MemorySwap": 64 * MIB}
    assert limits_json(Limits()) == {"CpuPeriod": 100_000, "CpuQuota": -1, "Memory": total, "MemorySwap": total}


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ({}, "exit status 0"),
        ({"ExitCode": 2}, "exit status 2"),
        ({"ExitCode": 127, "Error": "no such file"}, "exit status 127 (no such file)"),
        ({"ExitCode": 137}, "killed by SIGKILL"),
        ({"ExitCode": 137, "OOMKilled": True}, "killed by SIGKILL (out of memory)"),
        ({"ExitCode": 143}, "killed by SIGTERM"),
        ({"ExitCode": 255}, "exit status 255"),
    ],
)
def test_how_a_container_ended_is_told_as_of_a_process(
    engine: Engine, api: EngineApi, tmp_path: Path, state: dict[str, Any], ended: str
) -> None:
    running(engine, ENDED | state, frame(b"last words\n"))
    container = Container(api, spec(), tmp_path / "log")
    container.kill()  # it has ended: nothing to kill
    assert (container.running, container.ended(), container.log_tail(), container.pid) == (False, ended, "last words\n", None)


def test_a_container_takes_the_place_of_one_of_its_name(engine: Engine, api: EngineApi, tmp_path: Path) -> None:
    running(engine, ENDED)
    Container(api, spec(name="query-1"), tmp_path / "log").kill()
    assert engine.asked[:3] == [
        ("DELETE", "/containers/query-1?force=true&v=true"),
        ("POST", "/containers/create?name=query-1"),
        ("POST", "/containers/c0ffee/start"),
    ]


def test_a_container_that_cannot_start_is_removed(engine: Engine, api: EngineApi, tmp_path: Path) -> None:
    running(engine, ENDED)
    engine.answers["POST", "/containers/c0ffee/start"] = (500, {"message": "Bind for 127.0.0.1:12345 failed: port is already allocated"})
    with pytest.raises(StackError, match=r"query-1: address already in use: Docker: Bind for 127\.0\.0\.1:12345 failed"):
        Container(api, spec(), tmp_path / "log")
    assert engine.asked[-1] == ("DELETE", "/containers/c0ffee?force=true&v=true")


def test_what_was_never_opened_has_nothing_to_clear() -> None:
    site = Site("r")
    assert site.clear() == []
    with pytest.raises(StackError, match="it was not started"):
        site.volume("postgres-1")


class Shelf:
    """An engine with the things of two stacks of one run."""

    def __init__(self) -> None:
        labels = {"base": {RUN_LABEL: "r"}, "candidate": {RUN_LABEL: "r", SIDE_LABEL: "candidate"}}
        self.things = {kind: {f"{side}-{kind}": of for side, of in labels.items()} for kind in ("containers", "networks", "volumes")}

    def call(self, method: str, path: str, *_args: Any, **_kwargs: Any) -> Any:
        kind = path.split("/")[1]
        if method == "DELETE":
            del self.things[kind][path.split("/")[2]]
            return None
        listed = [{"Id": name, "Name": name, "Labels": labels} for name, labels in self.things[kind].items()]
        return {"Volumes": listed} if kind == "volumes" else listed


@pytest.mark.parametrize(("side", "left"), [("candidate", "base"), ("", "candidate")])
def test_of_two_stacks_of_a_run_each_removes_its_own(side: str, left: str) -> None:
    site, shelf = Site("r", side), Shelf()
    site._api = cast(EngineApi, shelf)
    assert site.clear() == []
    assert [list(things) for things in shelf.things.values()] == [[f"{left}-{kind}"] for kind in shelf.things]


def test_names_of_two_stacks_of_a_run_differ() -> None:
    assert (Site("r").network, Site("r", "candidate").network) == ("gauntlet-r-network", "gauntlet-r-candidate-network")
    assert Site("r", "candidate").labels == {RUN_LABEL: "r", SIDE_LABEL: "candidate"}
