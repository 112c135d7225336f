"""Cases of faults, many at the same time: each is one logical call, and its fault concerns that call alone."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

from told import raised

Said = dict[str, Any]
AT_ONCE = 24  # most cases wait for most of their time, but those that start should not wait for one another


class Admin:
    """The mock's admin API, as the script's arguments name it (`admin`, `token`)."""

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self._url = asked["admin"]
        self._headers = {"authorization": f"Bearer {asked['token']}", "content-type": "application/json"}

    def begin(self, name: str, fault: Mapping[str, Any], **match: list[str]) -> None:
        """Put a fault in force, for those who match."""
        self._ask("PUT", f"/faults/{name}", {**fault, **({"match": match} if match else {})})

    def hits(self, name: str) -> int:
        """How many calls it has concerned."""
        return int(next(view["matched"] for view in self._ask("GET", "/faults")["faults"] if view["id"] == name))

    def end(self, name: str) -> None:
        """End it."""
        self._ask("DELETE", f"/faults/{name}")

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, self._headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            raw = answer.read()
        return json.loads(raw) if raw else None


def timed(call: Callable[[], Said], patience_s: float) -> Said:
    """What the call says or raises, and how long it took (`took_s`); of one that is not over by then, `waits`.

    Its thread is a daemon: a client that would wait for ever ends with the process.
    """
    results: SimpleQueue[Said] = SimpleQueue()

    def make() -> None:
        try:
            results.put(call())
        except Exception as error:  # noqa: BLE001 (what a client raises is what is looked for)
            results.put(raised(error))

    started_s = time.monotonic()
    Thread(target=make, daemon=True).start()
    try:
        said = results.get(timeout=patience_s)
    except Empty:
        said = {"waits": True}
    return {**said, "took_s": time.monotonic() - started_s}


def many_at_once(cases: Mapping[str, Any], become: Callable[[str, Any], Said]) -> dict[str, Said]:
    """What becomes of each case, by name."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(zip(cases, pool.map(become, cases, cases.values()), strict=True))
