"""What is planted in an image is found, and what cannot be looked into is INCONCLUSIVE: by an engine written by hand."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest
from pydantic import ValidationError

from harness.pipeline.step import StepResult
from harness.pipeline.steps.security.image import Image, looked_at
from harness.score.check import Status
from harness.security.distribution import Archives, DistributionError, Holdings, Update, held, installed
from harness.security.images import Docker, EngineError
from tests.unit.security.context import context

FINE: Mapping[str, Any] = {
    "User": "1000",
    "Healthcheck": {"Test": ["CMD", "check"]},
    "Env": ["PATH=/bin", "DB_PASSWORD_FILE=/run/p", "API_KEY="],
}


def test_images_are_a_list_or_what_a_step_has_handed_on() -> None:
    assert Image.model_validate({"images": "app:1, db:2"}).images == Image(images=["app:1", "db:2"]).images
    with pytest.raises(ValidationError):
        Image.model_validate({"images": ""})


INST = "Inst libssl3 [3.0.11-1] (3.0.15-1~deb12u1 Debian-Security:12/stable-security [amd64])\n"


@dataclass
class Written:
    """An engine with one image."""

    config: Mapping[str, Any] = field(default_factory=lambda: FINE)
    commands: Sequence[str] = ('/bin/sh -c #(nop) CMD ["app"]', "/bin/sh -c pip install --token=$TOKEN app")
    files: Mapping[str, bytes] = field(default_factory=lambda: {"srv/app.py": b"x = 1\n"})
    apt: str = "Reading package lists...\n"
    fails: str = ""

    def inspect(self, image: str) -> dict[str, Any]:
        self._may("inspect")
        return {"Config": dict(self.config)}

    def history(self, image: str) -> Sequence[str]:
        self._may("history")
        return self.commands

    def export(self, image: str) -> IO[bytes]:
        self._may("export")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, content in self.files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        packed.seek(0)
        return packed

    def upgrades(self, image: str) -> str:
        self._may("upgrades")
        return self.apt

    def _may(self, name: str) -> None:
        if self.fails == name:
            raise EngineError(f"{name}: Cannot connect to the Docker daemon")


def told(engine: Written, tmp_path: Path, archives: Archives | None = None) -> StepResult:
    (tmp_path / "root").mkdir(exist_ok=True)
    return looked_at(Image(images=["app:1"]), context(tmp_path / "root"), engine, archives or Archives("debian-12"))


def test_a_fit_image_passes(tmp_path: Path) -> None:
    done = told(Written(), tmp_path)
    assert (done.status, done.reason) == (Status.PASS, "1 images with 1 files and 0 packages of a distribution: nothing above a note")


@pytest.mark.parametrize(
    ("engine", "status", "said"),
    [
        (Written({**FINE, "User": ""}), Status.FAIL, "USER is not said"),
        (Written({**FINE, "User": "0:1000"}), Status.FAIL, "USER is 0"),
        (Written({**FINE, "Healthcheck": None}), Status.WARN, "no HEALTHCHECK"),
        (Written({**FINE, "Healthcheck": {"Test": ["NONE"]}}), Status.WARN, "no HEALTHCHECK"),
        (Written({**FINE, "Env": ["DB_PASSWORD=hunter2"]}), Status.FAIL, "the environment holds a secret (DB_PASSWORD)"),
        (Written({**FINE, "Labels": {"deploy.token": "abc"}}), Status.FAIL, "a label holds a secret (deploy.token)"),
        (Written(commands=["|1 NPM_TOKEN=abc123 /bin/sh -c npm ci"]), Status.FAIL, "its history holds a secret (NPM_TOKEN)"),
        (Written(files={"srv/.ssh/id_rsa": b"x"}), Status.FAIL, "/srv/.ssh/id_rsa: a file for secrets"),
        (Written(files={"./srv/.env": b"x"}), Status.FAIL, "/srv/.env: a file for secrets"),
        (Written(files={"srv/k.txt": b"-----BEGIN EC " + b"PRIVATE KEY-----\nab"}), Status.FAIL, "/srv/k.txt: a private key"),
        (Written(files={"srv/a.json": b'{"k": "AKIA' + b'IOSFODNN7EXAMPLE"}'}), Status.FAIL, "/srv/a.json: a token"),
        (Written(apt=INST), Status.FAIL, "libssl3 3.0.11-1: 3.0.15-1~deb12u1 is a security update"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_planted_is_found(engine: Written, status: Status, said: str, tmp_path: Path) -> None:
    done = told(engine, tmp_path)
    assert done.status is status
    assert [finding.message for finding in done.findings] == [said]
    assert {finding.path for finding in done.findings} == {"image:app:1"}
    assert "hunter2" not in str(done) and "abc123" not in str(done)


def test_what_only_looks_like_it_is_not(tmp_path: Path) -> None:
    """Keys of the system's own tests and certificates, empty files, updates that are none of security."""
    files = {"usr/lib/python3/test/key.pem": b"-----BEGIN PRIVATE " + b"KEY-----\nab", "srv/.env": b"", "etc/ssl/private/x.key": b"y"}
    plain = "Inst curl [1] (2 Debian:12/stable [amd64])\nConf curl (2 Debian:12/stable [amd64])\n"
    assert told(Written(files=files, apt=plain), tmp_path).status is Status.PASS


