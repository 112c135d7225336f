"""Where advisories come from: OSV's export of an ecosystem, and the JSON API of an index, as a server on this machine speaks them."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.pipeline.steps.security.dependencies import Dependencies, carry_out
from harness.record.clock import utc_now
from harness.score.check import Status
from harness.security.database import WHOLE_PACKAGES, DatabaseError, load
from harness.security.packages import billed
from tests.unit.security.context import context

TODAY = utc_now().date()
# Of a release with one, what PyPI answers.
VULNERABILITY = {
    "aliases": ["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"],
    "details": "Keys may hold spaces.\nMore of it.",
    "fixed_in": ["3.1.3"],
    "id": "PYSEC-0000-1",
    "link": "https://osv.example/vulnerability/PYSEC-0000-1",
    "source": "osv",
    "summary": None,
    "withdrawn": None,
}


@contextmanager
def served(content: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """These paths, and 404 for all others."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = content.get(self.path, (404, b'{"message": "Not Found"}'))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def of_release(name: str, version: str, *vulnerabilities: dict[str, Any]) -> dict[str, tuple[int, bytes]]:
    document = {
        "info": {"name": name, "version": version},
        "last_serial": 1,
        "urls": [],
        "vulnerabilities": list(vulnerabilities),
    }
    return {f"/pypi/{name.lower()}/{version}/json": (200, json.dumps(document).encode())}


def record(number: int, modified: date, name: str = "") -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": name or f"package-{number}", "purl": f"pkg:pypi/package-{number}"}
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}]
    other = {"ranges": [{"type": "GIT", "repo": "https://git.example", "events": [{"introduced": "0"}]}]}  # of no package at all
    return {
        "schema_version": "1.7.3",
        "id": f"GHSA-{number}",
        "modified": f"{modified}T04:05:06.123456Z",
        "affected": [other, {"package": package, "ranges": ranges}],
    }


