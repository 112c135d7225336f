"""Recovery verbs, each performed by a capability of the stack."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from harness.inbox.bodies import ActionBody
from harness.stack.base import (
    CacheClearable,
    Configurable,
    Instance,
    Restartable,
    Rollbackable,
    Routable,
    Scalable,
    Stack,
    StackError,
)

Work = Callable[[], str]  # performs the action and says what it did; raises StackError

# The reference stack's providers, in the order of preference; other stacks say which one they mean.
_PROVIDERS = ("llm", "llm_fallback")
_REPLICAS_AT_MOST = 8


class RefusedError(Exception):
    """The stack cannot do that; the message says why."""


class ArgumentError(ValueError):
    """The request itself is wrong; the message says what to send instead."""


class Verbs:
    """Turns requests into work. Looks at the stack, changes nothing before the work is called."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._table: dict[str, Callable[[ActionBody], Work]] = {
            "restart": self._restart,
            "scale": self._scale,
            "failover": self._failover,
            "rollback": self._rollback,
            "clear_cache": self._clear_cache,
            "shed_load": self._shed_load,
            "switch_provider": self._switch_provider,
            "reset_pool": self._reset_pool,
            "reindex": self._reindex,
        }
        self._pool_epoch = 0
        self._first_versions: Mapping[str, set[str]] = {}

    def remember_versions(self) -> None:
        """What runs now is what a rollback without a version goes back to."""
        self._first_versions = {name: {i.version for i in self._stack.instances(name)} for name in self._stack.info.services}

    def prepare(self, action: ActionBody) -> Work:
        """The work of an action. Raises ArgumentError for a wrong request, RefusedError for one that the stack cannot perform."""
        if action.service not in self._stack.info.services:
            raise ArgumentError(f"service: no {action.service!r} here; there are: {', '.join(sorted(self._stack.info.services))}")
        return self._table[action.verb](action)

    def _restart(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Restartable):
            raise self._cannot(action, "Restartable")
        named = self._named(action)

        def work() -> str:
            chosen = named or self._not_ready(action.service) or self._stack.instances(action.service)
            for instance in chosen:
                stack.restart(instance.name)
            return f"restarted {_names(chosen)}"

        return work

    def _scale(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Scalable):
            raise self._cannot(action, "Scalable")
        replicas = action.args.get("replicas")
        if not isinstance(replicas, int) or isinstance(replicas, bool) or not 1 <= replicas <= _REPLICAS_AT_MOST:
            raise ArgumentError(f"args.replicas: a whole number from 1 to {_REPLICAS_AT_MOST}")

        def work() -> str:
            stack.scale(action.service, replicas)
            return f"{action.service} runs {replicas}"

        return work

    def _failover(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Routable):
            raise self._cannot(action, "Routable")
        named = self._named(action)

        def work() -> str:
            chosen = named or self._not_ready(action.service)
            if not chosen:
                raise StackError(f"every instance of {action.service} is ready; name the one to take out of rotation")
            for instance in chosen:
                stack.set_in_rotation(instance.name, False)
            return f"out of rotation: {_names(chosen)}"

        return work

    def _rollback(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Rollbackable):
            raise self._cannot(action, "Rollbackable")
        version = action.args.get("version")
        if version is None:
            first = self._first_versions.get(action.service, set())
            if len(first) != 1:
                raise ArgumentError("args.version: there is no single earlier version; name one")
            (version,) = first
        if not isinstance(version, str) or not version:
            raise ArgumentError("args.version: the version to go back to")

        def work() -> str:
            before = stack.deploy(action.service, version)
            return f"{action.service} went from {before} to {version}"

        return work

    def _clear_cache(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, CacheClearable):
            raise self._cannot(action, "CacheClearable")

        def work() -> str:
            stack.clear_cache()
            return "caches are empty"

        return work

    def _shed_load(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Configurable):
            raise self._cannot(action, "Configurable")
        ratio = action.args.get("ratio")
        if not isinstance(ratio, int | float) or isinstance(ratio, bool) or not math.isfinite(ratio) or not 0 <= ratio <= 1:
            raise ArgumentError("args.ratio: the share of requests to refuse, from 0 to 1")

        def work() -> str:
            stack.configure({"shed_ratio": float(ratio)})
            return f"refusing {ratio:.0%} of the requests"

        return work

    def _switch_provider(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Configurable):
            raise self._cannot(action, "Configurable")
        wanted = action.args.get("provider")
        providers = [p for p in _PROVIDERS if p in self._stack.info.services]
        if wanted is None and len(providers) != len(_PROVIDERS):
            raise ArgumentError("args.provider: the service to ask first; this stack has no default pair")
        if wanted is not None and wanted not in self._stack.info.services:
            raise ArgumentError(f"args.provider: no {wanted!r} here; there are: {', '.join(sorted(self._stack.info.services))}")

        def work() -> str:
            provider = wanted or _PROVIDERS[1]
            # Setting what is set already changes nothing, so the one write that is needed in practice is the only one that shows.
            before = stack.configure({"llm_provider": provider}).get("llm_provider")
            if wanted is None and before == provider:
                provider = _PROVIDERS[0]
                stack.configure({"llm_provider": provider})
            return f"provider {provider}, before {before}"

        return work

    def _reset_pool(self, action: ActionBody) -> Work:
        stack = self._stack
        if not isinstance(stack, Configurable):
            raise self._cannot(action, "Configurable")

        def work() -> str:
            self._pool_epoch += 1
            before = stack.configure({"pool_epoch": self._pool_epoch}).get("pool_epoch", 0)
            if before >= self._pool_epoch:  # somebody else counted on: only a larger epoch reopens pools
                self._pool_epoch = int(before) + 1
                stack.configure({"pool_epoch": self._pool_epoch})
            return f"pool epoch {self._pool_epoch}"

        return work

    def _reindex(self, action: ActionBody) -> Work:
        raise RefusedError(f"{self._stack.info.name}: no capability of this stack rebuilds the index of {action.service}")

    def _cannot(self, action: ActionBody, capability: str) -> RefusedError:
        return RefusedError(f"{self._stack.info.name}: {action.verb} needs the capability {capability}, which this stack lacks")

    def _named(self, action: ActionBody) -> Sequence[Instance]:
        if action.instance is None:
            return ()
        instances = self._stack.instances(action.service)
        chosen = [i for i in instances if i.name == action.instance]
        if not chosen:
            raise ArgumentError(f"instance: {action.service} has no {action.instance!r}; there are: {_names(instances)}")
        return chosen

    def _not_ready(self, service: str) -> Sequence[Instance]:
        return [i for i in self._stack.instances(service) if self._stack.probe(i) is not None]


def _names(instances: Sequence[Instance]) -> str:
    return ", ".join(i.name for i in instances)