@pytest.mark.parametrize("fails", ["inspect", "history", "export", "upgrades"])
def test_what_cannot_be_looked_into_is_inconclusive(fails: str, tmp_path: Path) -> None:
    done = told(Written(fails=fails), tmp_path)
    assert done.status is Status.INCONCLUSIVE and "Cannot connect" in done.reason
    rooted = told(Written({**FINE, "User": "root"}, fails="upgrades"), tmp_path)
    assert rooted.status is Status.FAIL  # what was found is found


def test_without_docker_there_is_no_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="docker is not installed here"):
        Docker().inspect("app:1")


def listing(**versions: str) -> bytes:
    texts = (f"Package: {name}\nVersion: {version}\nArchitecture: all\n" for name, version in versions.items())
    return "\n".join(texts).encode()


def held_image(files: Mapping[str, bytes]) -> Holdings:
    return held(Written(files={"etc/os-release": b'ID=debian\nVERSION_ID="12"\n', **files}).export(""))


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[Archives]:
    """Two archives on disk, read by the real apt: of the release `lib` 2 and `old` 1, of security `lib` 3 and `old` 1."""
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get: this is no Debian or Ubuntu")
    written = {"bookworm": listing(lib="2", old="1", tool="1:5"), "bookworm-security": listing(lib="3", old="1")}
    for suite, text in written.items():
        folder = tmp_path / "archive" / "dists" / suite
        for architecture in ("all", "amd64", "arm64"):
            (folder / "main" / f"binary-{architecture}").mkdir(parents=True)
            path = folder / "main" / f"binary-{architecture}" / "Packages"
            more = b"Depends: libc6\nInstalled-Size: 7\nFilename: x.deb\nSize: 1\nSHA256: " + b"0" * 64 + b"\n"
            full = text.replace(b"Architecture: all\n", b"Architecture: all\n" + more)
            path.write_bytes(full)
        sums = "".join(
            f" {hashlib.sha256(one.read_bytes()).hexdigest()} {one.stat().st_size} {one.relative_to(folder)}\n"
            for one in sorted(folder.rglob("Packages"))
        )
        (folder / "Release").write_text(
            f"Origin: Debian\nSuite: {suite}\nCodename: {suite}\nComponents: main\nArchitectures: all amd64 arm64\nSHA256:\n{sums}"
        )
    sources = tmp_path / "sources.list"
    sources.write_text("".join(f"deb [trusted=yes] file:{tmp_path}/archive {suite} main\n" for suite in written))
    with Archives("debian-12", sources) as opened:
        yield opened


def test_packages_are_compared_with_the_security_archive_by_the_lists_in_the_image(archives: Archives, tmp_path: Path) -> None:
    """Also without a package manager inside, as one file a package."""
    old = {"var/lib/dpkg/status.d/lib": listing(lib="2"), "var/lib/dpkg/status.d/tool": listing(tool="1:4")}
    assert archives.updates(held_image(old)) == [Update("lib", "2", "3")]  # of tool, there is an update that is none of security
    assert archives.updates(held_image({"var/lib/dpkg/status": listing(lib="3", old="1")})) == []
    assert archives.updates(held_image({"./var/lib/dpkg/status": listing(lib="3.1", old="0.9")})) == [Update("old", "0.9", "1")]

    engine = Written(files={"etc/os-release": b"ID=debian\nVERSION_ID=12\n", **old}, fails="upgrades")
    done = told(engine, tmp_path, archives)
    assert (done.status, [one.message for one in done.findings]) == (Status.FAIL, ["lib 2: 3 is a security update"])
    fine = Written(files={"etc/os-release": b"ID=debian\nVERSION_ID=12\n", "var/lib/dpkg/status.d/lib": listing(lib="3")}, fails="upgrades")
    assert told(fine, tmp_path, archives).reason.startswith("1 images with 2 files and 1 packages of a distribution")


def test_what_cannot_be_compared_is_said(archives: Archives, tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match=r"no archive has 1 of 2 packages \(mine\)"):
        archives.updates(held_image({"var/lib/dpkg/status": listing(lib="3", mine="1")}))
    with pytest.raises(DistributionError, match="it lists no packages"):
        archives.updates(held_image({}))
    holdings = held_image({"var/lib/dpkg/status": listing(lib="2")})
    with pytest.raises(DistributionError, match="it is of debian-12, and apt on this machine is of debian-13"):
        Archives("debian-13").updates(holdings)
    assert archives.sources is not None
    plain = tmp_path / "plain.list"
    plain.write_text(archives.sources.read_text().splitlines()[0] + "\n")
    with Archives("debian-12", plain) as without, pytest.raises(DistributionError, match="apt has no list of a security archive"):
        without.updates(holdings)
    done = told(Written(files={"var/lib/dpkg/status": listing(lib="2")}, fails="upgrades"), tmp_path)
    assert done.status is Status.INCONCLUSIVE and "no known release" in done.reason and "Cannot connect" in done.reason


def test_what_is_removed_or_no_package_is_not_installed() -> None:
    removed = "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
    present = "Package: here\nVersion: 1\nDescription: a\n b: c\n"
    assert [one["Package"] for one in installed(f"{removed}Package: half\n\n{present}")] == ["here"]
    sums = b"0123456789abcdef  usr/lib/x: y\nPackage: sum\nVersion: 1\n"
    assert held_image({"var/lib/dpkg/status.d/lib.md5sums": sums}).packages == ()
