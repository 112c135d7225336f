"""Files that services follow, and the in-process cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from mocks.rag.common.addresses import Addresses
from mocks.rag.common.config import ConfigError, ServiceConfig
from mocks.rag.common.keys import ApiKey, KeyStore, Plan
from mocks.rag.common.lru import LruCache
from mocks.rag.common.registry import Instance, Registry
from tests.unit.mocks_common.stub_server import until, write_registry


def test_registry_gives_instances_and_settings(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    path.write_text(
        json.dumps(
            {
                "revision": 3,
                "services": {"svc": [{"name": "svc-1", "url": "http://h:1/", "weight": 2}, {"name": "svc-2", "url": "http://h:2"}]},
                "settings": {"shed_ratio": 0.5},
            }
        )
    )
    registry = Registry(path)
    assert registry.instances("svc") == [Instance("svc-1", "http://h:1", 2.0), Instance("svc-2", "http://h:2", 1.0)]
    assert registry.instances("other") == []
    assert (registry.setting("shed_ratio", 0.0), registry.setting("cache_epoch", 7), registry.revision) == (0.5, 7, 3)


def test_a_name_may_stand_for_every_address_it_has(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    names = {"svc": [{"name": "svc", "url": "http://svc:8080", "every_address": True}], "one": [{"name": "one-1", "url": "http://one:1"}]}
    path.write_text(json.dumps({"services": names}))
    answers: list[list[str] | OSError] = [
        ["10.0.0.2", "10.0.0.3"],
        OSError("no such name"),
        ["10.0.0.3", "fd00::4"],
        ["10.0.0.3", "fd00::4"],
    ]
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    async def scenario() -> None:
        registry = Registry(path, addresses=Addresses(resolve))
        changes: list[list[str]] = []
        registry.on_change(lambda: changes.append([one.url for one in registry.instances("svc")]))
        assert registry.instances("svc") == [], "nobody has been asked yet"
        assert await registry.look_up()
        assert registry.instances("svc") == [
            Instance("svc@10.0.0.2", "http://10.0.0.2:8080"),
            Instance("svc@10.0.0.3", "http://10.0.0.3:8080"),
        ]
        assert not await registry.look_up(), "a name that is not known for a moment keeps what it had"
        assert await registry.look_up()
        assert not await registry.look_up()
        assert [one.url for one in registry.instances("svc")] == ["http://10.0.0.3:8080", "http://[fd00::4]:8080"]
        assert len(changes) == 2 and changes[-1] == ["http://10.0.0.3:8080", "http://[fd00::4]:8080"]
        assert registry.instances("one") == [Instance("one-1", "http://one:1")]
        assert set(asked) == {("svc", 8080)}, "others are what they say"

    asyncio.run(scenario())


def test_a_name_is_looked_up_as_the_system_does(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    path.write_text(json.dumps({"services": {"svc": [{"name": "svc", "url": "http://localhost:8080", "every_address": True}]}}))

    async def scenario() -> list[str]:
        registry = Registry(path)
        await registry.start()
        await registry.stop()
        return [one.url for one in registry.instances("svc")]

    assert "http://127.0.0.1:8080" in asyncio.run(scenario())


TWINS = [{"name": "x", "url": "http://x"}, {"name": "x", "url": "http://y"}]


@pytest.mark.parametrize(
    "broken",
    [
        "",
        '{"services": {"svc": [',
        "[]",
        '{"services": {"svc": [{"name": "x"}]}}',
        json.dumps({"services": {"svc": TWINS}}),
        *(json.dumps({"services": {"svc": [{"name": "x", "url": "http://x", "weight": weight}]}}) for weight in (0, -1, float("nan"))),
        *(
            json.dumps({"services": {}, "settings": settings})
            for settings in (
                {"cache_epoch": None},
                {"pool_epoch": "2"},
                {"shed_ratio": 1.5},
                {"shed_ratio": "half"},
                {"balancing": "weighted"},
                {"balancing": {"svc": "fastest"}},
            )
        ),
        None,
    ],
)
def test_registry_keeps_the_last_good_content(tmp_path: Path, broken: str | None) -> None:
    path = tmp_path / "registry.json"
    write_registry(path, {"svc": ["http://a"]})
    registry = Registry(path)
    if broken is None:
        path.unlink()
    else:
        path.write_text(broken)
    assert not registry.reload()
    assert registry.instances("svc") == [Instance("svc-1", "http://a")]
    write_registry(path, {"svc": ["http://b"]})
    assert registry.reload()
    assert registry.instances("svc") == [Instance("svc-1", "http://b")]


def test_registry_without_a_file_is_empty_until_it_appears(tmp_path: Path) -> None:
    assert Registry(None).instances("svc") == []
    registry = Registry(tmp_path / "registry.json")
    assert registry.instances("svc") == []
    write_registry(tmp_path / "registry.json", {"svc": ["http://a"]})
    assert registry.reload()
    assert len(registry.instances("svc")) == 1


def test_registry_notices_a_change_by_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "registry.json"
        write_registry(path, {"svc": ["http://a"]})
        registry = Registry(path)
        changes: list[int] = []
        registry.on_change(lambda: changes.append(registry.revision))
        await registry.start()
        write_registry(path, {"svc": ["http://b"]}, revision=2)
        await until(lambda: changes == [2], "the change", deadline_s=60.0)
        await registry.stop()

    asyncio.run(scenario())


def test_cache_counts_evicts_and_forgets(tmp_path: Path) -> None:
    path = tmp_path / "registry.json"
    write_registry(path, {}, cache_epoch=1)
    registry = Registry(path)
    cache: LruCache[str, int] = LruCache("lru-test", max_entries=2, ttl_s=60, registry=registry)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)
    looked_up = {"cache": "lru-test", "tier": "memory"}
    counts = {result: REGISTRY.get_sample_value("rag_cache_requests_total", {**looked_up, "result": result}) for result in ("hit", "miss")}
    assert counts == {"hit": 3, "miss": 1}
    write_registry(path, {"svc": ["http://a"]}, cache_epoch=1)
    registry.reload()
    assert cache.get("a") == 1
    write_registry(path, {}, cache_epoch=2)
    registry.reload()
    assert cache.get("a") is None


PLANS = {"small": {"burst_per_s": 1, "per_minute": 2, "per_hour": 3}}


def write_keys(path: Path, *ids: str, plan: str = "small") -> None:
    keys = [
        {"id": one, "sha256": hashlib.sha256(f"secret-{one}".encode()).hexdigest(), "client": f"client-{one}", "plan": plan} for one in ids
    ]
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps({"keys": keys, "plans": PLANS}))
    draft.replace(path)


def test_keys_are_found_by_token_and_followed(tmp_path: Path) -> None:
    now_s = 0.0
    path = tmp_path / "keys.json"
    write_keys(path, "a", "b")
    store = KeyStore(path, clock=lambda: now_s)
    assert store.find_by_token("secret-a") == ApiKey("a", "client-a", frozenset(), "small")
    assert store.find_by_token("a") is None
    assert store.plan("small") == Plan(1, 2, 3)
    write_keys(path, "b")
    assert store.find_by_id("a") is not None
    now_s = 1.0
    assert store.find_by_id("a") is None
    path.write_text("{")
    now_s = 2.0
    assert store.find_by_token("secret-b") is not None


@pytest.mark.parametrize("content", ["", "{}", '{"keys": [{"id": "a"}], "plans": {}}'])
def test_unusable_keys_file_is_refused_at_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"KEYS_FILE .*keys\.json"):
        KeyStore(path)


def test_key_of_an_unknown_plan_is_refused(tmp_path: Path) -> None:
    write_keys(tmp_path / "keys.json", "a", plan="huge")
    with pytest.raises(ConfigError, match="unknown plan 'huge'"):
        KeyStore(tmp_path / "keys.json")


def test_service_config(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOST", "PORT", "INSTANCE", "VERSION", "REGISTRY_FILE", "LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="PORT is not set"):
        ServiceConfig.from_env("svc")
    monkeypatch.setenv("PORT", "70000")
    with pytest.raises(ConfigError, match="PORT must be a number from 1 to 65535"):
        ServiceConfig.from_env("svc")
    monkeypatch.setenv("PORT", "4001")
    assert ServiceConfig.from_env("svc") == ServiceConfig("svc", "svc-1", "1.0.0", "127.0.0.1", 4001, None, "info")
    monkeypatch.setenv("REGISTRY_FILE", "/r.json")
    monkeypatch.setenv("INSTANCE", "svc-2")
    config = ServiceConfig.from_env("svc")
    assert (config.instance, config.registry_file) == ("svc-2", Path("/r.json"))
