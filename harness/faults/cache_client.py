"""What faults of a cache share: connections with short timeouts, a look at its entries, and something done to it again and again.

An entry is a key that expires. What has no expiry (streams, queues, sets of work) is data that happens to live in the same server.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from harness.faults.base import Context, FaultError, Parameters, Target, TargetedFault, Undo
from harness.faults.names import fresh_name
from harness.lazy import Lazy
from harness.record.clock import NS_PER_S
from harness.stack.base import StackError

if TYPE_CHECKING:
    import redis
    from redis import backoff, retry
else:
    redis, backoff, retry = Lazy("redis"), Lazy("redis.backoff"), Lazy("redis.retry")

TIMEOUT_S = 5.0
ENTRIES_MAX = 200_000
"""A server answers nobody else while it goes through its keys: about a second for so many."""
WARM_WITHIN_S = 3.0
LOOK_EVERY_S = 0.05
_BATCH = 1_000

Found = TypeVar("Found")


@contextmanager
def connected(url: str, name: str | None = None) -> Iterator[Any]:
    """A client of the server at `url`, under that name. What it raises inside becomes a FaultError."""
    client = client_of(url, name)
    try:
        yield client
    except redis.RedisError as error:
        raise FaultError(f"the cache: {type(error).__name__}: {error}") from error
    finally:
        client.close()


def client_of(url: str, name: str | None) -> Any:
    """A client of one connection, which it does not make again: one that is cut off says so.

    `Any`, because redis-py types every answer as one that may have to be awaited.
    """
    timeouts = {"socket_timeout": TIMEOUT_S, "socket_connect_timeout": TIMEOUT_S}
    # by the old protocol, which needs no greeting: where a cache is slow, each command of one would wait
    once = retry.Retry(backoff.NoBackoff(), 0)
    return redis.Redis.from_url(url, single_connection_client=True, retry=once, client_name=name, protocol=2, **timeouts)


def entries(client: Any, match: str) -> dict[bytes, int]:
    """Entries whose keys fit the glob, and the milliseconds they have left to live. Raises FaultError where there are too many."""
    found = list(client.scan_iter(match, count=_BATCH))
    if len(found) > ENTRIES_MAX:
        raise FaultError(f"{len(found)} keys match {match!r}; at most {ENTRIES_MAX} are touched: choose a narrower `match`")
    pipeline = client.pipeline(transaction=False)
    for key in found:
        pipeline.pttl(key)
    return {key: left_ms for key, left_ms in zip(found, pipeline.execute(), strict=True) if left_ms >= 0}


class CacheFault(TargetedFault[Parameters]):
    """A fault of the one server that a service is."""

    def __init__(self, target: Target, parameters: Parameters, context: Context) -> None:
        super().__init__(target, parameters, context)
        self.name = fresh_name(context)

    @property
    def url(self) -> str:
        """Of the server. Raises FaultError."""
        try:
            instances = self.context.stack.instances(self.target.service)
        except StackError as error:
            raise FaultError(str(error)) from error
        if not instances:
            raise FaultError(f"{self.target.service} has no instance: a fault must never have zero targets")
        return instances[0].url

    def warm(self, find: Callable[[], Found], what: str) -> Found:
        """What `find` finds, waiting a little for those who fill the cache. Raises FaultError where it stays empty."""
        deadline_ns = self.context.clock.now_ns() + round(WARM_WITHIN_S * NS_PER_S)
        while not (found := find()):
            if self.context.clock.now_ns() > deadline_ns:
                raise FaultError(f"the cache holds no {what}: nothing would come of it; warm it up first")
            self.context.clock.sleep(LOOK_EVERY_S)
        return found

    def setting(self, client: Any, name: str) -> str:
        """A value of the server's configuration."""
        values: Mapping[str, str] = client.config_get(name)
        if name not in values:
            raise FaultError(f"the cache does not tell its setting {name}")
        return values[name]


class Repeated:
    """Something done to a cache again and again over one connection, until it is ended or the connection is cut, by anybody.

    `action` gets the client and returns the seconds until the next time.
    """

    def __init__(self, url: str, name: str, action: Callable[[Any], float]) -> None:
        self._client = client_of(url, name)
        self._action = action
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cache fault", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def end(self) -> None:
        """And wait until it has. Raises FaultError when it does not."""
        self._ended.set()
        self._thread.join(2 * TIMEOUT_S)
        if self.alive:
            raise FaultError("a command that was sent to the cache is still not answered")

    def _run(self) -> None:
        try:
            while not self._ended.wait(self._action(self._client)):
                pass
        except redis.RedisError:
            return  # cut off by a restart, or by whoever takes the fault back
        finally:
            self._client.close()


class RepeatedFault(CacheFault[Parameters]):
    """A fault that lasts as long as its clients go on. Subclasses say what they do, and what is to be put right after it."""

    CLIENTS = 1
    _repeated: Sequence[Repeated] = ()

    def act_once(self, client: Any) -> float:
        """Seconds until the next time."""
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        return any(client.alive for client in self._repeated)

    def undo(self) -> Sequence[Undo]:
        return (Undo("redis", {"url": self.url, "end_clients": self.name, "commands": self.repairs()}),)

    def repairs(self) -> list[list[str | int]]:
        """Commands after which the cache is as it was."""
        return []

    def begin(self) -> None:
        if not self.alive:
            self._repeated = [Repeated(self.url, self.name, self.act_once) for _ in range(self.CLIENTS)]

    def end(self) -> None:
        for client in self._repeated:
            client.end()

    def heal(self) -> None:
        self.end()
        if commands := self.repairs():
            with connected(self.url) as client:
                for command in commands:
                    client.execute_command(*command)

    def cut_off(self, client: Any) -> bool:
        """Whether the server knows no client of this fault any more."""
        return not self.alive and all(entry.get("name") != self.name for entry in client.client_list())
