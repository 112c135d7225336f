from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.stack.base import StackError
from harness.stack.registry import RegistryFile

DEFAULTS = {"llm_provider": "llm", "cache_epoch": 0, "pool_epoch": 0, "shed_ratio": 0.0}


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def entry(name: str, url: str) -> dict[str, object]:
    return {"name": name, "url": url, "weight": 1}


def test_instances_come_and_go_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    registry = RegistryFile(tmp_path)
    for number in (10, 2, 1):
        registry.put("retrieval", f"retrieval-{number}", f"http://r{number}")
    registry.withdraw("retrieval", "retrieval-2")
    registry.withdraw("retrieval", "retrieval-2")
    assert read(registry.path) == {
        "revision": 4,
        "services": {"retrieval": [entry("retrieval-1", "http://r1"), entry("retrieval-10", "http://r10")]},
        "settings": DEFAULTS,
    }
    assert registry.lists("retrieval", "retrieval-1") and not registry.lists("retrieval", "retrieval-2")


def test_putting_what_is_there_changes_nothing_and_another_address_moves_it(tmp_path: Path) -> None:
    registry = RegistryFile(tmp_path)
    registry.put("query", "query-1", "http://a")
    registry.put("query", "query-1", "http://a")
    assert read(registry.path)["revision"] == 1
    registry.put("query", "query-1", "http://b")
    assert read(registry.path)["services"] == {"query": [entry("query-1", "http://b")]}


def test_a_detour_is_seen_by_its_caller_alone(tmp_path: Path) -> None:
    registry = RegistryFile(tmp_path)
    registry.put("llm", "llm-1", "http://direct")
    registry.detour("generation", "llm", lambda url: url.replace("direct", "detour"))
    registry.put("query", "query-1", "http://q")
    direct, detoured, other = (read(path) for path in (registry.path, registry.path_for("generation"), registry.path_for("embedding")))
    assert direct == other
    assert direct["services"] == {"llm": [entry("llm-1", "http://direct")], "query": [entry("query-1", "http://q")]}
    assert detoured["services"] == {"llm": [entry("llm-1", "http://detour")], "query": [entry("query-1", "http://q")]}
    registry.put("llm", "llm-1", "http://direct:2")  # it moves, and the detour leads there
    assert registry.look_up("generation", "llm") == ["http://detour:2"]
    assert read(registry.path)["revision"] == read(registry.path_for("generation"))["revision"] == 4
    assert [p.name for p in registry.path.parent.iterdir()] == ["registry.json"]  # nobody who looks around there learns of the detour


def test_a_lie_is_told_to_one_caller_until_it_is_taken_back(tmp_path: Path) -> None:
    registry = RegistryFile(tmp_path)
    for number in (1, 2):
        registry.put("retrieval", f"retrieval-{number}", f"http://r{number}")
    registry.path_for("query")
    registry.path_for("gateway")
    registry.lie("query", "retrieval", ("http://nowhere",))
    registry.lie("query", "retrieval", ("http://nowhere",))
    assert registry.look_up("query", "retrieval") == ["http://nowhere"]
    registry.lie("query", "retrieval", ())
    assert (registry.look_up("query", "retrieval"), registry.look_up("gateway", "retrieval")) == ([], ["http://r1", "http://r2"])
    registry.lie("query", "retrieval", None)
    registry.lie("query", "retrieval", None)
    assert registry.look_up("query", "retrieval") == ["http://r1", "http://r2"]
    assert read(registry.path)["revision"] == 5
    with pytest.raises(StackError, match="what nobody reads cannot be read"):
        registry.look_up("nobody", "retrieval")


def test_configure_returns_what_there_was(tmp_path: Path) -> None:
    registry = RegistryFile(tmp_path)
    previous = registry.configure({"llm_provider": "llm_fallback", "shed_ratio": 0.25})
    assert previous == {"llm_provider": "llm", "shed_ratio": 0.0}
    assert registry.configure(previous) == {"llm_provider": "llm_fallback", "shed_ratio": 0.25}
    registry.increase("cache_epoch")
    assert read(registry.path)["settings"] == {**DEFAULTS, "cache_epoch": 1}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"llm_provider": "other"}, "llm_provider must be llm or llm_fallback, not 'other'"),
        ({"shed_ratio": 1.5}, "shed_ratio must be a number from 0 to 1, not 1.5"),
        ({"shed_ratio": True}, "shed_ratio must be a number from 0 to 1, not True"),
        ({"cache_epoch": -1}, "cache_epoch must be a whole number from 0, not -1"),
        ({"pool_epoch": "1"}, "pool_epoch must be a whole number from 0, not '1'"),
        ({"colour": "red"}, "no setting 'colour'; there are llm_provider, cache_epoch, pool_epoch, shed_ratio"),
    ],
)
def test_a_wrong_setting_changes_nothing(tmp_path: Path, settings: dict[str, Any], message: str) -> None:
    registry = RegistryFile(tmp_path)
    with pytest.raises(StackError) as raised:
        registry.configure({"cache_epoch": 7, **settings})
    assert str(raised.value) == message
    assert not registry.path.exists()


def test_a_reader_never_sees_a_half_written_file(tmp_path: Path) -> None:
    registry = RegistryFile(tmp_path)
    registry.put("query", "query-0", "http://0")
    done = threading.Event()
    torn: list[str] = []

    def follow() -> None:
        while not done.is_set():
            try:
                read(registry.path)
            except ValueError as error:
                torn.append(str(error))

    reader = threading.Thread(target=follow)
    reader.start()
    for number in range(200):
        registry.put("query", f"query-{number % 40}", f"http://{number}")
    done.set()
    reader.join()
    assert torn == []
