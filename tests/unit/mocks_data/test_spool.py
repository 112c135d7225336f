"""The spool: first in, first out, across restarts; whole files only; bounded."""

import os
import shutil
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from mocks.rag.document.events import IngestEvent, MalformedEventError
from mocks.rag.document.spool import Spool, SpoolFullError


def event(number: int) -> IngestEvent:
    return IngestEvent(f"doc-{number}", "title", f"text ü {number}", number, "request")


def drained(spool: Spool) -> list[IngestEvent]:
    events = []
    for path in spool.waiting():
        events.append(spool.read(path))
        spool.remove(path)
    return events


def test_events_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    for number in range(12):
        spool.append(event(number))
    again = Spool(tmp_path)
    again.append(event(12))
    assert len(again) == 13
    assert drained(again) == [event(number) for number in range(13)]
    assert (len(again), again.waiting(), len(Spool(tmp_path))) == (0, [], 0)


def test_what_a_killed_writer_left_is_no_event(tmp_path: Path) -> None:
    Spool(tmp_path).append(event(1))
    (tmp_path / "00000000000000000002.event.json.tmp").write_bytes(b'{"doc_id": "ha')
    spool = Spool(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["00000000000000000001.event.json"]
    assert drained(spool) == [event(1)]


def test_a_full_spool_refuses_and_takes_again_when_there_is_room(tmp_path: Path) -> None:
    spool = Spool(tmp_path, events_max=1)
    first = spool.append(event(1))
    with pytest.raises(SpoolFullError, match="1 events are waiting already"):
        spool.append(event(2))
    spool.remove(first)
    spool.remove(first)  # twice does no harm to the count
    spool.append(event(3))
    assert (len(spool), drained(spool)) == (1, [event(3)])


def test_a_file_that_is_no_event_is_put_aside(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    path = spool.append(event(1))
    path.write_bytes(b"[]")
    with pytest.raises(MalformedEventError):
        spool.read(path)
    spool.reject(path)
    assert (len(spool), len(Spool(tmp_path)), path.with_name(path.name + ".rejected").read_bytes()) == (0, 0, b"[]")


def test_a_disk_error_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mocks.rag.document.spool.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        spool.append(event(1))
    assert (len(spool), list(tmp_path.iterdir())) == (0, [])


def test_an_event_whose_name_is_not_on_the_disk_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("mocks.rag.document.spool.os.fsync", _full_for_folders)
        with pytest.raises(OSError, match="No space left"):
            spool.append(event(1))
    assert (len(spool), list(tmp_path.iterdir())) == (0, [])
    spool.append(event(2))
    assert drained(spool) == [event(2)]


def _full_for_folders(descriptor: int) -> None:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        raise OSError(28, "No space left on device")


@given(st.text(), st.text(), st.text(max_size=50), st.integers(0, 2**62))  # st.text() makes no surrogates
def test_an_event_survives_its_encoding(doc_id: str, title: str, text: str, revision: int) -> None:
    one = IngestEvent(doc_id, title, text, revision, "r")
    assert IngestEvent.from_fields({b"event": one.to_json()}) == one


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b'"x"', b"\xff", b'{"doc_id": "a", "title": "t", "text": "x", "revision": "new", "request_id": ""}']
)
def test_bytes_that_are_no_event(raw: bytes) -> None:
    with pytest.raises(MalformedEventError):
        IngestEvent.from_fields({b"event": raw})


class SpoolAgainstAQueue(RuleBasedStateMachine):
    """Any sequence of append, take and restart behaves as a list."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-test-"))
        self.spool = Spool(self.folder)
        self.model: list[IngestEvent] = []
        self.number = 0

    @rule()
    def append(self) -> None:
        self.number += 1
        self.spool.append(event(self.number))
        self.model.append(event(self.number))

    @rule()
    def take(self) -> None:
        waiting = self.spool.waiting()
        assert [self.spool.read(path) for path in waiting] == self.model
        if waiting:
            self.spool.remove(waiting[0])
            self.model.pop(0)

    @rule()
    def restart(self) -> None:
        self.spool = Spool(self.folder)

    def teardown(self) -> None:
        assert len(self.spool) == len(self.model)
        shutil.rmtree(self.folder)


TestSpoolAgainstAQueue = SpoolAgainstAQueue.TestCase
TestSpoolAgainstAQueue.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)
