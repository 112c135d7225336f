"""SARIF 2.1.0 of findings, and of a run's verdict, as GitHub's code scanning takes it.

FAIL is an error, INCONCLUSIVE a warning, WARN a note; what passes is no result. Nothing is told as worse than the whole verdict: where a
gate lets an objective fail, that is a note. Paths are relative to `%SRCROOT%`, whose place the reader knows. The limits are those of
"SARIF support for code scanning" in GitHub's documentation: of more than 5,000 results a run the rest would be dropped there, so it is
left off here, mildest first, and a notification says how many.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from harness.findings import Finding, Level, Rule, worst_first
from harness.gate import Verdict
from harness.record.history import History
from harness.report.material import GROUP_TITLES, clean, dig
from harness.scenario.indicator import indicator
from harness.scenario.model import Scenario
from harness.scenario.problem import KeyPath, Positions
from harness.score.check import Result, Status

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOME = "https://github.com/rag-gauntlet/rag-gauntlet"
MAX_RESULTS = 5_000
MAX_TEXT = 1_000  # characters of a message; with MAX_RESULTS far below the 10 MB that an upload may have
ROOT = "%SRCROOT%"
FINGERPRINT = "gauntlet/v1"

_LEVELS: Mapping[Status, Level] = {Status.FAIL: "error", Status.INCONCLUSIVE: "warning", Status.WARN: "note"}
_RANK: Mapping[Level, int] = {"error": 2, "warning": 1, "note": 0}
_HELP = "Asked for in the scenario, and judged from the record of the run: `gauntlet show RUN` tells the rest."
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True, slots=True)
class _Told:
    """A finding with what stays the same of it from run to run."""

    finding: Finding
    identity: str


def of_findings(findings: Iterable[Finding], rules: Mapping[str, Rule], *, category: str) -> bytes:
    """UTF-8 JSON of what a review found.

    `rules` explains the rules by id; one that is not in it is described by its findings. `category` (`audit`, `security`) keeps the
    uploads of one commit apart from each other.
    """
    told = [_Told(finding, finding.message) for finding in worst_first(findings)]
    return _written(told, rules, f"gauntlet/{category}/", {})


def of_verdict(verdict: Verdict, history: History, scenario: Scenario, positions: Positions) -> bytes:
    """UTF-8 JSON of a run's verdict; each check that does not pass stands at its line of the scenario file."""
    path = scenario_path(history.run, scenario)
    worst = _LEVELS.get(verdict.status, "note")
    told = [
        _Told(_of_result(result, worst, scenario, positions, path), f"{scenario.name}: {result.name}")
        for result in verdict.results
        if result.status is not Status.PASS
    ]
    if verdict.status in (Status.FAIL, Status.INCONCLUSIVE) and all(one.finding.level != worst for one in told):
        at = positions.key(("name",))
        whole = Finding("verdict", worst, f"{verdict.status.value}: {clean(verdict.reason)}", _instead(path), path, at.line, at.column)
        told.insert(0, _Told(whole, f"{scenario.name}: verdict"))
    told.sort(key=lambda one: -_RANK[one.finding.level])
    invocation = {
        "executionSuccessful": history.complete,
        "exitCode": verdict.exit_code,
        "exitCodeDescription": f"{verdict.status.value}: {clean(verdict.reason)[:MAX_TEXT]}",
    }
    return _written(told, _GROUP_RULES, f"gauntlet/verdict/{scenario.name}/", invocation)


def scenario_path(run: Mapping[str, Any], scenario: Scenario) -> str:
    """The scenario file as the repository knows it; of one outside any repository, its name."""
    path = dig(run, "git", "scenario") or dig(run, "scenario_file") or f"{scenario.name}.yaml"
    pure = PurePosixPath(str(path))
    return pure.name if pure.is_absolute() or ".." in pure.parts else str(pure)


def place_of(result: Result, scenario: Scenario, positions: Positions) -> KeyPath:
    """Where the scenario asks for a check; the phases for what nobody wrote down (validity, safety)."""
    first, _, rest = result.name.partition(".")
    second, _, third = rest.partition(".")
    match result.group:
        case "objective":
            for key in positions.keys:  # as written, which may be another spelling
                if key[:2] == ("objectives", first) and len(key) == 3 and indicator(str(key[2])).text == rest:
                    return key
        case "expect":
            for n, entry in enumerate(scenario.expect):
                asked = ("expect", n, third)
                if entry.fault == (None if second == "run" else second) and asked in positions.keys:
                    return asked
        case "burn_rate":
            return _listed("burn_rates", rest, scenario.burn_rates)
        case "probe":
            return _listed("probes", rest, scenario.probes)
        case "reliability" | "compare":
            return (result.group,)
    for fault_id in (second, third):
        found = _listed("faults", fault_id, scenario.faults)
        if found != ("faults",):
            return found
    return ("phases",)


