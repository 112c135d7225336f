"""A standing site: a router, and behind it the versions that stand. Which of them serves is one word in one file.

The file is the truth after any crash: whoever finds a site whose deploy died makes exactly the version serve that the file names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from harness.deploy.plan import DeployPlan
from harness.deploy.router.process import start_router
from harness.deploy.routing import RouterClient, RoutingError
from harness.deploy.side_api import SideClient
from harness.deploy.side_spec import write_private
from harness.deploy.standing import Settings as Settings
from harness.deploy.standing import Side as Side
from harness.deploy.starting import side_spec, start_supervisor
from harness.record.clock import NS_PER_S, Clock, SystemClock
from harness.stack.base import AdminApi
from harness.sweep import Found, end_processes, identify, same_process

ROUTER_S = 20.0
GONE_S = 30.0
_POLL_S = 0.1
_PREFIX = "gauntlet-site-"
OTHER: Mapping[str, str] = {"blue": "green", "green": "blue"}


class SiteError(RuntimeError):
    """There is no such site, or one that is not whole."""


class Site:
    """One site of this user, by name."""

    def __init__(self, name: str, clock: Clock | None = None) -> None:
        self.name = name
        self.clock = clock or SystemClock()
        self.folder = Path(tempfile.gettempdir()) / f"{_PREFIX}{os.getuid()}-{name}"

    @property
    def logs(self) -> Path:
        """Of a version that no deploy brought: they go with the site."""
        return self.folder / "logs"

    @property
    def stands(self) -> bool:
        """Whether its router lives."""
        return self._file.is_file() and same_process(self._router) is not None

    @property
    def serving(self) -> str:
        """The side that serves, or must once whatever goes on is over. Raises SiteError."""
        return str(self._state()["serving"])

    @property
    def url(self) -> str:
        """Where users come in. Raises SiteError."""
        return str(self._state()["url"])

    @property
    def api_key(self) -> str:
        """Raises SiteError."""
        return str(self._state()["api_key"])

    def side(self, name: str) -> Side | None:
        """None where it does not stand."""
        try:
            side = Side.of(json.loads(self._side_file(name).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return side if side.alive else None

    def sides(self) -> Mapping[str, Side]:
        """Those that stand."""
        return {name: side for name in OTHER if (side := self.side(name)) is not None}

    def router(self) -> RouterClient:
        """Raises SiteError."""
        state = self._state()
        urls = {name: side.entry_url for name, side in self.sides().items()}
        return RouterClient(AdminApi(**state["control"]), urls, self.clock)

    def instances_of(self, side: str) -> SideClient:
        """Raises SiteError where it does not stand."""
        found = self.side(side)
        if found is None:
            raise SiteError(f"{side} of {self.name} does not stand")
        return SideClient(found.api, self.clock)

    def describe(self) -> dict[str, Any]:
        """For people: no credential in it but the key of the load."""
        sides: dict[str, Any] = {name: {"version": side.version, "url": side.entry_url} for name, side in self.sides().items()}
        rolled = {name: told["VERSION"] for name, told in self._state().get("variables", {}).items() if "VERSION" in told}
        if rolled and self.serving in sides:
            sides[self.serving]["rolled"] = rolled
        return {"name": self.name, "url": self.url, "api_key": self.api_key, "serving": self.serving, "sides": sides}

    def open(self, seed: int = 1) -> None:
        """Start the router, behind which nobody stands yet. Raises SiteError when the site stands already."""
        if self.stands:
            raise SiteError(f"{self.name} stands already: {self.url}")
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.folder.is_symlink() or self.folder.stat().st_uid != os.getuid():
            raise SiteError(f"{self.folder} belongs to somebody else")
        process, document = start_router(self.folder / "router.log", seed)
        write_private(self._file, {**document, "api_key": f"rk-{token_urlsafe(24)}", "serving": "blue"})
        self._await_router(process)

    def start_side(
        self,
        name: str,
        plan: DeployPlan,
        *,
        changed: bool,
        logs: Path,
        secrets: Settings | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Side:
        """Start a version beside whatever stands; returns when it is ready. Raises StackError with its last words.

        `secrets` are variables by service; they go through a pipe, and are written down nowhere.
        """
        spec = side_spec(
            name, plan, changed=changed, state_file=self._side_file(name), logs=logs, api_key=self.api_key, secrets=secrets or {}
        )
        self._side_file(name).unlink(missing_ok=True)
        return start_supervisor(spec, self._starting_file(name), lambda: self.side(name), stopped, self.clock)

    def claim(self) -> None:
        """Note that we deploy here. Raises SiteError where somebody else does."""
        if (other := self._deployer()) is not None:
            raise SiteError(f"process {other.pid} deploys on {self.name} already; wait until it has ended")
        me = identify(os.getpid())
        assert me is not None, "this process is alive"
        write_private(self._file, {**self._state(), "deployer": {"pid": me.pid, "create_time_s": me.create_time_s}})

    def disclaim(self) -> None:
        """We have ended; harmless where the site is gone."""
        with suppress(SiteError):
            write_private(self._file, {**self._state(), "deployer": None})

    @property
    def abandoned(self) -> bool:
        """Whether a deploy died here half-way, and nobody has settled it. Raises SiteError."""
        state = self._state()
        return bool(state.get("deployer") or state.get("rolling")) and self._deployer() is None

    def _deployer(self) -> Found | None:
        """Who deploys here and lives, other than we."""
        noted = self._state().get("deployer")
        if noted is None:
            return None
        found = Found(int(noted["pid"]), float(noted["create_time_s"]), "deployer")
        return found if found.pid != os.getpid() and same_process(found) is not None else None

    def commit(self, side: str) -> None:
        """From now on that one serves, whatever becomes of us: one rename."""
        write_private(self._file, {**self._state(), "serving": side, "rolling": [], "variables": {}})

    def variables_of(self, instance: str) -> Mapping[str, str]:
        """What an instance of the serving side is told besides, since a rolling deploy was committed. Raises SiteError."""
        return dict(self._state().get("variables", {}).get(instance, {}))

    def note_rolling(self, instance: str) -> None:
        """Before an instance of the serving side is replaced: it must be put back, unless the deploy is committed."""
        state = self._state()
        touched = [name for name in state.get("rolling", []) if name != instance]
        write_private(self._file, {**state, "rolling": [*touched, instance]})

    def commit_rolling(self, variables: Mapping[str, Mapping[str, str]]) -> None:
        """From now on the instances stay as they were rolled: one rename."""
        state = self._state()
        kept = {**state.get("variables", {}), **{name: dict(told) for name, told in variables.items()}}
        write_private(self._file, {**state, "rolling": [], "variables": kept})

    def roll_back(self) -> list[str]:
        """Put every instance back that a rolling deploy replaced and did not commit, the last first; returns which. Raises SideError."""
        state = self._state()
        touched = list(reversed(state.get("rolling", [])))
        for place, instance in enumerate(touched):
            self.instances_of(self.serving).replace(instance, self.variables_of(instance))
            write_private(self._file, {**self._state(), "rolling": list(reversed(touched[place + 1 :]))})
        return touched

    def end_side(self, name: str) -> None:
        """End a version, and what was being started in its place. Idempotent. Raises SiteError when it survives."""
        found = [self._found(file) for file in (self._side_file(name), self._starting_file(name))]
        alive = [f for f in found if f is not None and same_process(f) is not None]
        left = end_processes(alive, GONE_S)
        for file in (self._side_file(name), self._starting_file(name)):
            file.unlink(missing_ok=True)
        if left:
            raise SiteError(f"{name} of {self.name} survives: {', '.join(str(f.pid) for f in left)}")

    def settle(self) -> str:
        """Exactly one version serves afterwards, the one that the file names; the other one is ended. Says what was done.

        Raises SiteError, SideError or RoutingError where that is not possible.
        """
        keep = self.serving
        side = self.side(keep)
        if side is None:
            raise SiteError(f"{keep} of {self.name} must serve, and does not stand; take the site down: gauntlet deploy down {self.name}")
        self.router().shift({keep: 100.0})
        self.roll_back()
        self.end_side(OTHER[keep])
        if self._deployer() is None:
            self.disclaim()
        return f"{keep} ({side.version}) serves {self.name}"

    def close(self) -> bool:
        """End the site, router last; False when there was none. Raises SiteError when something survives."""
        there = self.folder.is_dir()
        for name in OTHER:
            self.end_side(name)
        router = self._found(self._file)
        if router is not None and end_processes([router] if same_process(router) is not None else [], GONE_S):
            raise SiteError(f"the router of {self.name} survives")
        for file in (self._file, self.folder / "router.log"):
            file.unlink(missing_ok=True)
        shutil.rmtree(self.logs, ignore_errors=True)
        if there and not any(self.folder.iterdir()):
            self.folder.rmdir()
        return there

    @property
    def _file(self) -> Path:
        return self.folder / "site.json"

    def _side_file(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    def _starting_file(self, name: str) -> Path:
        return self.folder / f"{name}.starting.json"

    @property
    def _router(self) -> Found:
        state = self._state()
        return Found(int(state["pid"]), float(state["create_time_s"]), "router")

    def _state(self) -> dict[str, Any]:
        try:
            if self.folder.lstat().st_uid != os.getuid():
                raise SiteError(f"{self.folder} belongs to somebody else")
            return dict(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise SiteError(f"no site {self.name!r} stands; start it: gauntlet deploy up FILE") from error

    def _found(self, file: Path) -> Found | None:
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            return Found(int(document["pid"]), float(document["create_time_s"]), file.stem)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _await_router(self, process: subprocess.Popen[bytes]) -> None:
        deadline_ns = self.clock.now_ns() + round(ROUTER_S * NS_PER_S)
        while True:
            try:
                self.router().state()
            except RoutingError as error:
                if process.poll() is not None or self.clock.now_ns() > deadline_ns:
                    words = (self.folder / "router.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                    raise SiteError(f"the router did not start: {error}\n{words}") from error
                self.clock.sleep(_POLL_S)
            else:
                return


def sites() -> Iterator[Site]:
    """Those of this user."""
    prefix = f"{_PREFIX}{os.getuid()}-"
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{prefix}*")):
        if folder.is_dir() and not folder.is_symlink() and folder.lstat().st_uid == os.getuid():
            yield Site(folder.name.removeprefix(prefix))
