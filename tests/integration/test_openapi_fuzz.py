"""schemathesis, an independent fuzzer, against the mock provider: what it makes of the description that the provider serves itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.environments import python_of
from tests.integration.llm_process import LlmProcess

pytestmark = [pytest.mark.e2e, pytest.mark.beside, pytest.mark.timeout(240)]

KEY = "sk-test"
SEED, EXAMPLES = 20_260, 30  # of each operation, beside the thousands that cover its schema value by value
NO_ANSWER_S = 10.0  # on a crowded machine; the slowest answer of all takes a few milliseconds
LEAST_REQUESTS = 3_000
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
]
"""All but `positive_data_acceptance`: like the providers, the mock has rules that no schema tells (of two fields, only one)."""


def test_malformed_requests_get_the_errors_of_the_description(tmp_path: Path) -> None:
    """No 5xx, nothing without an answer, every answer as its schema says, every wrong request refused, nothing without a key."""
    fuzzer = python_of("fuzz").with_name("st")
    process = LlmProcess(tmp_path, profile={"ttft_ms": 0, "itl_ms": 0, "api_keys": [KEY]})
    try:
        command = [str(fuzzer), "run", f"{process.url}/openapi.json", "--phases", "coverage,fuzzing", "--checks", ",".join(CHECKS)]
        drawn = ["--seed", str(SEED), "--max-examples", str(EXAMPLES), "--generation-database", "none"]
        keys = [f"--header={name}: {value}" for name, value in {"Authorization": f"Bearer {KEY}", "api-key": KEY, "x-api-key": KEY}.items()]
        options = ["--request-timeout", str(NO_ANSWER_S), "--continue-on-failure", "--no-color", "--warnings", "off"]
        done = subprocess.run([*command, *drawn, *keys, *options], capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{done.stdout[-8_000:]}\n{done.stderr[-2_000:]}"
        rows = process.journal(limit=100_000)
        assert len(rows) >= LEAST_REQUESTS
        assert {row["status"] // 100 for row in rows} == {2, 4}
        assert {row["ending"] for row in rows} == {"complete"}
        assert "Traceback" not in process.logged(), process.logged()[-2_000:]
    finally:
        process.close()
