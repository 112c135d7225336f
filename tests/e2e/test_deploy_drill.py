"""Backup and restore drill on real processes: what was taken in before the backup is restored, what came later is counted as lost."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.live_run import gauntlet

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(400),
    pytest.mark.skipif("GAUNTLET_NIGHTLY" not in os.environ, reason="takes minutes: pipelines/nightly/deploys"),
]

ENVIRONMENT = """
strategy: blue_green
deploy: shop.deploy
stack: {documents: 60, replicas: {retrieval: 1, generation: 1, query: 1}}
recovery: {rpo: 10m, rto: 10m}
"""
DEPLOY = 'name: shop\nchange: {version: 1.1.0}\nobjectives: {availability: ">= 99%"}\n'


def take_in(site: dict[str, str], doc_id: str) -> None:
    request = urllib.request.Request(
        f"{site['url']}/api/documents",
        json.dumps({"doc_id": doc_id, "title": doc_id, "text": f"The lighthouse keeper of {doc_id} counts seven gulls."}).encode(),
        {"authorization": f"Bearer {site['api_key']}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status in (200, 201, 202)


def test_a_backup_is_restored_and_what_it_lacks_is_counted(tmp: Path) -> None:
    folder = tmp / "environments"
    folder.mkdir()
    (folder / "test.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    (folder / "shop.deploy").write_text(DEPLOY, encoding="utf-8")
    up = gauntlet("config", "up", "test", "--dir", folder, "--json", tmp=tmp, timeout_s=240)
    assert up.returncode == 0, up.stderr
    try:
        site = json.loads(up.stdout)
        config_id = json.loads(gauntlet("config", "show", "test", "--dir", folder, "--json", tmp=tmp).stdout)["config_id"]
        assert [side["version"] for side in site["sides"].values()] == [f"1.0.0+{config_id}"]
        take_in(site, "before")
        saved = gauntlet("config", "backup", "test", "--dir", folder, "--out", tmp / "saved", "--json", tmp=tmp)
        assert saved.returncode == 0, saved.stderr
        assert json.loads(saved.stdout)["contents"]["documents"] == 61
        take_in(site, "after")
        done = gauntlet("config", "drill", "test", tmp / "saved", "--dir", folder, "--json", tmp=tmp, timeout_s=300)
        verdict = json.loads(done.stdout)
        assert verdict["verdict"] == "PASS", done.stdout
        checks = {check["name"]: check for check in verdict["checks"]}
        assert checks["recovery.rpo"]["reason"].startswith("1 documents changed since the backup")
        assert 0 < checks["recovery.rto"]["value"] < 600
    finally:
        assert gauntlet("deploy", "down", "shop-test", tmp=tmp).returncode == 0
