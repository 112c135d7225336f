"""Planted secrets in files and in the past, planted flaws in code; and what could not be looked at."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.pipeline.steps.security import code, secrets
from harness.score.check import Status
from tests.unit.security.context import context

KEY = "AKIA" + "IOSFODNN7QXLMPTR"
PRIVATE = "-----BEGIN RSA " + "PRIVATE KEY-----"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


def commit(root: Path, text: str, name: str = "a.py") -> None:
    (root / name).write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-m", "a change")


@pytest.fixture
def repository(root: Path) -> Path:
    git(root, "init", "-q")
    commit(root, "x = 1\n")
    return root


def scanned(root: Path, **options: Any) -> Any:
    return secrets.carry_out(secrets.Secrets(**options), context(root))


def test_a_clean_repository_passes(repository: Path) -> None:
    done = scanned(repository)
    assert (done.status, done.reason) == (Status.PASS, "no secret in 1 files and 1 commits")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (f"x = 1\nkey = '{KEY}'\n", "secrets.aws_access_key"),
        (f"x = 1\n{PRIVATE}\n", "secrets.private_key"),
        ("x = 1\ndb_password = 'correct-horse-7'\n", "secrets.secret_keyword"),
        ("x = 1\nurl = 'postgres://app:correct-horse-7@db/x'\n", "secrets.basic_auth_credentials"),
    ],
)
def test_a_planted_secret_is_found_at_its_line(text: str, rule: str, repository: Path) -> None:
    commit(repository, text, "b.py")
    done = scanned(repository)
    assert done.status is Status.FAIL
    found = [finding for finding in done.findings if finding.rule == rule]
    assert [(finding.path, finding.line) for finding in found] == [("b.py", 2)]
    assert "correct-horse" not in str(done.findings) and KEY not in str(done.findings)  # not told on


def test_a_secret_that_was_deleted_is_still_in_the_past(repository: Path) -> None:
    commit(repository, f"key = '{KEY}'\n", "b.py")
    commit(repository, "key = read()\n", "b.py")
    done = scanned(repository)
    (finding,) = done.findings
    assert done.status is Status.FAIL and finding.path == "b.py" and ", added by commit " in finding.message and finding.line is None
    assert scanned(repository, history=False).status is Status.PASS


def test_an_accepted_fingerprint_covers_file_and_past(repository: Path) -> None:
    commit(repository, f"key = '{KEY}'\n", "b.py")
    fingerprint = scanned(repository).findings[0].message.rpartition("fingerprint ")[2].rstrip(")")
    (repository / "accepted.yaml").write_text(f"- {{fingerprint: '{fingerprint}', reason: an example of the provider's documentation}}\n")
    assert scanned(repository, accepted="accepted.yaml").status is Status.PASS
    commit(repository, f"key = '{KEY[:-1]}Z'\n", "c.py")
    assert scanned(repository, accepted="accepted.yaml").status is Status.FAIL


def test_what_was_not_looked_at_is_inconclusive(root: Path, repository: Path, tmp_path: Path) -> None:
    commit(repository, "x = 2\n")
    limited = scanned(repository, max_commits=1)
    assert limited.status is Status.INCONCLUSIVE and "only 1 of 2 commits" in limited.reason
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    assert "shallow" in scanned(tmp_path / "shallow").reason
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "a.txt").write_text("x\n")
    assert "no git repository" in scanned(plain).reason
    assert scanned(plain, history=False).status is Status.PASS


def reviewed(root: Path, **options: Any) -> Any:
    return code.carry_out(code.Code(paths=["."], **options), context(root))


def test_planted_flaws_in_code(root: Path) -> None:
    (root / "a.py").write_text("import subprocess\n\n\ndef run(text):\n    return subprocess.call(text, shell=True)\n")
    done = reviewed(root)
    assert done.status is Status.FAIL
    assert ("code.B602", "error", "a.py", 5) in {(one.rule, one.level, one.path, one.line) for one in done.findings}
    fingerprints = [one.message.rpartition("fingerprint ")[2].rstrip(")") for one in done.findings]
    (root / "accepted.yaml").write_text("".join(f"- {{fingerprint: '{one}', reason: only constants come here}}\n" for one in fingerprints))
    (root / "a.py").write_text(
        "import subprocess\n\n\n\n\ndef run(text):\n    return subprocess.call(text, shell=True)\n"
    )  # moved, not changed
    assert reviewed(root, accepted="accepted.yaml").status is Status.PASS


def test_code_that_is_fine_passes_and_no_code_proves_nothing(root: Path) -> None:
    assert "no line of Python" in reviewed(root).reason and reviewed(root).status is Status.INCONCLUSIVE
    (root / "a.py").write_text("def double(x: int) -> int:\n    return 2 * x\n")
    assert (reviewed(root).status, reviewed(root).reason) == (Status.PASS, "2 lines of code without a finding above a note")
    (root / "b.py").write_text("def broken(:\n")
    done = reviewed(root)
    assert done.status is Status.INCONCLUSIVE and done.reason.startswith("b.py: not read: ")
    missing = code.carry_out(code.Code(paths=["absent"]), context(root))
    assert (missing.status, missing.reason) == (Status.INCONCLUSIVE, "absent: not there")
