"""Which pod is which instance, when a rollout is over, and what a forwarded port does where nobody is behind it."""

from __future__ import annotations

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stack.base import StackError
from harness.stack.kubernetes.forward import Forward
from harness.stack.kubernetes.rollout import to_version, unsettled
from harness.stack.kubernetes.slots import Pod, Slots


def pod(number: int, ended: bool = False) -> Pod:
    return Pod(f"query-{number:03d}", f"uid-{number}", f"2026-01-01T00:{number % 60:02d}:00Z", "10.1.0.1", True, ended, "1.0.0")


@given(
    st.lists(st.tuples(st.sets(st.integers(0, 20), max_size=6), st.sets(st.integers(0, 20), max_size=2), st.integers(1, 5)), max_size=12)
)
def test_pods_keep_their_places(rounds: list[tuple[set[int], set[int], int]]) -> None:
    slots, before = Slots(), dict[int, str]()
    for there, ending, replicas in rounds:
        found = slots.assign("query", [pod(number, number in ending) for number in there], replicas)
        taken = {number: one.uid for number, one in found.items() if one is not None}
        living = {pod(number).uid for number in there - ending}
        assert list(found) == list(range(1, replicas + 1))
        assert len(set(taken.values())) == len(taken) == min(replicas, len(living)), "everybody has one place, and none is left free"
        assert set(taken.values()) <= living
        assert all(taken[number] == uid for number, uid in before.items() if uid in living and number <= replicas)
        before = taken


def test_who_comes_takes_the_lowest_place_that_is_free() -> None:
    slots = Slots()
    slots.assign("query", [pod(1), pod(2), pod(3)], 3)
    found = slots.assign("query", [pod(2), pod(3), pod(4)], 3)
    assert {number: one.uid if one else None for number, one in found.items()} == {1: "uid-4", 2: "uid-2", 3: "uid-3"}
    found = slots.assign("query", [pod(3), pod(2, ended=True)], 3)
    assert {number: one.uid if one else None for number, one in found.items()} == {1: None, 2: None, 3: "uid-3"}


WORKLOAD = {
    "metadata": {"generation": 2},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "main", "env": [{"name": "VERSION", "value": "1.0.0"}]}]}}},
    "status": {"observedGeneration": 2, "updatedReplicas": 2, "readyReplicas": 2, "replicas": 2},
}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, None),
        ({"observedGeneration": 1}, "its controller has not seen the change"),
        ({"updatedReplicas": 1}, "1 of 2 updatedReplicas"),
        ({"readyReplicas": 0}, "0 of 2 readyReplicas"),
        ({"replicas": 3}, "3 of 2 replicas"),
    ],
)
def test_a_rollout_is_over_when_nothing_is_left_to_do(status: dict[str, int], said: str | None) -> None:
    assert unsettled({**WORKLOAD, "status": {**WORKLOAD["status"], **status}}) == said
    assert unsettled(None) == "it is gone"


def test_a_version_is_a_change_of_one_variable() -> None:
    before, change = to_version(WORKLOAD, "1.1.0")
    assert before == "1.0.0"
    assert change == {"spec": {"template": {"spec": {"containers": [{"name": "main", "env": [{"name": "VERSION", "value": "1.1.0"}]}]}}}}
    assert WORKLOAD["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == "1.0.0"  # type: ignore[index]  # it is nested


def test_a_forwarded_port_leads_to_whoever_is_there_and_resets_where_nobody_is() -> None:
    answers = ["one", "", "two"]

    def dial() -> socket.socket:
        name = answers.pop(0)
        if not name:
            raise StackError("no pod at the moment")
        ours, theirs = socket.socketpair()
        threading.Thread(target=lambda: (theirs.sendall(name.encode() + theirs.recv(9)), theirs.close()), daemon=True).start()
        return ours

    forward = Forward("query-1", dial)
    try:
        assert ask(forward.port) == b"one?"
        with pytest.raises(ConnectionError):
            ask(forward.port)
        assert ask(forward.port) == b"two?"
    finally:
        forward.close()
    with pytest.raises(ConnectionRefusedError):
        ask(forward.port)


def test_who_leaves_with_answers_on_their_way_is_no_error_to_the_other_end() -> None:
    """It would end what leads to the pod without closing it."""
    ours, theirs = socket.socketpair()
    forward = Forward("query-1", lambda: ours)
    try:
        with socket.create_connection(("127.0.0.1", forward.port), timeout=60) as connection:
            connection.sendall(b"?")
            assert theirs.recv(9) == b"?"
            theirs.sendall(b"x" * 100_000)
        theirs.settimeout(10)
        assert theirs.recv(9) == b""  # in order; a reset would raise
        theirs.close()
    finally:
        forward.close()


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"?")
        found = b""
        while part := connection.recv(100):
            found += part
        return found
