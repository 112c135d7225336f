"""A restore drill: a fresh stack, emptied, is given a backup, and must answer. How long that takes is the RTO, what it lacks is the RPO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from harness.deploy.carry_out import open_site
from harness.deploy.looking import put_questions
from harness.deploy.plan import DeployPlan
from harness.deploy.side_api import SideClient, SideError
from harness.deploy.site import Settings, Side, Site, SiteError
from harness.environments.backup import Backup, BackupError, Contents, contents_of, database_of, run_tool
from harness.environments.model import Recovery
from harness.record.clock import NS_PER_S, Clock, SystemClock, utc_now
from harness.scenario.units import plain
from harness.score.check import Result, Status
from harness.stack.topology import topology

GROUP = "recovery"
_QUESTIONS = 20
_RIGHT = 0.9
_POLL_S = 0.5
_READS_DATABASE = "DATABASE_URL"
_SINCE = "SELECT count(*), extract(epoch FROM now() - min(updated_at)) FROM documents WHERE extract(epoch FROM updated_at) > %s"


@dataclass(frozen=True, slots=True)
class Lost:
    """What a restore of the backup would lack, if all were lost now."""

    documents: int | None  # None: what is lost cannot be asked any more
    age_s: float  # of the oldest of it


def drill(backup: Backup, plan: DeployPlan, wanted: Recovery, say: Callable[[str], None], work: Path, secrets: Settings) -> list[Result]:
    """Restore into a stack of its own, which is ended afterwards. Raises StackError or SiteError where that does not start."""
    clock = SystemClock()
    lost = _lost(Site(backup.site, clock), backup)
    fresh = Site(f"{plan.name}-drill", clock)
    begun_ns = clock.now_ns()
    try:
        side = open_site(fresh, plan, work, say, secrets)
        found, right = _restored(backup, side, fresh, plan, clock, say, begun_ns + round(wanted.rto * NS_PER_S))
        took_s = (clock.now_ns() - begun_ns) / NS_PER_S
    except (BackupError, SideError, psycopg.Error) as error:
        return [Result("recovery.restored", GROUP, Status.FAIL, f"the backup cannot be restored: {str(error).strip()}")]
    finally:
        fresh.close()
    return judged(backup, wanted, lost, found, right, took_s)


def judged(backup: Backup, wanted: Recovery, lost: Lost, found: Contents, right: int, took_s: float) -> list[Result]:
    """What follows from what was measured."""
    whole = found.same_as(backup.contents)
    held = f"{found.documents} documents in {found.chunks} pieces"
    rows = Result(
        "recovery.restored", GROUP, Status.PASS if whole else Status.FAIL, f"the restored database holds {held}, digest for digest"
    )
    if not whole:
        was = f"{backup.contents.documents} documents in {backup.contents.chunks} pieces"
        rows = replace(rows, reason=f"the restored database is not what was saved: {held}, of {was}, or other texts")
    elif not found.documents:
        rows = replace(rows, status=Status.INCONCLUSIVE, reason="the backup holds no document: nothing was restored")
    told = f"{right} of {_QUESTIONS} questions with known answers were answered rightly"
    answers = Result("recovery.answers", GROUP, Status.PASS if right >= _RIGHT * _QUESTIONS else Status.FAIL, told, value=right)
    rto = _limited("recovery.rto", took_s, wanted.rto, f"from the decision to the last right answer {took_s:.1f}s")
    if lost.documents is None:
        what = f"what was lost cannot be asked: at most all of the {lost.age_s:.1f}s since the backup"
    else:
        what = (
            f"{lost.documents} documents changed since the backup, the oldest {lost.age_s:.1f}s ago"
            if lost.documents
            else "nothing is lost"
        )
    rpo = _limited("recovery.rpo", lost.age_s, wanted.rpo, what)
    if rows.status is not Status.PASS or answers.status is not Status.PASS:
        rto = replace(rto, status=Status.INCONCLUSIVE, reason=f"{rto.reason}, but what was restored is not whole")
    return [rows, answers, rto, rpo]


def _limited(name: str, value_s: float, limit_s: float, what: str) -> Result:
    status = Status.PASS if value_s <= limit_s else Status.FAIL
    return Result(name, GROUP, status, what, value=round(value_s, 3), limit=f"<= {plain(limit_s)}s", unit="s")


def _lost(site: Site, backup: Backup) -> Lost:
    """Where the site still stands, what is in its database and not in the backup; else everything since."""
    try:
        side = site.side(site.serving)
        with psycopg.connect(database_of(side.database if side is not None else None)) as connection:
            row = connection.execute(_SINCE, (backup.taken_s,)).fetchone()
            assert row is not None, "an aggregate has one row"
            return Lost(int(row[0]), float(row[1] or 0.0))
    except (SiteError, BackupError, psycopg.Error):
        return Lost(None, max(0.0, utc_now().timestamp() - backup.taken_s))


def _restored(
    backup: Backup, side: Side, site: Site, plan: DeployPlan, clock: Clock, say: Callable[[str], None], deadline_ns: int
) -> tuple[Contents, int]:
    """Empty it, restore, restart who holds sessions, and ask. Raises BackupError, SideError or psycopg.Error."""
    dsn = database_of(side.database)
    say("the fresh database is emptied, and given the backup")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '20s'")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    run_tool("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={dsn}", str(backup.dump))
    services = topology(plan.stack.vector_store).services
    restart(SideClient(side.api, clock), [name for name, one in services.items() if _READS_DATABASE in one.variables], clock, deadline_ns)
    say("it is asked what it knows")
    asked = put_questions(side.entry_url, site.api_key, side.questions, _QUESTIONS, plan.seed, clock)
    with psycopg.connect(dsn) as connection:
        return contents_of(connection), sum(bool(one["right"]) for one in asked)


def restart(side: SideClient, services: Sequence[str], clock: Clock, deadline_ns: int) -> None:
    """Start their instances anew, and wait until all are ready. One that takes its time costs time, and is no broken backup.

    Raises SideError where one is not ready by the deadline.
    """
    for service in services:
        for seen in side.instances(service):
            with suppress(SideError):  # not ready at once; whether it gets there is asked below
                side.replace(seen.name, {})
    while late := [f"{one.name}: {one.reason}" for service in services for one in side.instances(service) if one.reason is not None]:
        if clock.now_ns() > deadline_ns:
            raise SideError("; ".join(late))
        clock.sleep(_POLL_S)
