"""The objects of the stand-in: kept in memory, versioned, watched, and not gone before their finalizers are."""

from __future__ import annotations

import copy
import threading
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

Document = dict[str, Any]
Key = tuple[str, str | None, str]
"""Kind, namespace, name."""


class Refusal(Exception):  # noqa: N818 - it is an answer
    """What a server answers instead of doing it: `code`, `reason` and `message` of a Status."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


class Store:
    """Safe for several threads. `changed` is notified of every change. Documents are replaced and never changed: nor may you do that."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._objects: dict[Key, Document] = {}
        self._version = 0
        self.events: list[tuple[int, str, Document]] = []

    @property
    def version(self) -> int:
        return self._version

    def find(self, kind: str, namespace: str | None, name: str) -> Document | None:
        with self.changed:
            return self._objects.get((kind, namespace, name))

    def get(self, kind: str, namespace: str | None, name: str) -> Document:
        found = self.find(kind, namespace, name)
        if found is None:
            raise Refusal(404, "NotFound", f'{kind.lower()}s "{name}" not found')
        return found

    def select(self, kind: str, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Document]:
        with self.changed:
            found = [one for (of, where, _), one in self._objects.items() if of == kind and namespace in (None, where)]
            return [one for one in found if matches(one, labels or {})]

    def everything(self, namespace: str) -> list[Document]:
        with self.changed:
            return [one for (_, where, _), one in self._objects.items() if where == namespace]

    def create(self, document: Document) -> Document:
        with self.changed:
            made = copy.deepcopy(document)
            metadata = made["metadata"]
            key = (made["kind"], metadata.get("namespace"), metadata["name"])
            if key in self._objects:
                raise Refusal(409, "AlreadyExists", f'{made["kind"].lower()}s "{metadata["name"]}" already exists')
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now, generation=1)
            self._put(key, made, "ADDED")
            return made

    def update(self, kind: str, namespace: str | None, name: str, change: Callable[[Document], None]) -> Document:
        """Change it under the lock; a changed spec is another generation, and what has no finalizer any more is removed."""
        with self.changed:
            key = (kind, namespace, name)
            if key not in self._objects:
                raise Refusal(404, "NotFound", f'{kind.lower()}s "{name}" not found')
            before = self._objects[key]
            fresh = copy.deepcopy(before)
            change(fresh)
            if fresh == before:
                return before
            if fresh.get("spec") != before.get("spec"):
                fresh["metadata"]["generation"] = before["metadata"]["generation"] + 1
            self._put(key, fresh, "MODIFIED")
            if "deletionTimestamp" in fresh["metadata"] and self._may_go(fresh):
                self._remove(key)
            return fresh

    def delete(self, kind: str, namespace: str | None, name: str, grace_s: int | None = None) -> Document:
        """At once; or, of a pod, a namespace or what has finalizers, when whoever is in charge of it has let go."""

        def mark(one: Document) -> None:
            one["metadata"].setdefault("deletionTimestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
            if kind == "Pod":
                asked = grace_s if grace_s is not None else one["spec"].get("terminationGracePeriodSeconds", 30)
                one["metadata"]["deletionGracePeriodSeconds"] = min(asked, one["metadata"].get("deletionGracePeriodSeconds", asked))
            if kind == "Namespace":
                one.setdefault("status", {})["phase"] = "Terminating"

        return self.update(kind, namespace, name, mark)

    def let_go(self, kind: str, namespace: str | None, name: str) -> None:
        """Remove a pod or a namespace whose end has come."""
        with self.changed:
            if (kind, namespace, name) in self._objects:
                self._remove((kind, namespace, name))

    def _may_go(self, one: Document) -> bool:
        return one["kind"] not in ("Pod", "Namespace") and not one["metadata"].get("finalizers")

    def _put(self, key: Key, document: Document, event: str) -> None:
        self._version += 1
        document["metadata"]["resourceVersion"] = str(self._version)
        self._objects[key] = document
        self._tell(event, document)

    def _remove(self, key: Key) -> None:
        self._version += 1
        gone = self._objects.pop(key)
        self._tell("DELETED", gone)

    def _tell(self, event: str, document: Document) -> None:
        self.events.append((self._version, event, document))
        self.changed.notify_all()


def matches(document: Document, labels: Mapping[str, str]) -> bool:
    """Whether it has these labels."""
    own = document["metadata"].get("labels") or {}
    return all(own.get(name) == value for name, value in labels.items())


def merged(document: Any, change: Any) -> Any:
    """RFC 7396."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = copy.deepcopy(document) if isinstance(document, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result
