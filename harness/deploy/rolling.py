"""Rolling: one instance after the other is drained and replaced, each proved before the next; back in reverse at the first doubt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.deploy.deployment import Deployment, StoppedError
from harness.deploy.side_api import SeenInstance, SideClient, SideError
from harness.faults.http_look import LookError, ask
from harness.record.clock import NS_PER_S, Clock
from harness.score.check import Status
from harness.telemetry.prometheus_text import ParseError, parse

_SERVED_LEAST = 10  # requests of users that an instance has answered before it counts as serving
_REQUESTS = "rag_requests_total"
_POLL_S = 0.5


def carry_out(deploy: Deployment) -> None:
    """Until every instance of every service named is of the new version. Raises StoppedError."""
    told = deploy.plan.change
    variables = {name: {"VERSION": told.version, **told.environment.get(service, {})} for service, name in _instances(deploy)}
    side = SideClient(deploy.old.api, deploy.clock)
    deploy.before = {seen.name: str(seen.version) for service in _services(deploy) for seen in side.instances(service)}
    for batch in _batches(deploy):
        _replace(deploy, batch, variables)
        _prove(deploy, batch, {name: told.version for _, name in batch}, "served")
        deploy.bake("batch." + "+".join(name for _, name in batch), deploy.plan.rolling.pause if deploy.plan.rolling else 0.0)
    deploy.bake("bake", deploy.plan.bake)
    deploy.site.commit_rolling(variables)
    deploy.committed = True
    deploy.step("committed", instances=sorted(variables))


def roll_back(deploy: Deployment) -> None:
    """Every instance that was replaced, in reverse; each must say that it is of the old version again, and serve. Raises StoppedError."""
    try:
        back = deploy.site.roll_back()
    except SideError as error:
        deploy.fact("rollback", Status.FAIL, f"the rollback did not come to its end: {error}")
        return
    deploy.step("rolled_back", instances=back)
    batch = [(name.rpartition("-")[0], name) for name in back]
    if batch:
        _prove(deploy, batch, deploy.before, "rollback")
    else:
        deploy.fact("rollback", Status.PASS, "no instance was replaced")


def _services(deploy: Deployment) -> Sequence[str]:
    assert deploy.plan.rolling is not None, "checked when the file was read"
    return deploy.plan.rolling.services


def _instances(deploy: Deployment) -> Iterator[tuple[str, str]]:
    side = SideClient(deploy.old.api, deploy.clock)
    for service in _services(deploy):
        for seen in side.instances(service):
            yield service, seen.name


def _batches(deploy: Deployment) -> Iterator[Sequence[tuple[str, str]]]:
    """Instances of one service at a time, as many as may be out."""
    assert deploy.plan.rolling is not None, "checked when the file was read"
    most = deploy.plan.rolling.max_unavailable
    everyone = list(_instances(deploy))
    for service in _services(deploy):
        own = [one for one in everyone if one[0] == service]
        yield from (own[n : n + most] for n in range(0, len(own), most))


def _replace(deploy: Deployment, batch: Sequence[tuple[str, str]], variables: Mapping[str, Mapping[str, str]]) -> None:
    names = [name for _, name in batch]
    deploy.say(f"{', '.join(names)}: replaced by {deploy.plan.change.version}")
    deploy.step("replace", instances=names)
    deploy.shifted = True
    for name in names:  # on disk one after the other, before any is touched
        deploy.site.note_rolling(name)
    try:
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda name: SideClient(deploy.old.api, deploy.clock).replace(name, variables[name]), names))
    except SideError as error:
        deploy.fact(
            "replaced." + "+".join(names), Status.FAIL, f"version {deploy.plan.change.version} does not start: {_first_line(error)}"
        )


def _prove(deploy: Deployment, batch: Sequence[tuple[str, str]], versions: Mapping[str, str], label: str) -> None:
    """Each is ready, says that it is of its version, and has answered users since."""
    names = "+".join(one for _, one in batch)
    told = ", ".join(sorted({versions[one] for _, one in batch}))
    label = label if label == "rollback" else f"{label}.{names}"
    began = {one: _served(seen, deploy.clock) for service, one in batch for seen in _seen(deploy, service) if seen.name == one}
    deadline_ns = deploy.clock.now_ns() + round(deploy.plan.proof.within * NS_PER_S)
    while True:
        doubts = [doubt for service, one in batch if (doubt := _doubt(deploy, service, one, versions[one], began.get(one))) is not None]
        if not doubts:
            deploy.fact(label, Status.PASS, f"{names}: ready, {told}, and at least {_SERVED_LEAST} requests answered since")
            return
        if deploy.clock.now_ns() > deadline_ns:
            wrong = any("not" in doubt for doubt in doubts)
            deploy.fact(label, Status.FAIL if wrong else Status.INCONCLUSIVE, "; ".join(doubts))
        deploy.wait(_POLL_S)


def _doubt(deploy: Deployment, service: str, name: str, version: str, before: float | None) -> str | None:
    seen = next((one for one in _seen(deploy, service) if one.name == name), None)
    if seen is None or seen.reason is not None:
        return f"{name} is not ready: {seen.reason if seen is not None else 'it is gone'}"
    if seen.version != version:
        return f"{name} is {seen.version}, not {version}"
    now = _served(seen, deploy.clock)
    if now is None or before is None or now - before < _SERVED_LEAST:
        return f"{name} has answered fewer than {_SERVED_LEAST} requests since"
    return None


def _seen(deploy: Deployment, service: str) -> Sequence[SeenInstance]:
    try:
        return SideClient(deploy.old.api, deploy.clock).instances(service)
    except SideError as error:
        raise StoppedError("deploy.side", Status.INCONCLUSIVE, str(error)) from error


def _served(seen: SeenInstance, clock: Clock) -> float | None:
    """Requests that it has answered since it started; None where it does not say."""
    try:
        text = ask(f"{seen.url}/metrics", clock).body.decode(errors="replace")
        return sum(value for name, _, value in parse(text) if name == _REQUESTS)
    except (LookError, ParseError):
        return None


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), "")
