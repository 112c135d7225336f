"""Images in a pipeline: looked into, pushed to a real registry, and looked up there again."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from harness.pipeline.step import Context
from harness.pipeline.steps.build import push, sbom
from harness.pipeline.steps.build.registry_api import Registry, RegistryError
from harness.record.clock import SystemClock
from harness.score.check import Status
from harness.stack.images import ImageError
from harness.stack.images.engine import check
from tests.integration.backends import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.beside]
ROOT = Path(__file__).resolve().parents[2]
PROGRAM = shutil.which("docker-registry") or str(ROOT / ".registry/usr/bin/docker-registry")
CONFIG = (
    "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}}}, delete: {{enabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
)
STATUS = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nVersion: 2.36-9\n"


@pytest.fixture
def image() -> Iterator[str]:
    """A few bytes with the list of one package; the name is of this process alone."""
    try:
        check()
    except ImageError as error:
        pytest.skip(str(error))
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, text in (("var/lib/dpkg/status", STATUS), ("etc/os-release", "ID=debian\nVERSION_ID=12\n"), ("pid", str(os.getpid()))):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    name = f"gauntlet-test/pushed-{os.getpid()}:1"
    subprocess.run(["docker", "import", "-", name], input=data.getvalue(), check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "image", "rm", name], check=False, capture_output=True)


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """One of Debian's package, on a free port."""
    if not Path(PROGRAM).exists():
        pytest.skip("no registry: pipelines/registry unpacks one")
    port = free_port()
    config = tmp_path / "registry.yml"
    config.write_text(CONFIG.format(folder=tmp_path / "data", port=port), encoding="utf-8")
    with subprocess.Popen([PROGRAM, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _until_it_answers(f"127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _until_it_answers(address: str) -> None:
    clock = SystemClock()
    end_ns = clock.now_ns() + 30 * 10**9
    while True:
        try:
            Registry(address, secure=False).answers()
        except RegistryError:
            assert clock.now_ns() < end_ns, "the registry does not answer"
            clock.sleep(0.05)
        else:
            return


def context(folder: Path) -> Context:
    folder.mkdir()
    return Context(folder, folder, dict(os.environ), {}, lambda _: None, lambda: False)


def test_what_is_pushed_is_looked_up_again(tmp_path: Path, image: str, registry: str) -> None:
    result = push.carry_out(push.Push(images=image, registry=registry), context(tmp_path / "one"))
    assert (result.status, result.reason) == (Status.PASS, f"1 images in {registry}, by the digests that were pushed")
    name, _, digest = result.outputs["references"].partition("/")[2].partition("@")
    found = Registry(registry, secure=False).manifest(name, digest)
    assert found.digest == digest and name == image.rpartition(":")[0]
    there = subprocess.run(["docker", "image", "ls", "-q", f"{registry}/{name}"], capture_output=True, text=True, check=True)
    assert there.stdout == "", "the name in the registry is no more on the engine"
    layer = found.document["layers"][0]["digest"]
    assert httpx.delete(f"http://{registry}/v2/{name}/blobs/{layer}").status_code == 202
    with pytest.raises(RegistryError, match=f"lacks {layer}"):
        Registry(registry, secure=False).has(name, push._blobs(found.document))
    with pytest.raises(RegistryError, match="does not have"):
        Registry(registry, secure=False).manifest(name, "other")


def test_a_registry_that_is_not_there_is_no_verdict(tmp_path: Path, image: str) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = push.carry_out(push.Push(images=image, registry=address), context(tmp_path / "one"))
    assert result.status is Status.INCONCLUSIVE and result.reason.startswith(f"no registry answers at {address}")


def test_the_bill_of_an_image_lists_its_packages(tmp_path: Path, image: str) -> None:
    result = sbom.carry_out(sbom.Sbom(images=image), context(tmp_path / "one"))
    assert (result.status, result.reason.partition("pushed")[0]) == (Status.PASS, "components: 1 in image-")
    bill = Path(result.outputs["images"]).read_text(encoding="utf-8")
    assert "pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12" in bill
    left = subprocess.run(["docker", "ps", "-aq", "--filter", f"ancestor={image}"], capture_output=True, text=True, check=True)
    assert left.stdout == ""
