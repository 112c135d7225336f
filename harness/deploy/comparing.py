"""Both versions under the same faults while they are compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.deploy.plan import Verify
from harness.deploy.side_api import SideClient, SideError
from harness.record.clock import NS_PER_S

if TYPE_CHECKING:
    from harness.deploy.deployment import Deployment


@contextmanager
def broken_alike(deploy: Deployment, wanted: Verify, sides: Mapping[str, SideClient]) -> Iterator[None]:
    """Each version plays the faults as long as the block takes. Afterwards all are taken back, and what came of them is in the record.

    Users of the old version had them, too: they are counted from then on. Raises SideError.
    """
    if not wanted.faults:
        yield
        return
    start_ns = deploy.clock.now_ns()
    end_ns = start_ns + round(wanted.length * NS_PER_S)
    deploy.step("faults", ids=[use.id for use in wanted.faults])
    told: dict[str, Any] = {}
    try:
        for client in sides.values():
            client.break_(wanted.faults, deploy.plan.seed, start_ns, end_ns)
        yield
    finally:
        missed = []
        for name, client in sides.items():
            try:
                told[name] = client.heal()["events"]
            except SideError as error:
                missed.append(f"{name}: {error}")
        deploy.files.faults.write_text(json.dumps(told, indent=1), encoding="utf-8")
        deploy.step("faults_over", missed=missed)
    deploy.until_told(deploy.clock.now_ns())  # users who came before may still have met one
    deploy.step("users", rate=deploy.plan.users.rate)
