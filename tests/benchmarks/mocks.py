"""How fast and how exact the mock provider is, beside Starlette and beside its peers: `python -m tests.benchmarks.mocks`.

Every round measures every server in turn, so that a noisy moment hits all of them; ratios are taken within a round, and their median and
range over the rounds are printed. No two requests are equal, so that nobody answers from memory, but for those called repeated. One core
for the server, one for the client. Peers are measured where `pipelines/peers` has put them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.mock_servers import CHAT, KINDS, Kind, Running, Timing, load, start

CONNECTIONS = 64
EMBEDDING = {"model": "rag-embedding", "input": "Say something about retrieval 0000000.", "encoding_format": "base64"}
REPEATED = {**CHAT, "messages": [{"role": "user", "content": "Say something about retrieval."}]}
REPEATED_EMBEDDING = {**EMBEDDING, "input": "Say something about retrieval."}
PACED = Timing(100.0, 20.0)
BASELINE = "starlette"


def closed(server: Running, path: str, body: Any, seconds: float, folder: Path) -> dict[str, Any]:
    """One closed-loop measurement."""
    job = {
        "kind": "closed",
        "url": server.url(path),
        "body": body,
        "connections": CONNECTIONS,
        "seconds": seconds,
        "marker": server.kind.marker,
    }
    return load(job, folder)


def throughput(rounds: int, seconds: float, folder: Path) -> dict[str, dict[str, list[float]]]:
    """For each quantity and server, one value a round: whole answers/s, streamed tokens/s, embeddings/s."""
    servers = [start(kind, Timing(), folder) for kind in available()]
    jobs: tuple[tuple[str, str, Callable[[Kind], str | None], Any], ...] = (
        ("whole answers/s", "answers_per_s", lambda kind: kind.whole, CHAT),
        ("whole, repeated/s", "answers_per_s", lambda kind: kind.whole, REPEATED),
        ("streamed tokens/s", "tokens_per_s", lambda kind: kind.stream, {**CHAT, "stream": True}),
        ("embeddings/s", "answers_per_s", lambda kind: kind.embedding, EMBEDDING),
        ("embeddings, repeated/s", "answers_per_s", lambda kind: kind.embedding, REPEATED_EMBEDDING),
    )
    found: dict[str, dict[str, list[float]]] = {quantity: {} for quantity, *_ in jobs}
    try:
        for number in range(rounds):
            for quantity, field, path_of, body in jobs:
                for server in servers if number % 2 == 0 else servers[::-1]:
                    path = path_of(server.kind)
                    if path is None:
                        continue
                    got = closed(server, path, body, seconds, folder)
                    if got["bad"] or got["lost"]:
                        say(f"{server.kind.name}, {quantity}: {got['bad']} bad answers, {got['lost']} connections lost")
                    found[quantity].setdefault(server.kind.name, []).append(got[field])
    finally:
        for server in servers:
            server.stop()
    return found


def fidelity(streams: int, rounds: int, folder: Path, kinds: list[Kind]) -> dict[str, list[dict[str, Any]]]:
    """Paced streams, TTFT 100 ms and ITL 20 ms, opened over one second; with the server's largest resident memory meanwhile."""
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for kind in kinds:
            server = start(kind, PACED, folder)
            try:
                assert kind.stream is not None
                job = {
                    "kind": "paced",
                    "url": server.url(kind.stream),
                    "body": {**CHAT, "stream": True},
                    "streams": streams,
                    "spread_s": 1.0,
                }
                load({**job, "streams": 2}, folder)  # what is done once, at the first request, is not what is measured
                with Memory(server) as memory:
                    got = load(job, folder)
                found.setdefault(kind.name, []).append({**got, "rss_mb": memory.most_mb})
            finally:
                server.stop()
    return found


class Memory:
    """Watches a server's resident memory while the context lasts."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_mb = 0.0

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.25):
            self.most_mb = max(self.most_mb, self._server.rss_mb())


def available() -> list[Kind]:
    """The servers that can be started here; says which cannot."""
    for kind in KINDS:
        if kind.needs is not None and not kind.needs.exists():
            say(f"{kind.name} is not installed: pipelines/peers does that; left out")
    return [kind for kind in KINDS if kind.needs is None or kind.needs.exists()]


def show_throughput(found: dict[str, dict[str, list[float]]]) -> None:
    print(f"\nThroughput, {CONNECTIONS} connections; ratio to Starlette within a round: median (least to most)\n")
    print(f"{'':24}{'server':12}{'median/s':>12}   ratio")
    for quantity, by_server in found.items():
        for name, values in by_server.items():
            ratios = [ours / base for ours, base in zip(values, by_server[BASELINE], strict=True)]
            spread = f"{statistics.median(ratios):7.2f}  ({min(ratios):.2f} to {max(ratios):.2f})"
            print(f"{quantity:24}{name:12}{statistics.median(values):12,.0f} {spread}")


def show_fidelity(streams: int, found: dict[str, list[dict[str, Any]]]) -> None:
    print(f"\n{streams} paced streams, TTFT {PACED.ttft_ms:g} ms, ITL {PACED.itl_ms:g} ms; one line a round\n")
    print(f"{'server':12}{'TTFT p50/p99':>18}{'ITL p50/p99':>18}{'mean TPOT':>12}{'tokens':>8}{'bad':>5}{'RSS MB':>8}")
    for name, rounds in found.items():
        for got in rounds:
            ttft, itl = got["ttft_ms"], got["itl_ms"]
            pair = f"{ttft['p50']:8.1f} /{ttft['p99']:7.1f} {itl['p50']:9.2f} /{itl['p99']:6.1f}"
            print(f"{name:12}{pair}{got['tpot_ms_mean']:12.2f}{got['tokens_per_answer']:8.0f}{got['bad']:5}{got['rss_mb']:8.0f}")


def say(text: str) -> None:
    print(text, file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each throughput measurement")
    parser.add_argument("--only", choices=("throughput", "fidelity", "many"))
    parser.add_argument("--json", type=Path, help="where all figures go")
    asked = parser.parse_args()
    report: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if asked.only in (None, "throughput"):
            report["throughput"] = throughput(asked.rounds, asked.seconds, folder)
            show_throughput(report["throughput"])
        paced = [kind for kind in available() if kind.paced]
        if asked.only in (None, "fidelity"):
            report["fidelity"] = fidelity(256, min(3, asked.rounds), folder, paced)
            show_fidelity(256, report["fidelity"])
        if asked.only in (None, "many"):
            report["many"] = fidelity(1_500, min(3, asked.rounds), folder, paced[:1])
            show_fidelity(1_500, report["many"])
    if asked.json is not None:
        asked.json.write_text(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
