"""Faults in mocks, from tests of an application that knows nothing of them."""

from __future__ import annotations

import pytest

from tests.plugin.conftest import RELEASES, Session

pytest_plugins = ["pytester"]

BITES = """
import os, socket
from urllib.parse import urlsplit
import pytest
from asking import ask

def test_a_share_of_the_requests_is_refused(mock_llm, inject):
    assert ask() == 200
    with inject("llm.rate_limited", ratio=0.2) as fault:
        seen = [ask(f"question {n}") for n in range(60)]
        assert fault.hits == seen.count(429)
    assert 3 <= seen.count(429) <= 26 and seen.count(200) == 60 - seen.count(429)
    assert ask() == 200
    assert [row.status for row in mock_llm.requests] == [200, *seen, 200]
    assert {row.user_agent for row in mock_llm.requests} == {"app"}

def test_only_the_first_is_hit_and_it_is_the_tests_own(inject):
    with inject("llm.server_error", first=1):
        assert [ask(f"{n}") for n in range(3)] == [500, 200, 200]

def test_two_at_once(inject):
    with inject("llm.server_error", first=1), inject("llm.rate_limited", ratio=1, after=1):
        assert [ask(f"{n}") for n in range(3)] == [500, 200, 429]  # a request that is refused already is none for the second

def test_whom_it_keeps_out_is_known_from_before(inject, mock_llm):
    ask()
    with inject("llm.connection_refused"), pytest.raises(ConnectionRefusedError):
        ask()
    assert ask() == 200

def test_a_store(inject, mock_qdrant):
    import http.client, json
    def listed():
        url = urlsplit(os.environ["QDRANT_URL"])
        client = http.client.HTTPConnection(url.hostname, url.port)
        client.request("GET", "/collections")
        return client.getresponse().status
    with inject("vector.service_error"):
        assert listed() >= 500
    assert listed() == 200 and len(mock_qdrant.requests) == 2

def test_nothing_is_left():
    assert "OPENAI_BASE_URL" not in os.environ and "QDRANT_URL" not in os.environ
"""

PROVES_NOTHING = """
import pytest
from asking import ask

def test_nobody_asks(inject):
    with inject("llm.rate_limited", ratio=0.2):
        pass

def test_nobody_is_hit(inject, mock_llm):
    with inject("llm.server_error", ratio=0.0001):
        ask()

def test_what_fails_under_a_fault_that_did_not_bite(inject, mock_llm):
    with inject("llm.server_error", ratio=0.0001):
        assert ask() == 500

def test_nobody_known_is_kept_out(inject, mock_llm):
    with inject("llm.connection_refused"), pytest.raises(ConnectionRefusedError):
        ask()

def test_a_word_too_few(inject):
    with inject("llm.rate_limted"):
        ask()

def test_a_parameter_too_many(inject):
    with inject("llm.server_error", frst=1):
        ask()

def test_a_value_that_is_none(inject):
    with inject("llm.server_error", ratio=1.5):
        ask()

def test_without_a_target(inject):
    with inject("process.kill"):
        pass

def test_which_store(inject):
    with inject("vector.service_error"):
        pass

def test_it_is_the_application_that_fails(inject, mock_llm):
    with inject("llm.server_error", first=1):
        assert ask() == 200

def test_skipped_is_skipped(inject, mock_llm):
    with inject("llm.server_error"):
        pytest.skip("not today")

def test_and_the_next_one_meets_no_fault(mock_llm):
    assert ask() == 200 and len(mock_llm.requests) == 1
"""


def test_faults_bite_and_are_gone(session: Session) -> None:
    session(test_it=BITES).assert_outcomes(passed=6)


def test_what_proves_nothing_is_an_error_that_says_why(session: Session, pytester: pytest.Pytester) -> None:
    ended = session("--junitxml=junit.xml", test_it=PROVES_NOTHING)
    ended.assert_outcomes(errors=9, failed=1, skipped=1, passed=1)
    assert ended.ret == 1
    told = ended.stdout.str()
    for reason in (
        "llm.rate_limited did not bite: while it was in force, no request has reached the mock; let what is tested ask within",
        "llm.server_error did not bite: it concerned 1 request and changed none; at 0.0001 that happens in 100% of all tests",
        "llm.connection_refused did not bite as far as can be told",
        "no such fault: 'llm.rate_limted'; did you mean 'llm.rate_limited'?",
        "llm.server_error has no 'frst'; did you mean 'first'?",
        "llm.server_error: probability: Input should be less than or equal to 1",
        'process.kill needs a target in gauntlet_stack: inject("process.kill", "retrieval-1")',
        "vector.service_error: which store? Let the test use one of mock_qdrant, mock_chroma",
        "assert 500 == 200",
    ):
        assert reason in told, reason
    report = (pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert 'errors="9" failures="1" skipped="1"' in report


def test_workers_have_mocks_of_their_own(session: Session) -> None:
    body = "\n".join(
        f"def test_{n}(mock_llm, inject):\n    with inject('llm.server_error', first=1):\n        assert ask() == 500\n"
        f"    assert [ask(f'{{n}}') for n in range(3)] == [200] * 3\n    assert len(mock_llm.requests) == 4\n"
        for n in range(4)
    )
    ended = session("-n2", "--dist=load", test_it=f"from asking import ask\n{body}")
    ended.assert_outcomes(passed=4)


@pytest.mark.parametrize("release", ["oldest", "newest"])
def test_with_other_releases_of_pytest(session: Session, release: str) -> None:
    if not (RELEASES / release).is_dir():
        pytest.skip("pipelines/pytests has not been run")
    ended = session("-n1", release=release, test_it=BITES, test_nothing=PROVES_NOTHING)
    ended.assert_outcomes(errors=9, failed=1, skipped=1, passed=7)
    wanted = next((RELEASES / release).glob("pytest-*.dist-info")).name.split("-")[1].removesuffix(".dist")
    ended.stdout.fnmatch_lines([f"*pytest-{wanted}*"])
