"""The review of files and folders: what is read, which rules speak, and what comments allow."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.audit import compose, kubernetes
from harness.audit.objects import is_object, objects_of
from harness.audit.reading import Allowance, Part, Source, read
from harness.audit.rules import RULES, Remark
from harness.findings import Finding, worst_first
from harness.scenario.problem import Position, Problem, ScenarioError

MAX_FILES = 2_000
_SUFFIXES = (".yaml", ".yml")
_COMPOSE_NAME = re.compile(r"^(?:docker-)?compose(?:[.-].*)?\.ya?ml$")


@dataclass(frozen=True, slots=True)
class Review:
    """`reviewed` are the files that something was found to review in; `skipped` those that were only looked into."""

    findings: tuple[Finding, ...]
    reviewed: tuple[str, ...]
    skipped: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "reviewed": list(self.reviewed),
            "skipped": list(self.skipped),
        }


def review(paths: Sequence[Path], root: Path) -> Review:
    """Review files, and all YAML files below folders. Findings name files relative to `root` where they lie below it.

    Raises ScenarioError for a file that cannot be read, with its place.
    """
    sources = [read(path, _name(path, root)) for path in _files(paths)]
    remarks: dict[str, list[Remark]] = {source.name: [] for source in sources}
    objects = [one for source in sources for part in source.documents if is_object(part)
               for one in objects_of(part, source.name)]  # fmt: skip
    reviewed = {one.file for one in objects if one.kind}
    for source in sources:
        for part in source.documents:
            if not is_object(part) and any(part.items("services")) and _is_compose(source, part):
                reviewed.add(source.name)
                remarks[source.name] += compose.review(source, part)
    for file, remark in kubernetes.review(objects):
        remarks[file].append(remark)
    findings = [finding for source in sources if source.name in reviewed for finding in _settled(source, remarks[source.name])]
    names = [source.name for source in sources]
    return Review(tuple(worst_first(findings)), tuple(n for n in names if n in reviewed), tuple(n for n in names if n not in reviewed))


def _is_compose(source: Source, part: Part) -> bool:
    """By its name, or because a service of it says what to run."""
    told = any(service.has("image") or service.has("build") or service.has("extends") for _, service, _ in part.items("services"))
    return bool(_COMPOSE_NAME.match(source.path.name)) or told


def _files(paths: Sequence[Path]) -> list[Path]:
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.rglob("*") if one.suffix in _SUFFIXES and one.is_file() and not _hidden(one, path))
            found.update(dict.fromkeys(inside))
        else:
            found[path] = None
        if len(found) > MAX_FILES:
            raise ScenarioError([Problem(str(path), 1, 1, f"more than {MAX_FILES} files", "name the folder of one deployment")])
    return list(found)


def _hidden(path: Path, top: Path) -> bool:
    return any(part.startswith(".") or part == "node_modules" for part in path.relative_to(top).parts[:-1])


def _name(path: Path, root: Path) -> str:
    try:
        return path.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return path.as_posix()


def _settled(source: Source, remarks: Iterable[Remark]) -> Iterator[Finding]:
    """Findings of one file, without those that its comments allow, and with what is wrong with the comments."""
    by_place: defaultdict[tuple[str, Position, str], list[Remark]] = defaultdict(list)
    for remark in remarks:
        by_place[remark.rule, remark.at, remark.detail].append(remark)
    allowed: dict[tuple[str, int], list[Allowance]] = defaultdict(list)
    for allowance in source.allowances:
        if allowance.rule in RULES and allowance.reason:
            allowed[allowance.rule, allowance.line].append(allowance)
    used: set[int] = set()
    for (rule, at, detail), together in by_place.items():
        here = allowed.get((rule, at.line), [])
        used |= {id(one) for one in here}
        if not here:
            subjects = ", ".join(dict.fromkeys(remark.subject for remark in together))
            yield _finding(rule, f"{subjects}: {RULES[rule].what}{detail}", source.name, at)
    for allowance in source.allowances:
        yield from _doubts(allowance, source.name, used=id(allowance) in used)


def _doubts(allowance: Allowance, file: str, *, used: bool) -> Iterator[Finding]:
    if allowance.rule not in RULES:
        rule = "audit.unknown_suppression"
    elif not allowance.reason:
        rule = "audit.suppression_without_reason"
    elif not used:
        rule = "audit.unused_suppression"
    else:
        return
    yield _finding(rule, f"{allowance.rule or 'no rule'}: {RULES[rule].what}", file, allowance.at)


def _finding(rule: str, message: str, file: str, at: Position) -> Finding:
    return Finding(rule, RULES[rule].level, message, RULES[rule].instead, file, at.line, at.column)
