"""Advisories in the OSV format: ranges, the snapshot that comes along, and what its age and its gaps mean."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from harness.pipeline.steps.security.dependencies import SHIPPED, Dependencies, carry_out
from harness.record.clock import utc_now
from harness.score.check import Status
from harness.security.advisories import affected
from harness.security.database import load
from harness.security.packages import installed, pinned
from tests.unit.security.context import context

TODAY = utc_now().date()
VERSIONS = st.integers(0, 12).map(lambda n: f"{n // 4}.{n % 4}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def database(root: Path, covers: Any = "all", taken: date = TODAY, **changes: Any) -> None:
    folder = root / "osv"
    folder.mkdir(exist_ok=True)
    (folder / "snapshot.json").write_text(json.dumps({"taken": taken.isoformat(), "covers": covers}))
    entry = {
        "package": {"ecosystem": "PyPI", "name": "Some.Package"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "1.5"}, {"fixed": "2.4.0"}]}],
    }
    advisory = {"id": "X-1", "aliases": ["CVE-1"], "summary": "bad", "affected": [entry], **changes}
    (folder / "X-1.json").write_text(json.dumps(advisory))


def looked_up(root: Path, requirements: str, **options: Any) -> Any:
    (root / "requirements.txt").write_text(requirements)
    return carry_out(Dependencies(requirements=["requirements.txt"], database="osv", **options), context(root))


@given(st.lists(st.tuples(VERSIONS, VERSIONS), max_size=4), VERSIONS, st.randoms())
def test_ranges_are_the_union_of_their_intervals(pairs: list[tuple[str, str]], version: str, random: Any) -> None:
    """Disjoint intervals, in any order of events."""
    bounds = sorted({Version(one) for pair in pairs for one in pair})
    intervals = list(zip(bounds[::2], bounds[1::2], strict=False))
    events = [event for low, high in intervals for event in ({"introduced": str(low)}, {"fixed": str(high)})]
    random.shuffle(events)
    assert affected(Version(version), events) == any(low <= Version(version) < high for low, high in intervals)


@pytest.mark.parametrize(
    ("events", "inside", "outside"),
    [
        ([{"introduced": "0"}], ["0", "99"], []),
        ([{"introduced": "0"}, {"fixed": "1.0"}], ["0.0.1", "1.0rc1"], ["1.0", "1.0.post1"]),
        ([{"introduced": "1.0"}, {"last_affected": "2.0"}], ["1.0", "2.0"], ["0.9", "2.0.1"]),
        ([{"introduced": "0"}, {"fixed": "1"}, {"introduced": "2"}, {"fixed": "3"}], ["0.5", "2.0"], ["1", "1.9", "3"]),
    ],
)
def test_ranges(events: list[dict[str, str]], inside: list[str], outside: list[str]) -> None:
    assert all(affected(Version(one), events) for one in inside)
    assert not any(affected(Version(one), events) for one in outside)


LATER = ["GHSA-f96h-pmfr-66vw", "GHSA-2c2j-9gv5-cj73"]


# What the advisories themselves say: the last vulnerable and the first fixed version of each range.
@pytest.mark.parametrize(
    ("package", "version", "ids"),
    [
        ("starlette", "0.24.0", ["PYSEC-2023-48", "PYSEC-2023-83", *LATER]), ("starlette", "0.25.0", ["PYSEC-2023-83", *LATER]),
        ("starlette", "0.27.0", LATER), ("starlette", "0.38.9", LATER), ("starlette", "0.39.0", [*LATER, "GHSA-7f5h-v6xp-fcq8"]),
        ("starlette", "0.40.0", ["GHSA-2c2j-9gv5-cj73", "GHSA-7f5h-v6xp-fcq8"]), ("starlette", "0.47.2", ["GHSA-7f5h-v6xp-fcq8"]),
        ("starlette", "0.49.1", []), ("h11", "0.15.0", ["GHSA-vqfr-h8mv-ghfj"]), ("h11", "0.16.0", []),
        ("idna", "3.14", ["GHSA-65pc-fj4g-8rjx"]), ("idna", "3.15", []),
        ("starlette", "0.13.4", ["PYSEC-2023-48", *LATER]), ("PyJWT", "2.3.0", ["GHSA-ffqj-6fqr-9h24"]),
        ("pyjwt", "2.4.0", []), ("pyjwt", "1.4.2", []),
        ("Jinja2", "3.1.2", ["GHSA-h5c8-rqwp-cp95"]), ("jinja2", "3.1.3", []), ("redis", "4.5.2", ["GHSA-24wv-mv5m-xv4h"]),
        ("redis", "4.5.3", []),
        ("redis", "4.3.6", []), ("redis", "4.4.2", ["GHSA-24wv-mv5m-xv4h"]), ("redis", "4.4.3", []), ("httpx", "0.1", []),
    ],
)  # fmt: skip
def test_the_snapshot_that_comes_along(package: str, version: str, ids: list[str]) -> None:
    assert sorted(hit.id for hit in load(SHIPPED).hits(package, version)) == sorted(ids)


def test_the_snapshot_that_comes_along_promises_nothing(root: Path) -> None:
    """It covers no package as a whole, so that nothing found in it is no pass; what is found fails."""
    (root / "fine.txt").write_text("starlette==0.49.1\n")
    (root / "bad.txt").write_text("starlette==0.24.0\n")
    fine = carry_out(Dependencies(requirements=["fine.txt"], max_age_days=10**6), context(root))
    assert fine.status is Status.INCONCLUSIVE and "does not cover 1 of 1 packages (starlette" in fine.reason
    let = carry_out(Dependencies(requirements=["fine.txt"], max_age_days=10**6, uncovered="warn"), context(root))
    assert let.status is Status.WARN and "which this pipeline lets pass: " in let.reason and "does not cover 1 of 1 packages" in let.reason
    for uncovered in ("inconclusive", "warn"):
        assert carry_out(Dependencies(requirements=["bad.txt"], uncovered=uncovered), context(root)).status is Status.FAIL
    assert load(SHIPPED).taken <= TODAY


def test_a_vulnerable_package_fails_with_what_to_install(root: Path) -> None:
    database(root)
    done = looked_up(root, "# ours\nother==1\nsome_package==2.0 # pinned\n")
    assert done.status is Status.FAIL
    (finding,) = done.findings
    assert (finding.rule, finding.path, finding.line) == ("dependencies.vulnerable", "requirements.txt", 3)
    assert finding.message.startswith("some-package 2.0: X-1 (CVE-1): bad") and finding.instead == "install some-package 2.4.0"
    assert json.loads(done.evidence["sarif"].read_text())["runs"][0]["results"][0]["ruleId"] == "dependencies.vulnerable"


@pytest.mark.parametrize("version", ["1.4", "2.4.0", "3"])
def test_fixed_and_earlier_versions_pass(version: str, root: Path) -> None:
    database(root)
    assert looked_up(root, f"some-package=={version}\n").status is Status.PASS


def test_a_withdrawn_advisory_is_none(root: Path) -> None:
    database(root, withdrawn="2026-01-01T00:00:00Z")
    assert looked_up(root, "some-package==2.0\n").status is Status.PASS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"taken": TODAY - timedelta(days=15)}, "15 days old, more than 14"),
        ({"taken": TODAY + timedelta(days=2)}, "yet to come"),
        ({"covers": ["other"]}, "does not cover 1 of 1 packages (some-package"),
    ],
)
def test_what_proves_nothing_is_inconclusive(change: dict[str, Any], said: str, root: Path) -> None:
    database(root, **change)
    done = looked_up(root, "some-package==3\n")
    assert done.status is Status.INCONCLUSIVE and said in done.reason
    assert looked_up(root, "some-package==2.0\n").status is Status.FAIL  # what is found is found


def test_no_database_no_package_and_broken_files(root: Path) -> None:
    assert "no database of advisories at hand" in looked_up(root, "a==1\n").reason
    database(root)
    assert looked_up(root, "# nothing\n").reason == "no package to look up"
    assert looked_up(root, "a==1\n???\n").reason.startswith("requirements.txt:2: no requirement")
    assert "cannot be compared" in looked_up(root, "some-package===weird\n").reason
    (root / "osv" / "broken.json").write_text("{}")
    assert "no advisory in the OSV format" in looked_up(root, "a==1\n").reason
    assert {looked_up(root, text).status for text in ("a==1\n", "# nothing\n")} == {Status.INCONCLUSIVE}


def test_unpinned_packages_are_a_warning_and_markers_are_read(root: Path) -> None:
    database(root)
    done = looked_up(root, "a>=1\nsome-package==2.0 ; python_version < '3'\n-r other.txt\nb==1 \\\n  --hash=sha256:00\n")
    assert done.status is Status.WARN and [finding.message.partition(" (")[0] for finding in done.findings] == ["a is not pinned"]
    assert [(one.name, one.version, one.line) for one in pinned(root / "requirements.txt", "r")] == [("a", "", 1), ("b", "1", 4)]


def test_accepted_findings_need_a_reason_and_to_be_found(root: Path) -> None:
    database(root)
    first = looked_up(root, "some-package==2.0\n").findings[0]
    fingerprint = first.message.rpartition("fingerprint ")[2].rstrip(")")
    (root / "accepted.yaml").write_text(f"- {{fingerprint: '{fingerprint}', reason: not reachable from outside}}\n")
    assert looked_up(root, "some-package==2.0\n", accepted="accepted.yaml").status is Status.PASS
    assert looked_up(root, "some-package==2.0.1\n", accepted="accepted.yaml").status is Status.FAIL
    unused = looked_up(root, "some-package==3\n", accepted="accepted.yaml")
    assert (unused.status, unused.findings[0].rule) == (Status.WARN, "accepted.unused")
    (root / "accepted.yaml").write_text(f"- {{fingerprint: '{fingerprint}'}}\n")
    assert "entry 1: write {fingerprint" in looked_up(root, "a==1\n", accepted="accepted.yaml").reason


def test_the_environment_is_looked_at_by_default() -> None:
    assert {"pytest", "packaging"} <= {one.name for one in installed()}
