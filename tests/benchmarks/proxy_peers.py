"""The proxies that are compared, and what lies behind them, each a process on a port of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from harness.faults.admin_client import call
from harness.stack.base import AdminApi

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".peers" / "proxies"
ENVOY = PEERS / "envoy" / "_bin" / "envoy"
NGINX = PEERS / "usr" / "sbin" / "nginx"
HAPROXY = PEERS / "usr" / "sbin" / "haproxy"
LIBRARIES = PEERS / "usr" / "lib" / "x86_64-linux-gnu"
START_DEADLINE_S = 15.0
BODY = "x" * 99
TOKEN = "benchmark"


class Server:
    """One process that accepts connections on `port`."""

    def __init__(self, name: str, argv: list[str], port: int, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.port = port
        self._process = subprocess.Popen(
            argv, cwd=ROOT, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        self.await_port(port)

    def cpu_s(self) -> float:
        """Processor time that it and its children have used."""
        return sum(times.user + times.system for times in (one.cpu_times() for one in self.processes()))

    def processes(self) -> list[psutil.Process]:
        """It and its children."""
        root = psutil.Process(self._process.pid)
        return [root, *root.children(recursive=True)]

    def stop(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=START_DEADLINE_S)

    def await_port(self, port: int) -> None:
        """Until it accepts connections there."""
        deadline_s = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline_s:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self._process.communicate()[1].decode(errors='replace')[-800:]}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError(f"{self.name} does not listen")


class OurProxy(Server):
    """The proxy of this project."""

    def __init__(self, name: str, upstream_port: int) -> None:
        port, admin = free_port(), free_port()
        places = ["--listen", f"127.0.0.1:{port}", "--upstream", f"127.0.0.1:{upstream_port}", "--admin", f"127.0.0.1:{admin}"]
        super().__init__(name, [sys.executable, "-m", "harness.faults.proxy", *places, "--token", TOKEN], port)
        self._admin = AdminApi(f"http://127.0.0.1:{admin}", TOKEN)
        self.await_port(admin)

    def put(self, **document: Any) -> None:
        """Set the one fault."""
        call(self._admin, "PUT", "/faults/benchmark", document)


def upstream(folder: Path, nginx: Path = NGINX) -> Server:
    """nginx, else a bare server of our own; both answer GET /small with 99 bytes."""
    port = free_port()
    if not nginx.exists():
        return streaming(port)
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr crit;\n"
        f"events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
        f"fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;\n"
        f'server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 200 "{BODY}"; }} }} }}\n'
    )
    return Server("nginx", [str(nginx), "-c", str(settings), "-p", str(folder)], port)


def streaming(port: int | None = None) -> Server:
    """The bare server, which also streams events."""
    port = port or free_port()
    return Server("bare", [sys.executable, "-m", "tests.benchmarks.proxy_upstream", str(port)], port)


def envoy_tcp(upstream_port: int, folder: Path) -> Server:
    """Envoy's TCP proxy, one worker."""
    return _envoy("envoy tcp", upstream_port, folder, {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", "stat_prefix": "t", "cluster": "up",
        },
    })  # fmt: skip


def envoy_http(upstream_port: int, folder: Path, abort_percent: int) -> Server:
    """Envoy's HTTP proxy with its fault filter, which aborts some requests with 503; one worker."""
    fault = {
        "name": "envoy.filters.http.fault",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
            "abort": {"http_status": 503, "percentage": {"numerator": abort_percent, "denominator": "HUNDRED"}},
        },
    }
    router = {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }
    hosts = [{"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}]}]
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "h",
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [fault, router],
    }
    network_filter = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    return _envoy("envoy http fault", upstream_port, folder, network_filter)


def haproxy_tcp(upstream_port: int, folder: Path) -> Server:
    """HAProxy in TCP mode, one thread."""
    port, settings = free_port(), folder / "haproxy.cfg"
    settings.write_text(
        "global\n  nbthread 1\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
        f"listen edge\n  bind 127.0.0.1:{port}\n  server up 127.0.0.1:{upstream_port}\n"
    )
    return Server("haproxy tcp", [str(HAPROXY), "-db", "-f", str(settings)], port, {"LD_LIBRARY_PATH": str(LIBRARIES)})


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _envoy(name: str, upstream_port: int, folder: Path, network_filter: dict[str, Any]) -> Server:
    port = free_port()
    settings = folder / f"envoy-{port}.json"
    cluster = {
        "name": "up",
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream_port)}}]}]},
    }
    listener = {"address": _address(port), "filter_chains": [{"filters": [network_filter]}]}
    settings.write_text(json.dumps({"static_resources": {"listeners": [listener], "clusters": [cluster]}}))
    return Server(name, [str(ENVOY), "-c", str(settings), "--concurrency", "1", "--disable-hot-restart", "-l", "error"], port)


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
