"""Asking one probe once: over HTTP, by a command, or of a metric. Each answers yes, no, or that it could not be asked."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from harness.scenario.probes import HttpProbe, MetricProbe, Probe
from harness.stack.base import Instance, Stack
from harness.stack.http_probe import get
from harness.telemetry import prometheus_text

SAID_CHARS = 200
_NAMED = re.compile(r"\{([a-z][a-z0-9_-]*)\}")


@dataclass(frozen=True, slots=True)
class Answer:
    """`ok` is None when the question could not be asked."""

    ok: bool | None
    detail: str
    value: float | None = None


class _UnaskedError(Exception):
    """The question itself is impossible just now; the message says why."""


def ask(probe: Probe, stack: Stack, run_id: str) -> Answer:
    """One question; whatever goes wrong with asking is an answer, too."""
    try:
        if probe.http is not None:
            return _http(probe.http, stack, probe.timeout)
        if probe.metric is not None:
            return _metric(probe.metric, stack, probe.timeout)
        return _command(probe.command or (), stack, probe.timeout, run_id)
    except _UnaskedError as error:
        return Answer(None, str(error))


def _http(probe: HttpProbe, stack: Stack, timeout_s: float) -> Answer:
    if probe.url is not None:
        return _answered(probe, probe.url, timeout_s)
    answers = [_answered(probe, f"{i.url}{probe.path}", timeout_s) for i in _instances(stack, str(probe.service)) if _speaks_http(i)]
    if not answers:
        raise _UnaskedError(f"{probe.service} has no instance that speaks HTTP")
    return next((answer for answer in answers if answer.ok), answers[0])


def _answered(probe: HttpProbe, url: str, timeout_s: float) -> Answer:
    try:
        status, body = get(url, timeout_s)
    except (OSError, http.client.HTTPException) as error:
        return Answer(False, f"{type(error).__name__}: {error}")
    if status != probe.status:
        return Answer(False, f"HTTP {status}", status)
    if probe.contains is not None and probe.contains.encode() not in body:
        return Answer(False, f"HTTP {status}, without {probe.contains!r} in its {len(body)} bytes", status)
    return Answer(True, f"HTTP {status}", status)


def _metric(probe: MetricProbe, stack: Stack, timeout_s: float) -> Answer:
    values = [value for i in _instances(stack, probe.service) if _speaks_http(i) for value in _series(probe, i, timeout_s)]
    if not values:
        raise _UnaskedError(f"no instance of {probe.service} exposes {probe.name}{_labels(probe.labels)}")
    total = sum(values)
    return Answer(probe.is_.allows(total), f"{probe.name}{_labels(probe.labels)} is {total:g}", total)


def _series(probe: MetricProbe, instance: Instance, timeout_s: float) -> list[float]:
    try:
        status, body = get(f"{instance.url}/metrics", timeout_s)
        samples = prometheus_text.parse(body.decode("utf-8")) if status == 200 else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _UnaskedError(f"the metrics of {instance.name} cannot be read: {type(error).__name__}: {error}") from error
    if samples is None:
        raise _UnaskedError(f"the metrics of {instance.name} cannot be read: HTTP {status}")
    return [value for name, labels, value in samples if name == probe.name and probe.labels.items() <= labels.items()]


def _command(argv: Sequence[str], stack: Stack, timeout_s: float, run_id: str) -> Answer:
    named = [_NAMED.sub(lambda match: _instances(stack, match[1])[0].url, part) for part in argv]
    try:
        process = subprocess.Popen(
            named,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "GAUNTLET_RUN_ID": run_id},  # by which the last sweep knows what is left of it
            start_new_session=True,
        )
    except OSError as error:
        raise _UnaskedError(f"{named[0]} cannot be started: {error.strerror}") from error
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return Answer(False, f"no answer within {timeout_s:g}s")
    finally:
        _end(process)
    text = said.decode("utf-8", errors="replace").strip()[-SAID_CHARS:]
    return Answer(process.returncode == 0, f"status {process.returncode}" + (f": {text}" if text else ""), float(process.returncode))


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it started: it leads a session of its own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _instances(stack: Stack, name: str) -> Sequence[Instance]:
    """Of a service, or the one of that name."""
    if name in stack.info.services:
        found = stack.instances(name)
    else:
        found = [i for service in stack.info.services for i in stack.instances(service) if i.name == name]
    if not found:
        raise _UnaskedError(f"the stack has no {name} just now")
    return found


def _speaks_http(instance: Instance) -> bool:
    return instance.url.startswith(("http://", "https://"))


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else ""


Ask = Callable[[Probe], Answer]
