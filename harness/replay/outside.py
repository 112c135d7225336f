"""A team's own operator in a replay: a process that is told each round in a line of JSON, and answers each with one (docs/replay.md).

It has no clock of its own to trust: what is now, stands in the line. One line, one answer: so that a minute takes as long as the operator
needs to think about it, and no longer, and nothing is said of a moment that is already over.
"""

from __future__ import annotations

import json
import math
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, Any

from harness.ops.monitoring.rounds import Look, Round
from harness.replay.recording import Samples
from harness.replay.voice import SAID, RecordingVoice

PATIENCE_S = 10.0
"""Of real time, for one answer: an operator that takes longer would have missed rounds."""
LONGEST_LINE = 1 << 20
_END_S = 3.0
_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR", "TZ")


class OutsideError(RuntimeError):
    """The command cannot be executed."""


class EndedError(RuntimeError):
    """It has ended, or is silent: from here on it is as good as dead. The message says which. `returncode` is that of its process; of one
    that is silent it will be that of the signal that ends it."""

    def __init__(self, why: str, returncode: int = -signal.SIGKILL) -> None:
        super().__init__(why)
        self.returncode = returncode


@contextmanager
def outside(command: Sequence[str], patience_s: float = PATIENCE_S) -> Iterator[OutsideOperator]:
    """Start it, and end it whatever comes. Raises OutsideError."""
    environment = {k: v for k, v in os.environ.items() if k in _PASSED_ON}
    try:
        process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
        )  # its standard error is ours: what it has to say to people
    except OSError as error:
        raise OutsideError(f"the operator {command[0]!r} cannot be started: {error}") from error
    operator = OutsideOperator(process, patience_s)
    try:
        yield operator
    finally:
        operator.end()


class OutsideOperator:
    """Speaks with the process. `join` comes before the first round."""

    def __init__(self, process: subprocess.Popen[bytes], patience_s: float) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process, self._patience_s = process, patience_s
        self._targets: Mapping[str, Any] = {}
        self._voice: RecordingVoice | None = None
        self._rounds = 0
        self._to_send: queue.Queue[bytes | None] = queue.Queue()
        self._sent: queue.Queue[bool] = queue.Queue()
        self._answers: queue.Queue[bytes] = queue.Queue()
        # In threads: whoever does not read, or does not answer, must not keep the replay from saying so.
        for work in (partial(_send, process.stdin, self._to_send, self._sent), partial(_read, process.stdout, self._answers)):
            threading.Thread(target=work, name="outside-operator", daemon=True).start()

    def join(self, targets: Mapping[str, Any], voice: RecordingVoice) -> OutsideOperator:
        """What it is told before the first round, and where its words go."""
        self._targets, self._voice = targets, voice
        return self

    def round(self, round_: Round) -> None:
        """Show it one round, and take down what it says of it. Raises EndedError."""
        if not self._rounds:
            self._tell({"targets": self._targets})
        self._rounds += 1
        self._tell({"round": document_of(round_)})
        self._take(self._answer())

    def _tell(self, document: Mapping[str, Any]) -> None:
        self._to_send.put(json.dumps(document, separators=(",", ":"), allow_nan=False).encode() + b"\n")
        try:
            well = self._sent.get(timeout=self._patience_s)
        except queue.Empty:
            raise EndedError(f"it did not read its standard input for {self._patience_s:g} s") from None
        if not well:
            raise self._ended()

    def _answer(self) -> bytes:
        try:
            line = self._answers.get(timeout=self._patience_s)
        except queue.Empty:
            raise EndedError(f"it gave no answer within {self._patience_s:g} s; each round wants one line, `{{}}` for nothing") from None
        if not line:
            raise self._ended()
        return line

    def end(self) -> None:
        """It is told by the end of its input; then by a signal, to it and what it started."""
        self._to_send.put(None)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _ended(self) -> EndedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.poll()
        if code is None:
            return EndedError("it closed its standard input or output")
        return EndedError(f"it ended with {code}" if code >= 0 else f"it was ended by {signal.Signals(-code).name}", code)

    def _take(self, line: bytes) -> None:
        """Word for word; what no inbox would take is refused by itself, and the rest is heard."""
        assert self._voice is not None
        self._voice.where = f"answer {self._rounds}: "
        shown = line[:80].decode("utf-8", "replace").strip()
        try:
            answer = json.loads(line)
        except ValueError as error:
            self._voice.refuse(f"an answer is a line of JSON, and {shown!r} is none: {error}")
            return
        if not isinstance(answer, dict):
            self._voice.refuse(f"an answer is an object, such as {{}}, and not {shown!r}")
            return
        for key in answer.keys() - SAID.keys():
            self._voice.refuse(f"{key}: no such thing can be said; there are: {', '.join(SAID)}")
        for key in SAID:
            words = answer.get(key, [])
            for word in words if isinstance(words, list) else [words]:
                self._voice.hear(key, word)


def document_of(round_: Round) -> dict[str, Any]:
    """One round as it is told. Samples are `[name, labels, value]`; times are seconds of the replay's clock (docs/replay.md)."""
    return {"t_s": round_.t_s, "looks": [_look(look) for look in round_.looks], "client": _samples(round_.client)}


def _look(look: Look) -> dict[str, Any]:
    at = look.endpoint
    return {
        "service": at.service,
        "instance": at.instance,
        "url": at.url,
        "duration_s": look.duration_s,
        "error": look.error,
        "serving": look.serving,
        "clock_ahead_s": look.clock_ahead_s,
        "samples": _samples(look.samples),
    }


def _samples(samples: Samples) -> list[list[Any]]:
    return [[name, labels, value if math.isfinite(value) else _spelt(value)] for name, labels, value in samples]


def _spelt(value: float) -> str:
    """JSON has no such numbers; so Prometheus' HTTP API spells them."""
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


def _send(stdin: IO[bytes], lines: queue.Queue[bytes | None], sent: queue.Queue[bool]) -> None:
    """Line by line, until there is none; then its input ends."""
    with suppress(OSError), stdin:  # what could not be written is tried once more when it is closed
        while (line := lines.get()) is not None:
            try:
                stdin.write(line)
                stdin.flush()
            except OSError:
                sent.put(False)
                return
            sent.put(True)


def _read(stdout: IO[bytes], answers: queue.Queue[bytes]) -> None:
    """Line by line; an empty one at the end."""
    with stdout:
        while line := stdout.readline(LONGEST_LINE):
            answers.put(line)
    answers.put(b"")
