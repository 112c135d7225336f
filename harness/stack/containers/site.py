"""What one stack of a run has on the Docker engine: images, a private network, volumes, containers. All of it carries the run's label.

A run that serves two versions has two such stacks, each with a network of its own; the second one's things say so by a further label.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from harness.stack.base import StackError
from harness.stack.containers.api import EngineApi, EngineError
from harness.stack.containers.container import remove
from harness.stack.images import ensure
from harness.sweep_containers import RUN_LABEL, SIDE_LABEL

IMAGES = ("services", "postgres", "valkey", "tools")
REMOVALS_AT_ONCE = 8
_GONE = 404


class Site:
    """Safe for several threads once it is open."""

    def __init__(self, run_id: str, side: str = "") -> None:
        """Nothing is made yet, and no engine is asked. `side` tells a second stack of the same run apart."""
        self.run_id = run_id
        self._side = side
        self._api: EngineApi | None = None
        self._images: Mapping[str, str] = {}

    def open(self, images: Collection[str] = IMAGES) -> None:
        """Find the engine, build the images that it lacks, make the network. Raises StackError."""
        self.find(images)
        self.api.call("POST", "/networks/create", {"Name": self.network, "Driver": "bridge", "Labels": self.labels})

    def find(self, images: Collection[str]) -> None:
        """Find the engine and build these images where it lacks them: all that is needed where somebody else makes the network.

        Raises StackError.
        """
        self._api = EngineApi.found()
        self._images = ensure(images)

    @property
    def api(self) -> EngineApi:
        """Raises StackError before `open`."""
        if self._api is None:
            raise StackError("the stack has no containers: it was not started")
        return self._api

    @property
    def labels(self) -> dict[str, str]:
        """Of all that this stack makes."""
        return {RUN_LABEL: self.run_id, **({SIDE_LABEL: self._side} if self._side else {})}

    @property
    def network(self) -> str:
        """Its name."""
        return self.name_of("network")

    def image(self, name: str) -> str:
        """Reference of one of those that were found."""
        return self._images[name]

    def entrypoint(self, image: str) -> tuple[str, ...]:
        """What such an image starts, in front of a container's command. Raises EngineError."""
        return tuple(self.api.call("GET", f"/images/{self.image(image)}/json")["Config"]["Entrypoint"] or ())

    def name_of(self, what: str) -> str:
        """A name on the engine that no other run has, nor the other stack of this one."""
        return "-".join(filter(None, ("gauntlet", self.run_id, self._side, what)))

    def volume(self, what: str) -> str:
        """Make a volume; returns its name. Harmless when there is one. Raises EngineError."""
        name = self.name_of(what)
        self.api.call("POST", "/volumes/create", {"Name": name, "Labels": self.labels})
        return name

    def clear(self) -> list[str]:
        """Remove all that this stack has there; returns what could not be removed. Harmless before `open`, and twice."""
        if self._api is None:
            return []
        api = self._api
        filters = {"label": [f"{RUN_LABEL}={self.run_id}"]}
        containers = [c["Id"] for c in self._own(api.call("GET", "/containers/json", query={"all": True, "filters": filters}))]
        left = _each(containers, partial(remove, api))
        networks = [n["Id"] for n in self._own(api.call("GET", "/networks", query={"filters": filters}))]
        left += _each(networks, lambda name: _delete(api, f"/networks/{name}"))
        volumes = [v["Name"] for v in self._own(api.call("GET", "/volumes", query={"filters": filters})["Volumes"] or ())]
        return left + _each(volumes, lambda name: _delete(api, f"/volumes/{name}"))

    def _own(self, things: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Those of the run's things that are not the other stack's."""
        return (thing for thing in things if (thing.get("Labels") or {}).get(SIDE_LABEL, "") == self._side)


def _delete(api: EngineApi, path: str) -> None:
    api.call("DELETE", path, accept=(_GONE,))


def _each(names: list[str], action: Callable[[str], None]) -> list[str]:
    """Side by side; returns those that failed, with the reason."""

    def attempt(name: str) -> str | None:
        try:
            action(name)
        except EngineError as error:
            return f"{name[:12]} ({error})"
        return None

    if not names:
        return []
    with ThreadPoolExecutor(REMOVALS_AT_ONCE, thread_name_prefix="remove") as pool:
        return [failed for failed in pool.map(attempt, names) if failed is not None]
