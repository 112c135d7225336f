"""The rules of the security stage that are its own; those of bandit and of the secret scanner keep their names."""

from __future__ import annotations

from collections.abc import Mapping

from harness.findings import Rule

_ALL = (
    Rule(
        "dependencies.vulnerable",
        "error",
        "a dependency with a published vulnerability",
        "install a version that is fixed",
        "Published advisories are what attackers try first.",
    ),
    Rule(
        "dependencies.unpinned",
        "warning",
        "a dependency without an exact version",
        "pin it: name==version",
        "What is installed tomorrow is something else, and nobody has looked at it.",
    ),
    Rule(
        "accepted.unused",
        "warning",
        "an accepted finding that is not found",
        "delete the entry",
        "It would hide the finding that somebody brings back later.",
    ),
    Rule(
        "image.vulnerable_package",
        "error",
        "a package for which the distribution has a security update",
        "build the image again on current packages",
        "The distribution has published what is wrong with it.",
    ),
    Rule(
        "image.root_user",
        "error",
        "runs as root",
        "say USER with a number above 0 in the Dockerfile",
        "What breaks out of a process that is root is root outside too, unless user namespaces are on.",
    ),
    Rule(
        "image.no_healthcheck",
        "warning",
        "has no HEALTHCHECK",
        "say HEALTHCHECK in the Dockerfile",
        "The engine takes a process that hangs for a healthy one.",
    ),
    Rule(
        "image.secret",
        "error",
        "holds a secret",
        "mount it at run time; build with --mount=type=secret; and replace it: it is known now",
        "Whoever can pull the image has it, even where a later layer deletes it.",
    ),
    Rule(
        "abuse.passed",
        "error",
        "an attempt of abuse came through",
        "see what was sent and what came",
        "It was tried against the running gateway, and worked.",
    ),
)
RULES: Mapping[str, Rule] = {rule.id: rule for rule in _ALL}
