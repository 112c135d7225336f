"""How much the proxy costs, and how exact it is, beside Envoy and HAProxy: `python -m tests.benchmarks.proxy [--rounds N] [--seconds S]`.

Every round measures every proxy in turn, in alternating order, so that a noisy moment hits all of them; ratios are taken within a round,
and their median and range are printed. Added times are those through the proxy less those without one in the same round, request by request
in turn. Peers are measured where `pipelines/peers proxies` has put them, each with one worker, as ours has one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import proxy_peers as peers
from tests.benchmarks.proxy_peers import OurProxy, Server

CONNECTIONS = 32
RATE = 300
ABORT_PERCENT = 10
DELAYS_MS = (5, 100, 300)
DELAYED = 100  # requests, one after the other
Figures = dict[str, dict[str, list[float]]]  # quantity -> proxy -> one value a round


def measure(kind: str, server: Server, **job: Any) -> dict[str, Any]:
    """One job of the load client."""
    return load({"kind": kind, "port": server.port, **job})


def load(job: dict[str, Any]) -> dict[str, Any]:
    """What the load client says of a job."""
    argv = [sys.executable, "-m", "tests.benchmarks.proxy_load", json.dumps(job)]
    done = subprocess.run(argv, cwd=peers.ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def throughput(servers: Sequence[Server], rounds: int, seconds: float) -> Figures:
    """Answers per second, and processor time of the proxy for one answer."""
    found: Figures = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for server in _turn(servers, number):
            before_s = server.cpu_s()
            got = measure("closed", server, connections=CONNECTIONS, seconds=seconds)
            if got["lost"]:
                say(f"{server.name}: {got['lost']} connections lost")
            found["answers/s"][server.name].append(got["answers_per_s"])
            found["processor µs/answer"][server.name].append((server.cpu_s() - before_s) / got["answers"] * 1e6)
    return found


def added(servers: Sequence[Server], direct: Server, rounds: int, seconds: float) -> Figures:
    """Milliseconds that a proxy adds at a moderate rate."""
    found: Figures = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        asked = _turn([*servers, direct], number)
        got = load({"kind": "open", "ports": [one.port for one in asked], "rate": RATE, "seconds": seconds, "connections": 8})
        for server in servers:
            for quantile in ("p50_ms", "p99_ms"):
                found[f"added {quantile}"][server.name].append(got[str(server.port)][quantile] - got[str(direct.port)][quantile])
    return found


def streams(servers: Sequence[Server], rounds: int) -> Figures:
    """Gaps between events that are sent every 20 ms, and the share that came together with another one."""
    found: Figures = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for server in _turn(servers, number):
            got = measure("stream", server, streams=50, spread_s=0.5)
            found["gap p50 ms"][server.name].append(got["gap_ms_p50"])
            found["gap p99 ms"][server.name].append(got["gap_ms_p99"])
            found["batched %"][server.name].append(100 * got["batched"] / got["events"])
    return found


def exactness(proxy: OurProxy, direct: Server) -> list[str]:
    """How far a delay of so many milliseconds is from what was asked for. An answer without a proxy is late at times, too: both are shown.

    The median is less that of the answers without a proxy, and so is the 95th percentile; the worst is less their median, and tells of the
    machine as much as of the proxy.
    """
    base = measure("delay", direct, count=DELAYED)
    lines = [f"  no proxy: median {base['median_ms']:.2f}, p95 {base['p95_ms']:.2f}, worst {base['max_ms']:.2f} ms of {DELAYED}"]
    for asked_ms in DELAYS_MS:
        proxy.put(type="latency", delay_s=asked_ms / 1_000, direction="downstream")
        got = measure("delay", proxy, count=DELAYED)
        of = {"median_ms": "median_ms", "p95_ms": "p95_ms", "max_ms": "median_ms"}
        off_ms = {name: got[name] - asked_ms - base[beside] for name, beside in of.items()}
        said = ", ".join(f"{name.removesuffix('_ms')} {ms:+.2f}" for name, ms in off_ms.items())
        lines.append(f"  {asked_ms:4d} ms: {said} ms of {DELAYED} (allowed {2 + asked_ms / 100:+.2f})")
    return lines


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        run(Path(name), options.rounds, options.seconds)


def run(folder: Path, rounds: int, seconds: float) -> None:
    """Start everything, measure, and stop it again."""
    running: list[Server] = []

    def up(make: Callable[[], Server]) -> Server:
        running.append(make())
        return running[-1]

    try:
        behind = up(lambda: peers.upstream(folder))
        ours = OurProxy("ours", behind.port)
        running.append(ours)
        plain: list[Server] = [ours]
        if peers.ENVOY.exists():
            plain.append(up(lambda: peers.envoy_tcp(behind.port, folder)))
        if peers.HAPROXY.exists():
            plain.append(up(lambda: peers.haproxy_tcp(behind.port, folder)))
        table(f"layer 4, no fault; {CONNECTIONS} connections", throughput(plain, rounds, seconds))
        table(f"layer 4, no fault; {RATE} requests/s", added(plain, behind, rounds, seconds))
        faulty = OurProxy("ours", behind.port)
        running.append(faulty)
        faulty.put(type="status", status=503, ratio=ABORT_PERCENT / 100)
        http: list[Server] = [faulty]
        if peers.ENVOY.exists():
            http.append(up(lambda: peers.envoy_http(behind.port, folder, ABORT_PERCENT)))
        table(f"HTTP, {ABORT_PERCENT} % answered with 503; {CONNECTIONS} connections", throughput(http, rounds, seconds))
        table(f"HTTP, {ABORT_PERCENT} % answered with 503; {RATE} requests/s", added(http, behind, rounds, seconds))
        events = up(peers.streaming)
        relayed, edited = OurProxy("ours", events.port), OurProxy("ours, HTTP fault", events.port)
        running.extend((relayed, edited))
        edited.put(type="header_dropped", header="x-none")
        sse: list[Server] = [relayed, edited, events]
        if peers.ENVOY.exists():
            sse.append(up(lambda: peers.envoy_http(events.port, folder, 0)))
        table("server-sent events, one every 20 ms; 50 streams", streams(sse, rounds))
        say("delays: asked and got", *exactness(ours, behind))
    finally:
        for server in reversed(running):
            server.stop()


def table(title: str, found: Figures) -> None:
    """One line for each quantity and proxy: median, and its ratio to the first one's over the rounds."""
    say("", title)
    for quantity, by_name in found.items():
        first, own = next(iter(by_name.items()))
        for name, values in by_name.items():
            ratios = [mine / value for mine, value in zip(own, values, strict=True) if value > 0]
            ratio = (
                f"{first} / {name}: {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
                if ratios and name != first
                else ""
            )
            say(f"  {quantity:22} {name:18} {statistics.median(values):12.2f}   {ratio}")


def say(*lines: str) -> None:
    """Print at once: a run takes minutes."""
    print(*lines, sep="\n", flush=True)


def _turn(servers: Sequence[Server], number: int) -> Sequence[Server]:
    return servers if number % 2 == 0 else servers[::-1]


if __name__ == "__main__":
    main()
