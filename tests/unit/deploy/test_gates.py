"""Each gate on answers, rows and samples written by hand: what is shown to be bad fails, and what is not shown never passes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.deploy import gates
from harness.deploy.gates import Answer, Asked
from harness.deploy.plan import Memory, Proof, Smoke
from harness.record.history import History
from harness.record.requests import Outcome
from harness.scenario.comparison import Metric
from harness.scenario.units import limit
from harness.score.check import Status
from harness.score.spans import NS_PER_S, Span
from tests.history_builder import START_NS, at_ns, history, traffic

OLD, NEW = "1.0.0", "1.1.0"
PROOF = Proof(answers=20)
ROUTES = ["/api/ask", "/api/search"]


def answers(versions: Iterable[str | None], *, route: str = "/api/ask", from_s: float = 0.0, status: int = 200) -> list[Answer]:
    """Ten a second."""
    return [
        Answer(at_ns(from_s + n / 10), at_ns(from_s + n / 10 + 0.05), route, "green" if v == NEW else "blue", status, v)
        for n, v in enumerate(versions)
    ]


def rows(start_s: float, end_s: float, **fields: Any) -> np.ndarray[Any, Any]:
    """Traffic whose sequence has no gap."""
    found = traffic(start_s, end_s, **fields)
    found["seq"] = range(len(found))
    return found


class TestServed:
    def served(self, given: list[Answer], *, after_s: float = 0.0, missing: bool = False) -> tuple[Status, str]:
        result = gates.served("deploy.served", given, ROUTES, NEW, at_ns(after_s) - 1, PROOF, missing=missing)
        return result.status, result.reason

    def test_enough_answers_in_a_row_on_every_route_prove_it(self) -> None:
        status, reason = self.served(answers([NEW] * 20) + answers([NEW] * 20, route="/api/search"))
        assert status is Status.PASS
        assert "/api/ask: 20" in reason

    def test_a_route_that_was_not_seen_leaves_it_open(self) -> None:
        status, reason = self.served(answers([NEW] * 500))
        assert status is Status.INCONCLUSIVE
        assert "/api/search: 0" in reason

    def test_one_answer_of_another_version_refutes_it(self) -> None:
        status, reason = self.served(answers([NEW] * 40 + [OLD] + [NEW] * 40) + answers([NEW] * 20, route="/api/search"))
        assert status is Status.FAIL
        assert "1 of 101 answers to later requests come from 1.0.0, not from 1.1.0" in reason

    def test_what_arrived_before_the_shift_may_still_be_answered_by_the_old_one(self) -> None:
        late = answers([OLD] * 5) + answers([NEW] * 20, from_s=1.0) + answers([NEW] * 20, route="/api/search", from_s=1.0)
        assert self.served(late, after_s=1.0)[0] is Status.PASS

    def test_answers_that_do_not_say_who_gave_them_prove_nothing(self) -> None:
        silent: list[str | None] = [NEW, None] * 30
        assert self.served(answers(silent) + answers(silent, route="/api/search"))[0] is Status.INCONCLUSIVE

    def test_a_gap_in_the_record_proves_nothing(self) -> None:
        both = answers([NEW] * 20) + answers([NEW] * 20, route="/api/search")
        assert self.served(both, missing=True)[0] is Status.INCONCLUSIVE

    def test_no_answer_at_all_proves_nothing(self) -> None:
        assert self.served([])[0] is Status.INCONCLUSIVE


class TestWeight:
    SPAN = Span(at_ns(0.0), at_ns(1000.0))

    def weight(self, new: int, old: int, share: float) -> Status:
        return gates.weight("w", answers([NEW] * new + [OLD] * old), NEW, share, self.SPAN).status

    def test_a_share_that_chance_explains_passes(self) -> None:
        assert self.weight(52, 948, 0.05) is Status.PASS

    @pytest.mark.parametrize(("new", "old"), [(0, 1000), (200, 800), (1000, 0)])
    def test_a_share_that_chance_does_not_explain_fails(self, new: int, old: int) -> None:
        assert self.weight(new, old, 0.05) is Status.FAIL

    def test_too_few_answers_to_tell_whether_it_is_asked(self) -> None:
        assert self.weight(0, 20, 0.05) is Status.INCONCLUSIVE

    def test_nobody_answered(self) -> None:
        assert self.weight(0, 0, 0.5) is Status.INCONCLUSIVE

    @given(st.integers(1, 2000), st.sampled_from([0.05, 0.25, 0.5]))
    def test_what_is_expected_is_never_doubted(self, n: int, share: float) -> None:
        new = round(n * share)
        assert self.weight(new, n - new, share) is not Status.FAIL


class TestSmoke:
    def smoke(self, right: int, of: int = 20, version: str = NEW) -> tuple[Status, str]:
        asked = [{"question": f"q{n}", "right": n < right, "status": 200, "version": version, "said": "no"} for n in range(of)]
        result = gates.smoke(asked, Smoke(), NEW)
        return result.status, result.reason

    def test_right_answers_pass(self) -> None:
        assert self.smoke(18)[0] is Status.PASS

    def test_wrong_answers_fail(self) -> None:
        assert self.smoke(17) == (Status.FAIL, "wrong answers: 17 of 20 questions with known answers were answered rightly")

    def test_another_version_that_answers_rightly_fails(self) -> None:
        status, reason = self.smoke(20, version=OLD)
        assert status is Status.FAIL
        assert "answered for by 1.0.0" in reason

    def test_questions_that_were_not_asked_prove_nothing(self) -> None:
        assert self.smoke(5, of=5)[0] is Status.INCONCLUSIVE


class TestLost:
    SPAN = Span(at_ns(0.0), at_ns(10.0))

    def test_none_of_all_passes_with_its_bound(self) -> None:
        result = gates.lost(history(requests=rows(0, 10)), self.SPAN, 25.0)
        assert (result.status, result.value) == (Status.PASS, 0)
        assert "bounds the share by 0.012" in result.reason

    @pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.OK])
    def test_each_that_was_not_answered_in_full_is_lost(self, outcome: Outcome) -> None:
        found = rows(0, 10)
        found[100]["outcome"], found[100]["status"] = outcome, 503
        result = gates.lost(history(requests=found), self.SPAN, 25.0)
        assert (result.status, result.value) == (Status.FAIL, 1)
        assert "due at 4s" in result.reason

    @pytest.mark.parametrize("missing", [0, 77, 249], ids=["the first", "one in the middle", "the last"])
    def test_one_without_a_row_is_lost_too(self, missing: int) -> None:
        result = gates.lost(history(requests=np.delete(rows(0, 10), missing)), self.SPAN, 25.0)
        assert (result.status, result.value) == (Status.FAIL, 1)

    def test_what_the_generator_itself_did_not_send_is_nobodys_loss_and_no_proof(self) -> None:
        found = rows(0, 10)
        found[100]["outcome"], found[100]["drop_cause"] = Outcome.DROPPED, 1
        assert gates.lost(history(requests=found), self.SPAN, 25.0).status is Status.INCONCLUSIVE

    def test_what_is_still_under_way_is_told_by_when_it_was_due(self) -> None:
        under_way = history(requests=rows(0, 10)[:200])
        assert gates.untold(under_way, at_ns(10.0), 25.0) == 50
        assert gates.untold(under_way, at_ns(8.0), 25.0) == 0
        assert gates.untold(history(), at_ns(10.0), 25.0) is None

    def test_without_requests_nothing_is_proved(self) -> None:
        assert gates.lost(history(), self.SPAN, 25.0).status is Status.INCONCLUSIVE

    def test_a_damaged_record_proves_nothing(self) -> None:
        assert gates.lost(history(requests=rows(0, 10), damage=("torn",)), self.SPAN, 25.0).status is Status.INCONCLUSIVE


class TestMemory:
    def samples(self, kib_each: float, *, noise_kib: float = 0.0, n: int = 60) -> list[dict[str, Any]]:
        rng = np.random.default_rng(3)
        return [
            {"service": "generation-1", "requests": 20.0 * i, "rss_bytes": 1024 * (80_000 + kib_each * 20.0 * i + noise_kib * rng.normal())}
            for i in range(n)
        ]

    def judged(self, samples: list[dict[str, Any]]) -> tuple[Status, str]:
        (result,) = gates.memory(samples, Memory(per_request_kib=16.0))
        return result.status, result.reason

    def test_a_leak_fails_with_its_slope_and_interval(self) -> None:
        status, reason = self.judged(self.samples(64.0, noise_kib=200))
        assert status is Status.FAIL
        assert reason.startswith("leaking memory: generation-1 keeps 6")

    def test_a_service_that_keeps_nothing_passes(self) -> None:
        assert self.judged(self.samples(0.0, noise_kib=200))[0] is Status.PASS

    def test_growth_while_caches_fill_is_no_leak(self) -> None:
        warm = [{**s, "rss_bytes": s["rss_bytes"] - max(0, 20 - i) * 2_000_000} for i, s in enumerate(self.samples(0.0, noise_kib=100))]
        assert self.judged(warm)[0] is Status.PASS

    def test_noise_that_hides_the_limit_is_inconclusive(self) -> None:
        assert self.judged(self.samples(16.0, noise_kib=3_000))[0] is Status.INCONCLUSIVE

    def test_few_samples_tell_nothing(self) -> None:
        assert self.judged(self.samples(64.0, n=15))[0] is Status.INCONCLUSIVE

    def test_a_service_that_nobody_asks_tells_nothing(self) -> None:
        idle = [{**s, "requests": 5.0} for s in self.samples(0.0)]
        assert self.judged(idle)[0] is Status.INCONCLUSIVE

    def test_no_samples_at_all(self) -> None:
        assert [r.status for r in gates.memory([], Memory())] == [Status.INCONCLUSIVE]


class TestObjectives:
    def test_each_is_judged_on_the_requests_of_its_span_alone(self) -> None:
        found = rows(0, 60)
        found["outcome"][:100] = Outcome.ERROR
        users: History = history(requests=found)
        late = Span(at_ns(10.0), at_ns(60.0))
        limits = {"availability": limit(">= 99%"), "latency_p95": limit("<= 50ms")}
        assert [r.status for r in gates.objectives("deploy.bake", users, limits, late)] == [Status.PASS, Status.FAIL]
        early = gates.objectives("deploy.bake", users, {"availability": limit(">= 99%")}, Span(START_NS, at_ns(5.0)))
        assert [r.status for r in early] == [Status.FAIL]

    def test_too_few_requests_are_inconclusive(self) -> None:
        few = gates.objectives("deploy.bake", history(requests=rows(0, 1)), {"availability": limit(">= 99%")}, Span(START_NS, at_ns(1.0)))
        assert [r.status for r in few] == [Status.INCONCLUSIVE]


class TestCompared:
    SPAN = Span(at_ns(0.0), at_ns(120.0))

    def compared(self, slower: float, *, broken: int = 0) -> dict[str, Status]:
        rng = np.random.default_rng(5)
        both = []
        for n in range(4800):
            start_ns = at_ns(n / 40)
            new = n % 2 == 0
            took_ns = round((0.1 + 0.02 * rng.random()) * (1 + slower * new) * NS_PER_S)
            bad = new and broken > 0 and n % broken == 0
            version = None if bad else NEW if new else OLD
            both.append(Answer(start_ns, start_ns + took_ns, "/api/ask", "green" if new else "blue", 502 if bad else 200, version))
        metrics = {"availability": Metric(worse_by="1%"), "latency_p95": Metric(worse_by="10%")}
        found = gates.compared("c", both, self.SPAN, metrics, Asked(OLD, "blue"), Asked(NEW, "green"))
        return {r.name: r.status for r in found}

    def test_equal_versions_pass(self) -> None:
        assert set(self.compared(0.0).values()) == {Status.PASS}

    def test_a_slower_version_fails(self) -> None:
        assert self.compared(0.3)["c.latency_p95"] is Status.FAIL

    def test_what_breaks_off_before_it_says_who_answers_counts_against_its_side(self) -> None:
        assert self.compared(0.0, broken=20)["c.availability"] is Status.FAIL


class TestBrokenAlike:
    STEPS = ("intended", "injected", "effective", "heal_intended", "healed", "gone")

    def told(self, *, late_s: float = 0.0, without: str = "") -> dict[str, list[dict[str, Any]]]:
        """Steps a second apart, those of green later, and without one."""
        return {
            side: [
                {"t_ns": at_ns(n + offset_s), "id": "slow", "step": step}
                for n, step in enumerate(self.STEPS)
                if side == "blue" or step != without
            ]
            for side, offset_s in (("blue", 0.0), ("green", late_s))
        }

    def test_the_same_fault_at_the_same_time_that_is_gone_passes(self) -> None:
        result = gates.broken_alike(self.told(late_s=1.0), ["slow"])
        assert (result.status, result.reason) == (Status.PASS, "both versions had slow, and have them no more")

    @pytest.mark.parametrize(
        ("told", "status", "said"),
        [
            ({"without": "effective"}, Status.INCONCLUSIVE, "slow did not bite green"),
            ({"late_s": 6.0}, Status.INCONCLUSIVE, "slow bit one of them 6.0s after the other"),
            ({"without": "gone"}, Status.FAIL, "slow is not proved gone from green"),
        ],
    )
    def test_what_was_not_alike_never_passes(self, told: dict[str, Any], status: Status, said: str) -> None:
        result = gates.broken_alike(self.told(**told), ["slow"])
        assert (result.status, result.reason) == (status, said)

    def test_a_version_that_tells_nothing_never_passes(self) -> None:
        assert gates.broken_alike({"blue": self.told()["blue"]}, ["slow"]).status is Status.INCONCLUSIVE
        assert gates.broken_alike({}, ["slow"]).status is Status.INCONCLUSIVE
