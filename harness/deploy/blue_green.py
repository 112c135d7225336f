"""Blue-green: the new version beside the old one, proved before any user meets it; all traffic in one step; back at the first doubt."""

from __future__ import annotations

from harness.deploy.deployment import Deployment


def carry_out(deploy: Deployment) -> None:
    """Until the new version serves alone. Raises StoppedError."""
    deploy.start_new()
    deploy.smoke()
    deploy.verify()
    deploy.memory()
    shifted_ns = deploy.shift({deploy.new_name: 100.0}, "100")
    deploy.prove_served("deploy.served", deploy.new.version, shifted_ns)
    deploy.bake("bake", deploy.plan.bake)
    deploy.drain()
    deploy.commit()


def roll_back(deploy: Deployment) -> None:
    """All traffic to the old version, and the proof that it serves again; then the new one ends.

    Raises StoppedError where that is not proved. The new version is left alone then: users may be with it.
    """
    back_ns = deploy.shift({deploy.old.name: 100.0}, "back") if deploy.shifted else deploy.step("kept", side=deploy.old.name)
    deploy.prove_served("deploy.rollback", deploy.old.version, back_ns)
    if deploy.shifted:
        deploy.drained(deploy.new_name)  # users who met it are answered, too, if it answers at all
    deploy.site.end_side(deploy.new_name)
    deploy.step("new_ended", side=deploy.new_name)
