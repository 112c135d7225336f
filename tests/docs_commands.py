"""Every command of the documentation, and who runs it. A command that is missing here fails `tests/test_docs_commands.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Here:
    """Run by the test itself, as it stands, in a copy of what it names; `code` is how it ends."""

    code: int = 0


@dataclass(frozen=True)
class By:
    """Run by another test, with addresses and files of its own: `file::function`."""

    test: str


@dataclass(frozen=True)
class Not:
    """Run by no test, for a reason that the reader of the page would accept."""

    reason: str


LONG = "takes minutes; the nightly scenario table (tests/benchmarks/scenario_table.py) runs it"
TWO_RUNS = (
    "takes two runs; tests/unit/test_comparing.py judges records against a baseline, and tests/e2e/test_cli.py refuses one that is none"
)
TUTORIAL = "tests/e2e/test_tutorial.py::test_the_gate_fails_for_the_reason_that_the_page_gives_and_passes_with_the_fix"
CLUSTER = "wants a Kubernetes cluster, and none is had here: docs/kubernetes.md says that it is not verified on one"
ENGINE = "wants a container engine, and what it builds"

COMMANDS: Mapping[str, Here | By | Not] = {
    # README.md, docs/tutorial.md
    "pipelines/setup": Not("has made the environment in which this test runs"),
    ".venv/bin/gauntlet run scenarios/llm-brownout.yaml": Not(LONG),
    "pipelines/test": Not("is what runs this test"),
    'gauntlet mock llm --fault \'{"type": "rate_limited", "requests_per_s": 1}\'': By(
        "tests/e2e/test_mock_command.py::test_a_real_client_keeps_retry_after"
    ),
    "gauntlet mock report --admin http://127.0.0.1:…": By(
        "tests/e2e/test_mock_command.py::test_every_known_caller_gets_exactly_its_finding"
    ),
    "python3 -m venv .venv": Not("makes an environment, of which the tests have one"),
    ". .venv/bin/activate": Not("is the shell's own"),
    "pip install 'rag-gauntlet[run,mocks]'": Not("installs a release, which a checkout is not"),
    "export GAUNTLET_MOCK_TOKEN=secret OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_API_KEY=nobody": Not("is the shell's own"),
    "gauntlet mock llm --port 8080 --admin-port 8081 --quiet & mock=$!": By(TUTORIAL),
    "python3 app.py 2> app.log & app=$!": By(TUTORIAL),
    'curl --silent --fail --retry 30 --retry-connrefused --retry-delay 1 "http://127.0.0.1:8000/?q=When+is+a+refund+paid"': By(TUTORIAL),
    "gauntlet check gate.yaml": By(TUTORIAL),
    "gauntlet run gate.yaml": By(TUTORIAL),
    "kill $app": Not("is the shell's own"),
    "kill $app $mock": Not("is the shell's own"),
    "python3 -m http.server 8000 --bind 127.0.0.1 &": Not("is Python's own"),
    "gauntlet init mine.yaml --name my-service --url http://127.0.0.1:8000": Here(),
    "gauntlet check mine.yaml": Here(),
    "gauntlet run mine.yaml": By("tests/plugin/test_scenarios.py::test_a_run_from_a_test_and_its_checks_as_tests"),
    # docs/agent.md
    "gauntlet run on-call.yaml": By("tests/unit/inbox/test_agent_example.py::test_it_names_what_does_not_answer_and_restarts_it_once"),
    # docs/compare.md
    "gauntlet run scenarios/compare-versions.yaml": Not(LONG),
    "gauntlet compare BASE CANDIDATE": Here(3),
    "gauntlet run FILE --baseline RUN": Not(TWO_RUNS),
    "gauntlet compare base.json candidate.json": Here(3),
    "gauntlet baseline set RUN": Here(),
    "gauntlet baseline list": Here(),
    "gauntlet run FILE --baseline stored": Not(TWO_RUNS),
    "gauntlet compare stored CANDIDATE": Here(3),
    # docs/compose.md
    "gauntlet check shop.yaml": Here(),
    "gauntlet run shop.yaml": By("tests/e2e/test_foreign_stack.py::test_a_run_on_it_passes_and_leaves_nothing"),
    # docs/containers.md, docs/mocks.md
    "gauntlet images build": By("tests/e2e/test_images.py::test_what_is_unchanged_is_not_built_again"),
    "gauntlet images build --only chroma": By("tests/e2e/test_images.py::test_chroma_answers"),
    "gauntlet images build --only services": By("tests/e2e/test_images.py::test_what_is_unchanged_is_not_built_again"),
    "gauntlet images list": Not(ENGINE),
    "gauntlet images prune": Not(ENGINE),
    "docker compose -f mocks/rag/deploy/compose.yaml up -d": By("tests/e2e/test_compose.py::test_it_comes_up_answers_alerts_and_goes"),
    "docker compose -f mocks/rag/deploy/compose.yaml run --rm credentials mocks.rag.credentials /run/rag --show api_key": By(
        "tests/e2e/test_compose.py::test_it_comes_up_answers_alerts_and_goes"
    ),
    'curl -k https://127.0.0.1:8443/api/ask -H "authorization: Bearer rk-…" -H "content-type: application/json" '
    '-d \'{"question": "What does json.loads do?"}\'': By("tests/e2e/test_compose.py::test_it_comes_up_answers_alerts_and_goes"),
    "docker compose -f mocks/rag/deploy/compose.yaml down --volumes": By(
        "tests/e2e/test_compose.py::test_it_comes_up_answers_alerts_and_goes"
    ),
    "docker run --rm -p 127.0.0.1:8080:8080 rag-gauntlet/services": By(
        "tests/e2e/test_mock_image.py::test_the_provider_answers_breaks_and_stops_in_order"
    ),
    "docker run --rm -p 127.0.0.1:6333:8080 -p 127.0.0.1:8081:8081 -e ADMIN_PORT=8081 -e ADMIN_TOKEN=secret "
    "rag-gauntlet/services mocks.vector qdrant": By("tests/e2e/test_mock_image.py::test_the_vector_stores_answer"),
    "gauntlet mock llm": By("tests/e2e/test_mock_command.py::test_a_signal_ends_it_in_order"),
    'gauntlet mock llm --fault \'{"type": "rate_limited", "requests_per_s": 2, "burst": 2}\'': By(
        "tests/e2e/test_mock_command.py::test_a_real_client_keeps_retry_after"
    ),
    'gauntlet mock llm --fault \'{"type": "stream_no_finish", "every": 5}\' '
    '--fault \'{"type": "server_error", "first": 2, "count": "request"}\'': By(
        "tests/e2e/test_mock_command.py::test_every_known_caller_gets_exactly_its_finding"
    ),
    "export GAUNTLET_MOCK_TOKEN=secret": Not("is the shell's own"),
    'gauntlet mock llm --admin-port 8081 --fault \'{"type": "rate_limited", "requests_per_s": 1}\'': By(
        "tests/e2e/test_mock_command.py::test_the_token_is_in_no_process_list"
    ),
    "gauntlet mock report --admin http://127.0.0.1:8081": By(
        "tests/e2e/test_mock_command.py::test_every_known_caller_gets_exactly_its_finding"
    ),
    'curl -X PUT localhost:9091/admin/faults/leak -H "Authorization: Bearer $ADMIN_TOKEN" '
    '-d \'{"type": "other_tenant", "key": "tenant", "probability": 0.1}\'': By(
        "tests/integration/test_mock_vector_faults.py::test_a_fault_bites_is_counted_and_leaves_no_trace"
    ),
    # docs/detect.md, docs/diagnose.md
    "gauntlet detect latency.csv --timestamp-col time --value-col p95_ms --out scored.csv": Here(),
    'gauntlet diagnose --metrics incident.csv --graph calls.json --onset "2026-01-31 12:00:00" --slo gateway/latency-90 --json': Here(),
    # docs/kubernetes.md
    "python -m mocks.rag.credentials secrets": By("tests/unit/test_deployment_secrets.py::test_they_are_made_once"),
    "kubectl create namespace rag": Not(CLUSTER),
    "kubectl --namespace rag create secret generic rag-secrets --from-file=secrets": Not(CLUSTER),
    "gauntlet kubernetes render --images registry.example/rag/{image}:latest --replicas retrieval=3": Here(),
    "kubectl apply --filename -": Not(CLUSTER),
    "kubectl --namespace rag port-forward service/public 8080:80": Not(CLUSTER),
    # docs/load.md
    "GAUNTLET_WORKER_TOKEN=… gauntlet load worker 10.0.0.5:5557": By(
        "tests/e2e/test_load_workers.py::test_a_worker_with_another_clock_is_recorded_on_ours"
    ),
    # docs/openslo.md
    "gauntlet openslo import slos.yaml --phase fault --map checkout-latency=latency:ms --map search-quality=recall_at_5": Here(),
    # docs/replay.md
    "gauntlet run scenarios/llm-brownout.yaml --out runs": Not(LONG),
    "gauntlet replay runs/llm-brownout/20260101T120000Z-0123abc": By(
        "tests/unit/replay/test_replay.py::test_the_command_gives_the_same_bytes_twice"
    ),
    "gauntlet run scenarios/*.yaml --out runs": Not(LONG),
    "gauntlet mutate runs/llm-brownout/… runs/cache-down/… runs/retrieval-replica-killed/…": By(
        "tests/unit/replay/test_mutation.py::test_the_command_lists_survivors_and_fails_below_the_score"
    ),
    # docs/swarm.md
    "pipelines/swarm --heartbeat 1s up": By("tests/e2e/test_swarm.py::test_engines_end_with_whoever_holds_them_and_leave_nothing"),
    "gauntlet run scenarios/swarm-node-lost.yaml": By(
        "tests/e2e/test_swarm.py::test_a_lost_node_is_detected_diagnosed_and_survived_and_comes_back"
    ),
    "pipelines/swarm kill b": By("tests/e2e/test_swarm.py::test_a_lost_node_is_detected_diagnosed_and_survived_and_comes_back"),
    "pipelines/swarm down": By("tests/e2e/test_swarm.py::test_engines_end_with_whoever_holds_them_and_leave_nothing"),
    # docs/watch.md
    "gauntlet watch STACK.yaml": By("tests/e2e/test_watch.py::test_a_watch_until_a_signal"),
    "gauntlet health STACK.yaml": By("tests/e2e/test_watch.py::test_health_of_a_deployment"),
    "gauntlet logs analyze logs/": Here(),
    # docs/write-your-own-fault.md
    "python -m harness.faults.proxy --listen 127.0.0.1:7000 --upstream 127.0.0.1:5432 --admin 127.0.0.1:7001 --token secret": By(
        "tests/e2e/test_proxy.py::test_a_hundred_milliseconds_are_a_hundred_milliseconds"
    ),
    'curl -X PUT -H \'Authorization: Bearer secret\' -d \'{"type": "latency", "delay_s": 0.3, "direction": "downstream"}\' '
    "127.0.0.1:7001/faults/slow": By("tests/e2e/test_proxy.py::test_a_hundred_milliseconds_are_a_hundred_milliseconds"),
    "curl -H 'Authorization: Bearer secret' 127.0.0.1:7001/faults": By(
        "tests/e2e/test_proxy.py::test_a_hundred_milliseconds_are_a_hundred_milliseconds"
    ),
    'pytest tests/contract/test_faults.py -m "not e2e" -k process.slow': Not("names the fault that the page has the reader write"),
    # docs/audit.md
    "gauntlet audit compose.yaml": By("tests/unit/audit/test_review.py::test_exit_codes_by_level"),
    "gauntlet audit deploy/ --strict --sarif audit.sarif": By("tests/unit/audit/test_review.py::test_json_and_sarif"),
    # docs/report.md, docs/gameday.md
    "gauntlet diff A B": Here(),
    "gauntlet diff A B --json": Here(),
    "gauntlet compare BASE CANDIDATE --html comparison.html": Here(3),
    "gauntlet gameday scenarios/llm-brownout.yaml": By("tests/browser/test_gameday_page.py::test_a_whole_game_day"),
    # docs/deploy.md, docs/environments.md
    "gauntlet deploy up shop.yaml": By("tests/e2e/test_deploy.py::test_a_good_version_is_promoted_and_no_request_is_lost"),
    "gauntlet deploy blue-green shop.yaml": By("tests/e2e/test_deploy.py::test_a_good_version_is_promoted_and_no_request_is_lost"),
    "gauntlet deploy status shop": By("tests/e2e/test_deploy.py::test_a_good_version_is_promoted_and_no_request_is_lost"),
    "gauntlet deploy down shop": By("tests/e2e/test_deploy.py::test_a_good_version_is_promoted_and_no_request_is_lost"),
    "gauntlet judge runs/shop/…": By("tests/e2e/test_deploy.py::test_a_good_version_is_promoted_and_no_request_is_lost"),
    "gauntlet config check": By("tests/unit/environments/test_environments.py::test_the_commands_say_the_same"),
    "gauntlet config show production": By("tests/unit/environments/test_environments.py::test_the_commands_say_the_same"),
    "gauntlet config diff staging production": By("tests/unit/environments/test_environments.py::test_the_commands_say_the_same"),
    "gauntlet config up staging": By("tests/e2e/test_deploy_drill.py::test_a_backup_is_restored_and_what_it_lacks_is_counted"),
    "gauntlet config deploy staging": By(
        "tests/unit/environments/test_environments.py::test_an_environment_is_deployed_by_its_strategy_with_its_settings_and_secrets_apart"
    ),
    "gauntlet config backup staging --out FOLDER": By(
        "tests/e2e/test_deploy_drill.py::test_a_backup_is_restored_and_what_it_lacks_is_counted"
    ),
    "gauntlet config drill staging FOLDER": By("tests/e2e/test_deploy_drill.py::test_a_backup_is_restored_and_what_it_lacks_is_counted"),
    # docs/pipeline.md
    "gauntlet pipeline check pipelines/release.yaml": Here(),
    "gauntlet pipeline run pipelines/release.yaml": Not("takes up to half an hour; what it does at each stage is tested by itself"),
    "gauntlet pipeline run pipelines/release.yaml --resume": By(
        "tests/integration/test_pipeline.py::test_what_is_killed_can_be_read_and_resumed"
    ),
    "gauntlet pipeline show RUN": By("tests/integration/test_pipeline.py::test_what_is_killed_can_be_read_and_resumed"),
    # docs/replay.md
    "gauntlet mutate --live runs/llm-brownout/… runs/cache-down/…": Not("takes one run for each strategy that was used"),
    # docs/pytest.md, docs/ci.md
    "pip install 'rag-gauntlet[pytest]'": Not("installs a release, which a checkout is not"),
    "pip install 'rag-gauntlet[all]'": Not("installs a release, likewise"),
    "pytest --gauntlet-scenario scenarios/llm-brownout.yaml": By(
        "tests/plugin/test_scenarios.py::test_a_run_from_a_test_and_its_checks_as_tests"
    ),
    "gauntlet judge RUN --github summary.md": Here(3),  # the record in the tests is of such a run
    "gauntlet check scenarios/*.yaml": Here(),
    "gauntlet run scenarios/llm-brownout.yaml --out gauntlet-runs": Not(LONG),
}
