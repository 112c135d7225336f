"""The files of a site: who deploys there, which version serves, and what is left half-way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.deploy.settle import settle_abandoned
from harness.deploy.side_spec import write_private
from harness.deploy.site import Site, SiteError, sites


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One whose router is this very process: alive, and no router."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = Site("shop")
    found.folder.mkdir(mode=0o700)
    me = psutil.Process()
    router = {"pid": me.pid, "create_time_s": me.create_time(), "url": "http://127.0.0.1:1"}
    write_private(found.folder / "site.json", {**router, "control": {"url": "http://127.0.0.1:1", "token": "t"}, "serving": "blue"})
    return found


@pytest.fixture
def another() -> Iterator[psutil.Process]:
    """A process that lives until the test ends it."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield psutil.Process(process.pid)
    process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


def noted(site: Site, process: psutil.Process) -> None:
    state = json.loads((site.folder / "site.json").read_text(encoding="utf-8"))
    state["deployer"] = {"pid": process.pid, "create_time_s": process.create_time()}
    write_private(site.folder / "site.json", state)


def test_a_site_is_found_by_its_name_and_nobody_elses_is(site: Site) -> None:
    assert [one.name for one in sites()] == ["shop"]
    assert site.stands
    assert not Site("other").stands
    with pytest.raises(SiteError, match="no site 'other' stands"):
        _ = Site("other").serving


def test_two_deploys_at_once_are_refused(site: Site, another: psutil.Process) -> None:
    noted(site, another)
    with pytest.raises(SiteError, match=f"process {another.pid} deploys on shop already"):
        site.claim()
    assert not site.abandoned


def test_a_deploy_that_died_half_way_is_seen_until_it_is_settled(site: Site, another: psutil.Process) -> None:
    assert not site.abandoned
    noted(site, another)
    another.kill()
    another.wait(60)
    assert site.abandoned
    site.claim()
    site.disclaim()
    assert not site.abandoned


def test_what_cannot_be_settled_is_told_and_not_passed_over(site: Site, another: psutil.Process) -> None:
    noted(site, another)
    another.kill()
    another.wait(60)
    done, left = settle_abandoned()
    assert done == []
    assert left == ["shop: blue of shop must serve, and does not stand; take the site down: gauntlet deploy down shop"]


def test_promoting_is_one_rename_and_forgets_what_was_rolled(site: Site) -> None:
    site.note_rolling("retrieval-1")
    site.commit_rolling({"retrieval-1": {"VERSION": "2"}})
    assert site.variables_of("retrieval-1") == {"VERSION": "2"}
    site.commit("green")
    assert (site.serving, site.variables_of("retrieval-1")) == ("green", {})


def test_status_tells_what_a_rolling_deploy_has_brought_elsewhere(site: Site, another: psutil.Process) -> None:
    state = json.loads((site.folder / "site.json").read_text(encoding="utf-8"))
    write_private(site.folder / "site.json", {**state, "api_key": "rk-1"})
    stands = {
        "name": "blue", "version": "1", "run_id": "r", "pid": another.pid, "create_time_s": another.create_time(), "entry_url": "http://127.0.0.1:2",
        "api": {"url": "http://127.0.0.1:3", "token": "t"}, "corpus": "c", "questions": "q", "preferred_model": "m",
    }  # fmt: skip
    write_private(site.folder / "blue.json", stands)
    assert site.describe()["sides"] == {"blue": {"version": "1", "url": "http://127.0.0.1:2"}}
    site.commit_rolling({"retrieval-1": {"VERSION": "2"}})
    assert site.describe()["sides"]["blue"]["rolled"] == {"retrieval-1": "2"}


def test_its_files_are_for_its_owner_alone(site: Site) -> None:
    site.claim()
    assert (site.folder / "site.json").stat().st_mode & 0o077 == 0
    assert site.folder.stat().st_uid == os.getuid()


def test_nothing_is_left_of_a_site_that_has_ended(site: Site, another: psutil.Process) -> None:
    state = json.loads((site.folder / "site.json").read_text(encoding="utf-8"))
    write_private(site.folder / "site.json", {**state, "pid": another.pid, "create_time_s": another.create_time()})
    (site.logs / "blue").mkdir(parents=True)
    (site.logs / "blue" / "gateway-1.log").touch()
    assert site.close()
    assert not site.folder.exists()
    assert not another.is_running() or another.status() == psutil.STATUS_ZOMBIE
    assert not site.close()
