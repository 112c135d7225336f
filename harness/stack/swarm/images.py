"""Images on every node that may run them: there is no registry to pull from, so they are carried over from the engine that built them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from harness.stack.base import StackError
from harness.stack.containers.api import EngineError
from harness.stack.swarm.nodes import Node

CARRY_TIMEOUT_S = 180.0

Run = Callable[[Sequence[str]], None]
"""A command of the Docker client. Raises StackError."""


def missing_on(node: Node, references: Collection[str]) -> list[str]:
    """Those that the node's engine lacks. Raises EngineError."""
    return [reference for reference in references if not _has(node, reference)]


def carry(wanted: Mapping[Node, Collection[str]], folder: Path, run: Run | None = None) -> None:
    """Bring to each node what it lacks of these images, which the engine at hand has, by a file in `folder`. Raises StackError."""
    run = run or _run
    missing = {node: lacking for node, references in wanted.items() if (lacking := missing_on(node, references))}
    alike: dict[tuple[str, ...], list[Node]] = {}
    for node, lacking in missing.items():
        alike.setdefault(tuple(sorted(lacking)), []).append(node)
    for references, nodes in alike.items():
        archive = folder / "images.tar"
        try:
            run(["docker", "save", "--output", str(archive), *references])
            with ThreadPoolExecutor(len(nodes), thread_name_prefix="images") as pool:
                list(pool.map(partial(_load, archive, run), nodes))
        finally:
            archive.unlink(missing_ok=True)


def _has(node: Node, reference: str) -> bool:
    try:
        node.api.call("GET", f"/images/{reference}/json")
    except EngineError as error:
        if error.status == 404:
            return False
        raise
    return True


def _load(archive: Path, run: Run, node: Node) -> None:
    run(["docker", "--host", node.engine, "load", "--quiet", "--input", str(archive)])


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=CARRY_TIMEOUT_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise StackError(f"{' '.join(command[:4])}: {error}") from error
    if done.returncode != 0:
        raise StackError(f"{' '.join(command[:4])} failed: {(done.stderr or done.stdout).strip()[-500:]}")
