"""Kubernetes objects as the review sees them: what runs pods, what selects them, what scales them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from harness.audit.known import Image, product
from harness.audit.reading import Part
from harness.audit.rules import Remark
from harness.scenario.problem import Position

_TEMPLATES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")),
}
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")


@dataclass(frozen=True, slots=True)
class Object:
    """One object of a manifest, and the file that it stands in."""

    part: Part
    file: str

    @property
    def kind(self) -> str:
        return self.part.text("kind")

    @property
    def name(self) -> str:
        return self.part.text("metadata", "name")

    @property
    def namespace(self) -> str:
        return self.part.text("metadata", "namespace") or "default"

    @property
    def at(self) -> Position:
        """Where its name stands."""
        metadata = self.part.get("metadata")
        return metadata.key_at("name") if metadata is not None else self.part.at

    @property
    def subject(self) -> str:
        return f"{self.kind} {self.name}"

    def remark(self, rule: str, at: Position | None = None, detail: str = "") -> tuple[str, Remark]:
        return self.file, Remark(f"kubernetes.{rule}", self.subject, at or self.at, detail)


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that runs pods."""

    object: Object
    template: Part

    @property
    def pod(self) -> Part:
        return self.template.get("spec") or Part({}, self.object.at)

    @property
    def labels(self) -> dict[str, str]:
        return {name: value.text() for name, value, _ in self.template.items("metadata", "labels")}

    @property
    def containers(self) -> tuple[Part, ...]:
        return self.pod.each("containers")

    @property
    def product(self) -> str:
        first = next(iter(self.containers), None)
        return product(Image(first.text("image")), self.object.name) if first is not None else ""

    @property
    def replicas(self) -> int:
        text = self.object.part.text("spec", "replicas")
        return int(text) if text.isdecimal() else 1

    def remark(self, rule: str, at: Position | None = None, detail: str = "") -> tuple[str, Remark]:
        return self.object.remark(rule, at, detail)


@dataclass(frozen=True, slots=True)
class Cluster:
    """All objects that are reviewed together."""

    objects: Sequence[Object]
    workloads: Sequence[Workload]

    def of(self, *kinds: str) -> list[Object]:
        return [one for one in self.objects if one.kind in kinds]

    def selected(self, by: Object, *path: str) -> list[Workload]:
        """The workloads of the same namespace whose pods a selector there takes; an empty selector takes all."""
        selector = by.part.get(*path)
        return [one for one in self.workloads if one.object.namespace == by.namespace and _takes(selector, one.labels)]

    def scaler(self, workload: Workload) -> Object | None:
        return next((one for one in self.of(*SCALERS) if aims_at(one, workload)), None)


def is_object(document: Part) -> bool:
    """Is this a manifest?"""
    return bool(document.text("apiVersion") and document.text("kind"))


def objects_of(document: Part, file: str) -> Iterator[Object]:
    """The object of a document; those in a List, one by one."""
    if document.text("kind").endswith("List") and document.has("items"):
        for one in document.each("items"):
            yield from objects_of(one, file)
    else:
        yield Object(document, file)


def _takes(selector: Part | None, labels: Mapping[str, str]) -> bool:
    if selector is None:
        return False
    simple = selector.get("matchLabels") if selector.has("matchLabels") or selector.has("matchExpressions") else selector
    wanted = {name: value.text() for name, value, _ in simple.items()} if simple is not None else {}
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    return all(_matches(one, labels) for one in selector.each("matchExpressions"))


def _matches(expression: Part, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.text("key"))
    match expression.text("operator"):
        case "In":
            return value in expression.words("values")
        case "NotIn":
            return value not in expression.words("values")
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def aims_at(scaler: Object, workload: Workload) -> bool:
    """Does this autoscaler scale it?"""
    target = scaler.part.get("spec", "scaleTargetRef")
    if target is None or scaler.namespace != workload.object.namespace:
        return False
    return target.text("name") == workload.object.name and (target.text("kind") or "Deployment") == workload.object.kind


def workloads(objects: Sequence[Object]) -> list[Workload]:
    """Those that run pods."""
    return [Workload(one, one.part.get(*_TEMPLATES[one.kind]) or one.part) for one in objects if one.kind in _TEMPLATES]
