"""What the command makes of files and folders: names, exit codes, JSON, SARIF; and what ships with the project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.audit.known import Image, interpolated, product
from harness.audit.review import review
from harness.cli import cli

ROOT = Path(__file__).resolve().parents[3]
FINE = """services:
  db-1: &db
    image: postgres:16
    environment: {POSTGRES_PASSWORD_FILE: /run/p}
    volumes: ["db:/var/lib/postgresql/data"]
    restart: always
    read_only: true
    stop_grace_period: 30s
    security_opt: ["no-new-privileges:true"]
    ulimits: {nofile: 65536}
    logging: {driver: local}
    healthcheck: {test: pg_isready}
    deploy: {resources: {limits: {cpus: "1", memory: 1G, pids: 100}}}
  db-2: *db
"""


def audit(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["audit", *map(str, arguments)])


def test_what_ships_has_no_errors() -> None:
    found = review([ROOT / "mocks" / "rag" / "deploy"], ROOT)
    assert found.reviewed == ("mocks/rag/deploy/compose.yaml", "mocks/rag/deploy/kubernetes/rag.yaml")
    assert [str(finding) for finding in found.findings if finding.level == "error" or finding.rule.startswith("audit.")] == []


def test_a_file_without_findings_passes(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(FINE)
    done = audit(tmp_path, "--strict")
    assert (done.exit_code, done.stderr) == (0, "PASS: 1 reviewed: no findings\n")


@pytest.mark.parametrize(
    ("change", "plain", "strict"),
    [(("16", "latest"), 0, 1), (("restart: always", "privileged: true"), 1, 1), (("read_only: true", "tty: true"), 0, 0)],
)
def test_exit_codes_by_level(change: tuple[str, str], plain: int, strict: int, tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(FINE.replace(*change))
    assert (audit(tmp_path).exit_code, audit(tmp_path, "--strict").exit_code) == (plain, strict)


@pytest.mark.parametrize("text", ["", "a: 1\n", "services: {}\n", "services: [a]\n", "openapi: 3.1.0\nservices: {a: {}}\n"])
def test_nothing_to_review_is_inconclusive(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(text)
    for path in (tmp_path, tmp_path / "other.yaml"):
        done = audit(path)
        assert done.exit_code == 3 and "INCONCLUSIVE: nothing to review in" in done.stderr


def test_unreadable_input_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [\n")
    cases = (([tmp_path], "broken.yaml:2:1: invalid YAML"), ([tmp_path / "absent.yaml"], "cannot be read"), ([], "nothing to review"))
    for arguments, said in cases:
        done = audit(*arguments)
        assert done.exit_code == 2 and said in done.stderr and "Traceback" not in done.stderr


def test_json_and_sarif(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").write_text(FINE.replace("restart: always", "privileged: true"))
    done = audit(tmp_path / "compose.yaml", "--json", "--sarif", tmp_path / "out.sarif")
    document = json.loads(done.stdout)
    assert (document["verdict"], document["exit_code"]) == ("FAIL", 1)
    places = [(f["rule"], f["line"], f["column"]) for f in document["findings"]]
    assert places == [("compose.privileged", 6, 5), ("compose.no_restart", 2, 3), ("compose.no_restart", 14, 3)]
    (run,) = json.loads((tmp_path / "out.sarif").read_text())["runs"]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "warning"]
    assert done.stderr.startswith(f"{tmp_path}/compose.yaml:6:5: error: db-1, db-2: runs privileged [compose.privileged]")


def test_a_folder_is_one_deployment(tmp_path: Path) -> None:
    """A Service in one file finds its pods in another; what a List holds counts; hidden folders do not."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_text("a: [\n")
    service = "{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {selector: {a: b}}}"
    (tmp_path / "a.yml").write_text(f"apiVersion: v1\nkind: List\nitems:\n- {service}\n")
    alone = review([tmp_path / "a.yml"], tmp_path)
    assert [finding.rule for finding in alone.findings] == ["kubernetes.service_without_pods"]
    pod = "{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {a: b}}, spec: {containers: [{name: c, image: 'a:1'}]}}"
    (tmp_path / "b.yaml").write_text(pod)
    together = review([tmp_path], tmp_path)
    assert together.reviewed == ("a.yml", "b.yaml")
    assert "kubernetes.service_without_pods" not in {finding.rule for finding in together.findings}


def test_the_rules_explain_themselves() -> None:
    told = json.loads(audit("--rules", "--json").stdout)
    assert len(told) > 70 and all(one["instead"] and one["help"].endswith(".") for one in told.values())


@pytest.mark.parametrize(
    ("text", "plain"),
    [("${A}", ""), ("$A/x", "/x"), ("${A:-b}:c", "b:c"), ("${A-${B:-d}}", "d"), ("$${A}", "${A}"), ("${A:?no}", ""), ("a$$b", "a$b")],
)
def test_interpolation(text: str, plain: str) -> None:
    assert interpolated(text) == plain


@pytest.mark.parametrize(
    ("image", "service", "known"),
    [
        ("reg:5000/x/postgres:16@sha256:ab", "", "postgres"), ("bitnami/postgresql", "", "postgresql"), ("", "redis", "redis"),
        ("my-redis:1", "", "redis"),
        ("prom/redis-exporter", "", ""), ("team/app", "postgres", ""), ("grafana/grafana", "", "grafana"), ("postgres-backup:1", "", ""),
    ],
)  # fmt: skip
def test_products_are_known_by_their_images(image: str, service: str, known: str) -> None:
    assert product(Image(image), service) == known