def export(modified: date = TODAY, count: int = WHOLE_PACKAGES) -> bytes:
    """As OSV's `PyPI/all.zip`: one document an advisory, and nothing beside them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as files:
        for number in range(count):
            files.writestr(f"GHSA-{number}.json", json.dumps(record(number, modified - timedelta(days=number))))
    return packed.getvalue()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


def looked_up(root: Path, requirements: str, **options: Any) -> Any:
    (root / "requirements.txt").write_text(requirements)
    return carry_out(Dependencies(requirements=["requirements.txt"], **options), context(root))


def test_an_export_of_the_ecosystem_is_of_the_day_of_its_newest_record(root: Path) -> None:
    (root / "all.zip").write_bytes(export())
    done = looked_up(root, "package-3==2.0\nhttpx==0.28\n", database="all.zip")
    assert (done.status, done.reason) == (Status.PASS, f"2 packages, none with an advisory: 2 by the database of {TODAY}")
    bad = looked_up(root, "package-3==1.9\n", database="all.zip")
    assert bad.status is Status.FAIL and bad.findings[0].instead == "install package-3 2.0"

    with zipfile.ZipFile(root / "all.zip") as files:
        files.extractall(root / "unpacked")
    assert looked_up(root, "httpx==0.28\n", database="unpacked").status is Status.PASS
    (root / "all.zip").write_bytes(export(TODAY - timedelta(days=20)))
    old = looked_up(root, "httpx==0.28\n", database="all.zip")
    assert old.status is Status.INCONCLUSIVE and "20 days old, more than 14; nothing covers 1 of 1 packages (httpx)" in old.reason


def test_an_export_is_fetched_from_an_address(root: Path) -> None:
    with served({"/PyPI/all.zip": (200, export()), "/cut.zip": (200, export()[:-200])}) as url:
        assert looked_up(root, "package-1==2.0\n", database=f"{url}/PyPI/all.zip").status is Status.PASS
        assert looked_up(root, "package-1==1\n", database=f"{url}/PyPI/all.zip").status is Status.FAIL
        missing, cut = (looked_up(root, "package-1==1\n", database=f"{url}/{name}") for name in ("none.zip", "cut.zip"))
    gone = looked_up(root, "package-1==1\n", database=f"{url}/PyPI/all.zip")
    assert {one.status for one in (missing, cut, gone)} == {Status.INCONCLUSIVE}
    assert "404" in missing.reason and "no archive that can be read" in cut.reason and "no database of advisories at hand" in gone.reason


def test_a_few_records_that_nobody_vouches_for_are_no_whole_database(tmp_path: Path) -> None:
    (tmp_path / "few.zip").write_bytes(export(count=WHOLE_PACKAGES - 1))
    with pytest.raises(DatabaseError, match=r"999 packages of PyPI, and no snapshot.json"):
        load(tmp_path / "few.zip")
    with pytest.raises(DatabaseError, match="no such folder or archive"):
        load(tmp_path / "none")


def test_an_index_is_asked_about_each_release(root: Path) -> None:
    """A planted vulnerable release is found, with what to install; all others are covered by the index's word, on this day."""
    withdrawn = {**VULNERABILITY, "id": "PYSEC-0000-2", "withdrawn": "2026-01-01T00:00:00Z"}
    content = {**of_release("Jinja2", "3.1.2", VULNERABILITY), **of_release("Jinja2", "3.1.6"), **of_release("httpx", "0.28.1", withdrawn)}
    with served(content) as url:
        bad = looked_up(root, "jinja2==3.1.2\nhttpx==0.28.1\n", index=f"{url}/pypi")
        fine = looked_up(root, "jinja2==3.1.6\nhttpx==0.28.1\n", index=f"{url}/pypi/")
    assert bad.status is Status.FAIL and len(bad.findings) == 1  # once, though the database that comes along knows it by an alias
    assert bad.findings[0].message.startswith("jinja2 3.1.2: PYSEC-0000-1 (CVE-2024-22195, GHSA-h5c8-rqwp-cp95): Keys may hold spaces.")
    assert bad.findings[0].instead == "install jinja2 3.1.3" and bad.findings[0].line == 1
    assert (fine.status, fine.reason) == (Status.PASS, f"2 packages, none with an advisory: 2 by the index on {TODAY}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "the index of starlette: HTTP 404"),
        ({"/pypi/starlette/1.0/json": (503, b"")}, "HTTP 503"),
        ({"/pypi/starlette/1.0/json": (200, b"<html>a portal</html>")}, "none of the JSON API"),
        ({"/pypi/starlette/1.0/json": (200, b'{"info": {"name": "starlette", "version": "1.0"}}')}, "none of the JSON API: KeyError"),
        ({"/pypi/starlette/1.0/json": of_release("starlette", "1.1")["/pypi/starlette/1.1/json"]}, "the answer is of starlette 1.1"),
    ],
)
def test_what_an_index_does_not_tell_is_not_known(content: dict[str, tuple[int, bytes]], said: str, root: Path) -> None:
    """A mirror without the API, or without its vulnerabilities, and a portal in between: nothing found there is no pass."""
    with served({**content, **of_release("anyio", "4.0")}) as url:
        done = looked_up(root, "anyio==4.0\nstarlette==1.0\n", index=f"{url}/pypi")
    assert done.status is Status.INCONCLUSIVE and "covers 1 of 2 packages (starlette)" in done.reason and said in done.reason


def test_an_index_that_is_away_leaves_the_database(root: Path) -> None:
    with served({}) as url:
        pass
    (root / "all.zip").write_bytes(export())
    assert looked_up(root, "package-1==2\n", database="all.zip", index=f"{url}/pypi").status is Status.PASS
    alone = looked_up(root, "anyio==4.0\n", index=f"{url}/pypi")
    assert alone.status is Status.INCONCLUSIVE and "does not answer" in alone.reason


def test_the_packages_of_a_bill_of_materials_are_looked_up(root: Path) -> None:
    components = [{"purl": "pkg:pypi/Jinja2@3.1.2"}, {"purl": "pkg:deb/debian/libc6@2.36?arch=amd64"}, {"name": "no url"}]
    (root / "bill.json").write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}))
    assert [(one.name, one.version) for one in billed(root / "bill.json", "bill.json")] == [("jinja2", "3.1.2")]
    done = carry_out(Dependencies(bills="bill.json,bill.json"), context(root))
    assert done.status is Status.FAIL and [one.path for one in done.findings] == ["bill.json"]
    (root / "bill.json").write_text("{}")
    assert "bill.json: no bill of materials in CycloneDX" in carry_out(Dependencies(bills="bill.json"), context(root)).reason