_GROUP_RULES: Mapping[str, Rule] = {
    **{
        f"verdict.{group}": Rule(f"verdict.{group}", "error", title, "look at the report of the run", _HELP)
        for group, title in GROUP_TITLES.items()
    },
    "verdict": Rule("verdict", "error", "The verdict on the run", "look at the report of the run", _HELP),
}


def _listed(key: str, wanted: str, entries: Sequence[Any]) -> KeyPath:
    return next(((key, n) for n, entry in enumerate(entries) if entry.id == wanted), (key,))


def _of_result(result: Result, worst: Level, scenario: Scenario, positions: Positions, path: str) -> Finding:
    at = positions.key(place_of(result, scenario, positions))
    level = min(_LEVELS[result.status], worst, key=_RANK.__getitem__)
    message = f"{result.status.value}: {result.name}: {clean(result.reason)}"
    return Finding(f"verdict.{result.group}", level, message, _instead(path), path, at.line, at.column)


def _instead(path: str) -> str:
    return f"look at report.html of the run; gauntlet run {path} repeats it"


def _written(told: Sequence[_Told], rules: Mapping[str, Rule], automation: str, invocation: Mapping[str, Any]) -> bytes:
    kept = told[:MAX_RESULTS]
    described = [_described(name, rules, kept) for name in sorted({one.finding.rule for one in kept})]
    index = {rule.id: n for n, rule in enumerate(described)}
    seen: Counter[str] = Counter()
    results = []
    for one in kept:
        identity = f"{one.finding.rule}|{one.finding.path}|{one.identity}"
        seen[identity] += 1
        fingerprint = sha256(f"{identity}|{seen[identity]}".encode(errors="surrogatepass")).hexdigest()
        results.append(_result(one.finding, index[one.finding.rule], fingerprint))
    run = {
        "tool": {"driver": {**_driver(), "rules": [_rule(rule) for rule in described]}},
        "automationDetails": {"id": automation},
        "originalUriBaseIds": {ROOT: {"description": {"text": "The top of the repository that was reviewed."}}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, **invocation, **_left_off(len(told) - len(kept))}],
        "results": results,
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode("utf-8", errors="backslashreplace")


def _driver() -> dict[str, Any]:
    from harness import __version__

    return {"name": "gauntlet", "semanticVersion": __version__, "informationUri": HOME}


def _described(name: str, rules: Mapping[str, Rule], told: Sequence[_Told]) -> Rule:
    if name in rules:
        return rules[name]
    first = next(one.finding for one in told if one.finding.rule == name)
    return Rule(name, first.level, name.replace("_", " ").replace(".", ": "), first.instead, first.instead)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in re.split(r"[^A-Za-z0-9]+", rule.id)),
        "shortDescription": {"text": _short(rule.what)},
        "fullDescription": {"text": _short(rule.help)},
        "help": {"text": _short(f"{rule.help} Instead: {rule.instead}.")},
        "defaultConfiguration": {"level": rule.level},
        "properties": {"tags": sorted({"gauntlet", rule.id.partition(".")[0]})},
    }


def _result(finding: Finding, rule_index: int, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule_index,
        "level": finding.level,
        "message": {"text": _short(f"{clean(finding.message)}. {clean(finding.instead)}")},
        "locations": [_location(finding)],
        "partialFingerprints": {FINGERPRINT: fingerprint, "primaryLocationLineHash": f"{fingerprint[:16]}:1"},
    }


def _location(finding: Finding) -> dict[str, Any]:
    if _URL.match(finding.path):  # no file: code scanning refuses physical locations with another scheme
        return {"logicalLocations": [{"fullyQualifiedName": finding.path, "kind": "resource"}]}
    region = {"startLine": finding.line or 1, **({"startColumn": finding.column} if finding.column else {})}
    return {"physicalLocation": {"artifactLocation": {"uri": quote(finding.path), "uriBaseId": ROOT}, "region": region}}


def _left_off(count: int) -> dict[str, Any]:
    if not count:
        return {}
    text = f"{count} milder results were left off: an upload keeps {MAX_RESULTS} a run"
    return {"toolExecutionNotifications": [{"level": "warning", "message": {"text": text}}]}


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
