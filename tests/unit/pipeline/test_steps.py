"""How steps judge what their programs did."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from harness.pipeline.fingerprint import Tree
from harness.pipeline.programs import Ended
from harness.pipeline.step import Context
from harness.pipeline.steps import command, scenario
from harness.pipeline.steps.build import parts_image, parts_python, provenance, push, sbom, wheel
from harness.pipeline.steps.build.parts import Part, PartsError
from harness.pipeline.steps.build.registry_api import RegistryError
from harness.pipeline.steps.test import pytest as step_of_pytest
from harness.score.check import Status


def ended(code: int, *lines: str, stopped: bool = False) -> Ended:
    return Ended(code, lines, stopped)


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        (ended(0), Status.PASS, "exit status 0"),
        (ended(0, "a", "all well", ""), Status.PASS, "all well"),
        (ended(1, "no"), Status.FAIL, "exit status 1: no"),
        (ended(3, "who knows"), Status.INCONCLUSIVE, "exit status 3: who knows"),
        (ended(127), Status.FAIL, "exit status 127"),
        (ended(-9, "a", "", "b", "c", "d"), Status.FAIL, "killed by SIGKILL: b / c / d"),
        (ended(0, stopped=True), Status.INCONCLUSIVE, "it was stopped"),
    ],
)
def test_a_command(end: Ended, status: Status, reason: str) -> None:
    assert command._judged(end) == (status, reason)


def test_a_command_of_the_environment_that_runs_the_pipeline_is_found(tmp_path: Path) -> None:
    context = Context(tmp_path, tmp_path, {"PATH": "/nowhere"}, {}, lambda _: None, lambda: False)
    done = command.carry_out(command.Command(argv=["gauntlet", "--help"]), context)
    assert done.status is Status.PASS, done.reason


def test_pytest_tells_how_far_it_is() -> None:
    told: list[str] = []
    heard = step_of_pytest.progress(told.append)
    for line in ("....s.. [  3%]", "....... [  7%]", "a test said [50%] of it", "....... [  9%]", "....... [ 12%]", "....... [100%]"):
        heard(line)
    assert told == ["7 % of the tests", "12 % of the tests", "100 % of the tests"]


def case(inner: str = "", name: str = "test_a") -> str:
    return f'<testcase classname="tests.a" name="{name}">{inner}</testcase>'


BAD = case('<failure message="assert 1 == 2">def test():\nE   assert 1 == 2\n</failure>', "test_bad")


@pytest.mark.parametrize(
    ("cases", "end", "status", "reason"),
    [
        ([case()], ended(0), Status.PASS, "1 tests pass"),
        ([case(), case("<skipped/>")], ended(0), Status.PASS, "1 tests pass, 1 were skipped"),
        ([], ended(5), Status.INCONCLUSIVE, "no test was collected: nothing is proved"),
        ([case("<skipped/>")], ended(0), Status.INCONCLUSIVE, "all 1 tests were skipped: nothing is proved"),
        ([case(), BAD], ended(1), Status.FAIL, "1 of 2 tests fail: tests.a::test_bad; the first: assert 1 == 2"),
        ([case()], ended(3, "INTERNALERROR"), Status.INCONCLUSIVE, "pytest ended with exit status 3, though no test fails: INTERNALERROR"),
        ([case(), BAD], ended(2, stopped=True), Status.INCONCLUSIVE, "it was stopped"),
    ],
)
def test_a_report_of_pytest(tmp_path: Path, cases: list[str], end: Ended, status: Status, reason: str) -> None:
    file = tmp_path / "junit.xml"
    file.write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>", encoding="utf-8")
    report = step_of_pytest.read(file)
    assert report is not None
    assert step_of_pytest.judged(report, end, 1) == (status, reason)


def test_a_report_of_pytest_that_is_not_whole(tmp_path: Path) -> None:
    assert step_of_pytest.read(tmp_path / "none.xml") is None
    (tmp_path / "part.xml").write_text("<testsuites><testsuite>", encoding="utf-8")
    assert step_of_pytest.read(tmp_path / "part.xml") is None


def verdict(status: str, **more: Any) -> dict[str, Any]:
    return {"scenario": "s", "verdict": status, "reason": "because", "exit_code": 0, **more}


@pytest.mark.parametrize(
    ("end", "runs", "status", "reason"),
    [
        (ended(0), [verdict("PASS"), verdict("PASS")], Status.PASS, "2 runs pass"),
        (ended(1), [verdict("PASS"), verdict("FAIL")], Status.FAIL, "s: because"),
        (ended(0), [verdict("WARN"), verdict("PASS")], Status.WARN, "s: because"),
        (ended(0), [verdict("PASS")], Status.INCONCLUSIVE, "1 verdicts of 2 runs"),
        (ended(0), [], Status.INCONCLUSIVE, "0 verdicts of 2 runs"),
        (ended(0), [{}], Status.INCONCLUSIVE, "gauntlet run gave no verdict (exit status 0)"),
        (ended(1), [verdict("PASS"), verdict("PASS")], Status.FAIL, "s: because"),
        (ended(2), [{"error": "s.yaml:1:1: empty", "exit_code": 2}], Status.INCONCLUSIVE, "the file cannot be used: s.yaml:1:1: empty"),
        (
            ended(4),
            [{"verdict": None, "reason": "gateway exited with 1", "exit_code": 4}],
            Status.INCONCLUSIVE,
            "the stack did not start: gateway exited with 1",
        ),
        (ended(5, "oh"), [], Status.INCONCLUSIVE, "gauntlet run ended with exit status 5: oh"),
        (ended(130, stopped=True), [verdict("PASS")], Status.INCONCLUSIVE, "it was stopped; what it had broken is healed"),
    ],
)
def test_a_scenario(end: Ended, runs: list[dict[str, Any]], status: Status, reason: str) -> None:
    assert scenario._judged(end, runs, 2) == (status, reason)


def a_wheel(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "a-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


METADATA = "Metadata-Version: 2.1\nName: a\nVersion: 1.0\nRequires-Dist: b>1\nRequires-Dist: c; extra == 'x'\n"


def test_a_wheel_says_what_it_is(tmp_path: Path) -> None:
    found = wheel.read(a_wheel(tmp_path, {"a.py": "", "a-1.0.dist-info/METADATA": METADATA}))
    assert (found.name, found.version, found.requires) == ("a", "1.0", ("b>1", "c; extra == 'x'"))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.py": ""}, "0 files METADATA"),
        ({"a-1.0.dist-info/METADATA": METADATA}, "it holds no module"),
        ({"a.py": "", "a-1.0.dist-info/METADATA": "Name: a\n"}, "no version"),
    ],
)
def test_a_wheel_that_is_none(tmp_path: Path, files: dict[str, str], told: str) -> None:
    with pytest.raises(wheel.WheelError, match=told):
        wheel.read(a_wheel(tmp_path, files))


def entry(name: str, *requires: str, requested: bool = False, extras: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "requested": requested,
        "requested_extras": list(extras),
        "download_info": {"archive_info": {"hashes": {"sha256": "0" * 64}}},
        "metadata": {"name": name, "version": "1.0", "requires_dist": list(requires), "license_expression": "MIT"},
    }


def test_what_a_wheel_brings_with_it_and_the_bill_of_it() -> None:
    report = {
        "install": [
            entry("B_b", "c[y]"),
            entry("a", "b-b", "nope; python_version < '3'", "e; extra == 'x'", requested=True, extras=("x",)),
            entry("c", "d; extra == 'y'", "e; extra == 'z'"),
            entry("d"),
            entry("e"),
        ]
    }
    parts = parts_python.parts_of_report(report)
    assert {part.name: part.requires for part in parts} == {
        "a": ("pkg:pypi/b-b@1.0", "pkg:pypi/e@1.0"),
        "B_b": ("pkg:pypi/c@1.0",),
        "c": ("pkg:pypi/d@1.0",),
        "d": (),
        "e": (),
    }
    bill = sbom.render(sbom.Bill(parts))
    assert sbom.invalid(bill) is None
    document = json.loads(bill)
    assert (document["bomFormat"], document["specVersion"], document["metadata"]["component"]["name"]) == ("CycloneDX", "1.6", "a")
    assert [c["purl"] for c in document["components"]] == [f"pkg:pypi/{name}@1.0" for name in ("b-b", "c", "d", "e")]
    assert document["components"][0]["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    with pytest.raises(PartsError):
        parts_python.parts_of_report({"install": []})


def test_a_bill_that_does_not_keep_to_the_schema_is_told() -> None:
    document = json.loads(sbom.render(sbom.Bill([Part("pkg:pypi/a@1", "application", "a", "1")])))
    lacking = json.loads(sbom.render(sbom.Bill([Part("image:a:1", "container", "a", "1")], "the packages")))
    assert lacking["metadata"]["properties"] == [{"name": "gauntlet:lacks", "value": "the packages"}]
    assert sbom.invalid(json.dumps(lacking)) is None
    assert sbom.invalid(json.dumps(document | {"components": [{"name": "no type"}]})) is not None


def archive(files: dict[str, str]) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    data.seek(0)
    return data


RELEASE = 'ID=debian\nVERSION_ID="12"\n'
STATUS = (
    "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\nDescription: x\n more: y\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n"
)


def test_what_an_image_is_made_of() -> None:
    files = {"etc/os-release": RELEASE, "var/lib/dpkg/status": STATUS, "opt/site/A_b-2.dist-info/METADATA": "Name: A_b\nVersion: 2\n"}
    found = parts_image.contents_of(archive(files))
    assert [part.ref for part in found.parts] == ["pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12", "pkg:pypi/a-b@2"]
    assert (found.release, found.system) == ("debian-12", True)
    assert not parts_image.contents_of(archive({"etc/os-release": RELEASE})).system
    assert parts_image.contents_of(archive({"a": "b"})).system


def test_provenance_names_the_commit_and_what_was_built() -> None:
    state = Tree("a" * 40, True, "hash")
    subject = {"name": "a.whl", "digest": {"sha256": "0" * 64}}
    document = provenance.statement([subject], state, [], "https://example.org/a.git", "run-1")
    assert (document["_type"], document["predicateType"]) == ("https://in-toto.io/Statement/v1", "https://slsa.dev/provenance/v1")
    definition = document["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"] == [{"uri": "git+https://example.org/a.git", "digest": {"gitCommit": "a" * 40}}]
    assert definition["internalParameters"] == {"dirty": True, "uncommitted": "hash"}
    assert document["predicate"]["runDetails"]["builder"]["id"].startswith("https://")


def test_what_a_registry_has_must_be_what_was_built() -> None:
    document = {"config": {"digest": "sha256:c"}}
    push.compare("a:1", "sha256:m", "sha256:c", "sha256:m", document)
    for told, config in (("sha256:other", "sha256:c"), ("sha256:m", "sha256:other")):
        with pytest.raises(RegistryError) as error:
            push.compare("a:1", told, config, "sha256:m", document)
        assert error.value.conclusive


@pytest.mark.parametrize(
    ("registry", "local"), [("127.0.0.1:5000", True), ("[::1]:5000", True), ("localhost:5000", False), ("10.0.0.1", False)]
)
def test_only_this_machine_is_pushed_to_unasked(registry: str, local: bool) -> None:
    assert push._is_loopback(registry) is local
