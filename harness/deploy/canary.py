"""Canary: the new version is given its share of the users step by step, and is compared with the old one at each."""

from __future__ import annotations

from harness.deploy.deployment import Deployment
from harness.record.clock import NS_PER_S

_ALL = 100.0


def carry_out(deploy: Deployment) -> None:
    """Until the new version serves alone. Raises StoppedError."""
    deploy.start_new()
    deploy.smoke()
    deploy.verify()
    deploy.memory()
    for weight in deploy.plan.canary.weights:
        name = f"{weight:g}"
        shifted_ns = deploy.shift({deploy.old.name: _ALL - weight, deploy.new_name: weight}, name)
        if weight < _ALL:
            _step(deploy, name, weight, shifted_ns)
        else:
            deploy.prove_served("deploy.served", deploy.new.version, shifted_ns)
    deploy.bake("bake", deploy.plan.bake)
    deploy.drain()
    deploy.commit()


def _step(deploy: Deployment, name: str, weight: float, shifted_ns: int) -> None:
    """Both versions serve users: who answered must agree with the weights, users must be well, and the new version no worse."""
    plan = deploy.plan
    deploy.bake(f"canary.{name}", plan.canary.hold)
    span = {"start_ns": shifted_ns, "end_ns": shifted_ns + round(plan.canary.hold * NS_PER_S)}
    deploy.gate("weight", f"deploy.canary.{name}.weight", version=deploy.new.version, share=weight / _ALL, **span)
    if plan.compare:
        sides = {"old": deploy.old.version, "version": deploy.new.version, "old_side": deploy.old.name, "new_side": deploy.new_name}
        deploy.gate("compared", f"deploy.canary.{name}.compare", **sides, **span)
