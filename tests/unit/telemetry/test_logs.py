"""The tail of a log, however it is written."""

from pathlib import Path

from harness.telemetry.logs import LogLine, LogTail


def test_whole_lines_come_once_and_a_half_line_waits(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    tail = LogTail(file)
    assert tail.read() == []
    file.write_bytes(b'{"level": "info", "status": 200}\n{"level": ')
    assert tail.read() == [LogLine({"level": "info", "status": 200})]
    with file.open("ab") as log:
        log.write(b'"error"}\n\nTraceback: x\n[1]\n')
    assert tail.read() == [
        LogLine({"level": "error"}),
        LogLine({"message": "Traceback: x"}, structured=False),
        LogLine({"message": "[1]"}, structured=False),
    ]
    assert tail.read() == []


def test_a_replaced_or_shortened_file_is_read_from_its_start(tmp_path: Path) -> None:
    file, other = tmp_path / "a.log", tmp_path / "b.log"
    file.write_text('{"n": 1}\n{"n": 2}\n')
    tail = LogTail(file)
    assert len(tail.read()) == 2
    other.write_text('{"n": 3}\n{"n": 33}\n{"n": 333}\n')
    other.rename(file)
    assert [line.fields["n"] for line in tail.read()] == [3, 33, 333]
    file.write_text('{"n": 4}\n')
    assert tail.read() == [LogLine({"n": 4})]


def test_from_the_end_only_what_is_new_comes(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_text('{"n": 1}\n')
    tail = LogTail(file, from_end=True)
    with file.open("a") as log:
        log.write('{"n": 2}\n')
    assert tail.read() == [LogLine({"n": 2})]


def test_a_line_without_end_does_not_take_all_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"x" * 200_000)
    (line,) = LogTail(file).read()
    assert line == LogLine({"message": "x" * 65536}, structured=False)


def test_bytes_that_are_no_utf8_are_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"\xff\xfe\n")
    assert LogTail(file).read() == [LogLine({"message": "��"}, structured=False)]
