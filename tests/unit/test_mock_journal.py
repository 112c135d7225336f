"""The journal of a mock: bounded by rows and by bytes, read with a cursor that tells what was lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mocks.common.journal import Journal, Page


@dataclass
class Row:
    held: dict[str, Any]

    @property
    def size(self) -> int:
        return len(json.dumps(self.held))

    def row(self) -> dict[str, Any]:
        return self.held


def numbers(page: Page) -> list[int]:
    return [json.loads(row)["n"] for row in page.rows]


def filled(count: int, rows: int = 100, most_bytes: int = 1_000_000) -> Journal:
    journal = Journal(rows, most_bytes)
    for n in range(1, count + 1):
        journal.seal(Row({"n": n}))
    return journal


def test_a_reader_that_keeps_up_gets_every_row_once() -> None:
    journal = filled(3)
    page = journal.after(0, 2)
    assert (numbers(page), page.next, page.lost) == ([1, 2], 2, 0)
    page = journal.after(page.next, 10)
    assert (numbers(page), page.next, page.lost) == ([3], 3, 0)
    assert journal.after(3, 10) == Page([], 3, 0)
    journal.seal(Row({"n": 4}))
    assert [json.loads(row) for row in journal.after(3, 10).rows] == [{"seq": 4, "n": 4}]


def test_a_reader_that_falls_behind_is_told_how_many_rows_it_missed() -> None:
    journal = filled(10, rows=4)
    page = journal.after(2, 2)
    assert (numbers(page), page.next, page.lost) == ([7, 8], 8, 4)
    page = journal.after(page.next, 2)
    assert (numbers(page), page.next, page.lost) == ([9, 10], 10, 0)


def test_rows_leave_for_their_bytes_too() -> None:
    journal = filled(50, most_bytes=45)  # a row has 9 bytes
    assert numbers(journal.latest(50)) == [46, 47, 48, 49, 50]
    journal.seal(Row({"n": "x" * 200}))
    assert journal.after(0, 100) == Page([], 51, 51)


def test_the_latest_rows() -> None:
    journal = filled(5)
    assert [numbers(journal.latest(limit)) for limit in (0, 2, 100)] == [[], [4, 5], [1, 2, 3, 4, 5]]
    assert journal.latest(2).next == 5


def test_forgotten_rows_are_lost_once_and_the_sequence_goes_on() -> None:
    journal = filled(3)
    journal.clear()
    page = journal.after(1, 10)
    assert page == Page([], 3, 2)
    journal.seal(Row({"n": 4}))
    assert (numbers(journal.after(page.next, 10)), journal.last) == ([4], 4)


def test_a_cursor_from_before_a_restart_begins_where_the_new_journal_ends() -> None:
    assert filled(3).after(1_000, 10) == Page([], 3, 0)
    assert filled(1).id != filled(1).id


@given(rows=st.integers(1, 8), steps=st.lists(st.integers(0, 5), max_size=20), limit=st.integers(1, 6))
def test_read_and_lost_rows_together_are_all_rows(rows: int, steps: list[int], limit: int) -> None:
    journal, cursor, seen, lost, n = Journal(rows, 10_000), 0, [], 0, 0
    for step in [*steps, *[0] * 20]:
        for _ in range(step):
            n += 1
            journal.seal(Row({"n": n}))
        page = journal.after(cursor, limit)
        cursor, lost = page.next, lost + page.lost
        seen += numbers(page)
    assert len(seen) + lost == n == cursor
    assert seen == sorted(set(seen))
