from __future__ import annotations

import pytest

from harness.stack.base import StackError
from harness.stack.ready import wait_ready
from tests.unit.stack.fakes import FakeClock


def test_returns_as_soon_as_the_probe_has_no_complaint() -> None:
    clock = FakeClock()
    complaints = iter(["not yet", "nearly", None])
    wait_ready("query-1", lambda: next(complaints), 10.0, clock=clock)
    assert clock.t_ns == 100_000_000


def test_the_deadline_message_has_the_last_error_and_the_log() -> None:
    clock = FakeClock()
    complaints = iter(f"complaint {n}" for n in range(1000))
    with pytest.raises(StackError) as raised:
        wait_ready("query-1", lambda: next(complaints), 1.0, log_tail=lambda: "line 1\nline 2\n", clock=clock)
    assert str(raised.value) == "query-1 not ready within 1 s: complaint 20\n--- end of its log ---\nline 1\nline 2"
    assert clock.t_ns == 1_000_000_000


def test_a_process_that_ended_is_not_waited_for() -> None:
    clock = FakeClock()
    with pytest.raises(StackError) as raised:
        wait_ready("query-1", lambda: "refused", 60.0, alive=lambda: "exit status 2", log_tail=lambda: "", clock=clock)
    assert str(raised.value) == "query-1 ended before it was ready: exit status 2 (its log is empty)"
    assert clock.t_ns == 0


def test_a_log_that_cannot_be_read_here_is_not_called_empty() -> None:
    with pytest.raises(StackError, match=r"^app not ready within 1 s: refused$"):
        wait_ready("app", lambda: "refused", 1.0, clock=FakeClock())


def test_an_answer_from_somebody_else_on_the_port_does_not_hide_an_exit() -> None:
    """The port may belong to another program by now, which answers the probe well."""
    with pytest.raises(StackError, match="ended before it was ready"):
        wait_ready("query-1", lambda: None, 60.0, alive=lambda: "exit status 1", clock=FakeClock())
