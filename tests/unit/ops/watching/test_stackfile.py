"""A STACK.yaml: what may stand there, and how what may not is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from harness.lifecycle.oncall import inbox_document
from harness.ops.stackfile.loading import StackFileError, load_stack, stack_of_text
from harness.ops.stackfile.model import Health, Service, StackDocument
from harness.ops.targets import load_targets
from harness.stack.topology import topology

WHOLE = """
name: shop
services:
  gateway: {url: "http://127.0.0.1:8000/", metrics: null, calls: [retrieval, llm]}
  retrieval: {urls: ["http://127.0.0.1:8001", "http://127.0.0.1:8002"], calls: [postgres]}
  postgres: {kind: postgres, url_env: DATABASE_URL}
  llm: {kind: llm, url: "https://llm.example/v1", health: {models: [a, b], key_env: KEY}}
edges: [[gateway, retrieval]]
claims: {alerts: "http://127.0.0.1:9093/hook"}
token_env: TOKEN
limits: {cpu: "<= 70%"}
detectors: {"*/response_time": ensemble, "host/cpu": ewma}
"""
ENVIRONMENT = {"DATABASE_URL": "postgresql://u:pw@127.0.0.1/db", "TOKEN": "secret"}


def test_a_deployment_as_its_team_describes_it() -> None:
    found = stack_of_text(WHOLE, "STACK.yaml", ENVIRONMENT)
    targets = found.targets
    assert [(e.instance, e.url, e.metrics) for e in targets.endpoints()] == [
        ("gateway-1", "http://127.0.0.1:8000", None),
        ("retrieval-1", "http://127.0.0.1:8001", "http://127.0.0.1:8001/metrics"),
        ("retrieval-2", "http://127.0.0.1:8002", "http://127.0.0.1:8002/metrics"),
        ("postgres-1", "postgresql://u:pw@127.0.0.1/db", None),
        ("llm-1", "https://llm.example/v1", "https://llm.example/v1/metrics"),
    ]
    assert targets.edges == (("gateway", "retrieval"), ("gateway", "llm"), ("retrieval", "postgres"))
    assert (targets.token, targets.claims, found.dry) == ("secret", {"alerts": "http://127.0.0.1:9093/hook"}, True)
    assert found.health_of("llm").models == ["a", "b"]


def test_what_a_run_tells_its_operator_is_a_stack_file_too(tmp_path: Path) -> None:
    """One format: a targets.yaml of any run can be watched."""
    path = tmp_path / "targets.yaml"
    document = {
        **topology("qdrant", tls=True).targets(tmp_path / "registry.json", lambda service: [f"{service[:5]}ql://127.0.0.1:1/x"]),
        "client": {"metrics": "http://127.0.0.1:1/metrics"},
        "slos": {"latency_p95": "<= 800ms"},
        "time_scale": 2.0,
        "trusted": str(tmp_path / "authority.pem"),
        **inbox_document("http://127.0.0.1:1", "token"),
    }
    engines = {"postgres": ["postgresql://127.0.0.1:1/x"], "cache": ["redis://127.0.0.1:1/0"]}
    document["static"] = {**engines, "ingress": ["https://127.0.0.1:1"]}
    path.write_text(yaml.safe_dump(document), encoding="utf-8")
    found = load_stack(path)
    assert found.targets == load_targets(path)
    assert not found.dry


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"S:1:1: the file is empty; write `services:`"),
        ("- a", r"S:1:1: a STACK.yaml is a mapping"),
        ("services: {}", r"S:1:11: services has 0 entries; write at least 1"),
        ("services:\n  a: {ul: x}", r"S:2:7: unknown key 'ul'; did you mean 'url'\?"),
        ("services:\n  a: {kind: htp, url: 'http://a'}", r"S:2:13: 'htp' is not known here; did you mean 'http'\?"),
        ("services:\n  a: {}", r"S:2:6: nothing says where a is; write its url"),
        ("services:\n  a: {url: 'ftp://u:pw@a'}", r"S:2:12: 'ftp://u:…@a' is no address of kind http; write http://"),
        ("services:\n  a: {kind: redis, url: 'http://a'}", r"S:2:25: 'http://a' is no address of kind redis; write redis://"),
        ("services:\n  a: {url: 'http://a', calls: [b]}", r"S:2:32: there is no service 'b'; write one of a"),
        ("services:\n  a: {url: 'http://a', urls: ['http://b']}", r"S:2:6: url and urls both say where the service is; keep one"),
        ("services:\n  a: {url_env: NOPE}", r"S:2:16: the variable NOPE is not set; set it before the start"),
        ("services:\n  a: {url: 'http://a'}\nedges: [[a, c]]", r"S:3:13: there is no service 'c'"),
        ("services:\n  a: {url: 'http://a'}\nlimits: {cpu: '>= 5%'}", r"S:3:9: '>= 5%' is no limit of cpu; write it like '<= 80%'"),
        ("services:\n  a: {url: 'http://a'}\nlimits: {cpux: '<= 5%'}", r"S:3:9: there is no key metric 'cpux'; did you mean 'cpu'\?"),
        ("services:\n  a: {url: 'http://a'}\ndetectors: {'*/x': nope}", r"S:3:20: there is no detector 'nope'; write one of"),
        ("services:\n  a: {url: 'http://a'}\ndetectors: {cpu: ewma}", r"S:3:18: 'cpu' names no reading; write SERVICE/READING"),
        ("services:\n  a: {url: 'http://a', health: {headers: {x: 'y ${NO}'}}}", r"the variable NO is not set"),
        ("services: [", r"S:\d:\d+: invalid YAML"),
        ("services:\n  a: {url: 'http://a'}\nclaims: {alerts: here}", r"S:3:18: 'here' is no URL of HTTP; write http://host:port/path"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_column(text: str, told: str) -> None:
    with pytest.raises(StackFileError) as refused:
        stack_of_text(text, "S", {})
    assert re.search(told, str(refused.value)), str(refused.value)


def test_several_problems_are_told_at_once_and_no_password(tmp_path: Path) -> None:
    with pytest.raises(StackFileError) as refused:
        stack_of_text("services:\n  b: {calls: [x, y], url: 'x://u:hunter2@h'}\n  a: {}", "S", {})
    assert [(p.line, p.column) for p in refused.value.problems] == [(2, 15), (2, 18), (2, 27), (3, 6)]
    assert "hunter2" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"services:\n  \xff: {}")
    (tmp_path / "huge.yaml").write_bytes(b"#" * (1 << 20) + b"\n")
    for name, told in (
        ("absent.yaml", "No such file"),
        (".", "Is a directory"),
        ("latin.yaml", ":2:1: byte 12 is not UTF-8"),
        ("huge.yaml", "larger"),
    ):
        with pytest.raises(StackFileError, match=told):
            load_stack(tmp_path / name)


def test_the_example_of_the_page_is_one() -> None:
    page = (Path(__file__).parents[4] / "docs" / "watch.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    found = stack_of_text(example, "docs/watch.md", {"DATABASE_URL": "postgresql://127.0.0.1/x"})
    assert len(found.document.services) == 8 and found.dry
    keys = [key for model in (StackDocument, Service, Health) for key in model.model_fields]
    assert not [key for key in keys if f"`{key}`" not in page and f"{key}:" not in page]
