"""Whatever the bytes: a scenario or problems, never a traceback; and YAML 1.1's traps are no traps."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.scenario import document
from harness.scenario.check import check
from harness.scenario.loader import load_scenario, load_text
from harness.scenario.problem import Position, ScenarioError
from tests.unit.scenario.catalogue import CATALOG, REFERENCE

SCENARIOS = Path(__file__).resolve().parents[3] / "scenarios"
BROWNOUT = (SCENARIOS / "llm-brownout.yaml").read_text(encoding="utf-8")
_YAML_LIKE = st.text(alphabet=st.sampled_from("abc01 \n\t:-,{}[]#&*!|>'\"%@`?<~./\\x\x00é\u2028"), max_size=120)


def read(text: str) -> None:
    try:
        loaded = load_text(text)
    except ScenarioError as error:
        assert error.problems
        assert all(p.line >= 1 and p.column >= 1 and p.message for p in error.problems)
        assert str(error).encode()
    else:
        check(loaded, CATALOG, REFERENCE)


@given(_YAML_LIKE)
@settings(deadline=None)
def test_never_a_traceback_whatever_the_text(text: str) -> None:
    read(text)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_never_a_traceback_whatever_the_bytes(data: bytes) -> None:
    with NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        try:
            load_scenario(file.name)
        except ScenarioError as error:
            assert error.problems


@given(st.integers(0, len(BROWNOUT) - 1), st.integers(0, 12), _YAML_LIKE)
@settings(deadline=None)
def test_never_a_traceback_for_a_damaged_scenario(at: int, cut: int, patch: str) -> None:
    read(BROWNOUT[:at] + patch[:8] + BROWNOUT[at + cut :])


def test_positions_of_keys_and_values() -> None:
    data, positions = document.parse("a: 1\nb:\n  - c: x\n    d: [y, {e: z}]\n", "f")
    assert data == {"a": 1, "b": [{"c": "x", "d": ["y", {"e": "z"}]}]}
    assert positions.value(("a",)) == Position(1, 4)
    assert positions.key(("b",)) == Position(2, 1)
    assert positions.value(("b", 0, "d", 1, "e")) == Position(4, 16)
    assert positions.key(("b", 0, "d", 1, "e")) == Position(4, 13)
    assert positions.value(("b", 0, "absent")) == Position(3, 5), "the nearest thing around it"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("yes", "yes"), ("1:30", "1:30"), ("2024-01-01", "2024-01-01"), ("1e3", 1000.0), ("012", 12),
        ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("true", True), ("~", None), (".inf", float("inf")), ("'1'", "1"), ("-.5", -0.5),
    ],
)  # fmt: skip
def test_scalars_follow_the_core_schema(text: str, value: object) -> None:
    data, _ = document.parse(f"a: {text}\n", "f")
    assert data == {"a": value}
    assert type(data["a"]) is type(value)


def test_an_alias_repeats_a_value() -> None:
    data, _ = document.parse("a: &x {b: 1}\nc: *x\n", "f")
    assert data == {"a": {"b": 1}, "c": {"b": 1}}


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + BROWNOUT.encode())
    assert load_scenario(file).scenario.name == "llm-brownout"


def test_every_problem_is_reported() -> None:
    with pytest.raises(ScenarioError) as caught:
        load_text("name: x\nload: {shape: [{constant: 5}]}\nphases: {warmup: 5}\nfualts: []\n", "f.yaml")
    assert [str(p).split("; ")[0] for p in caught.value.problems] == [
        "f.yaml:2:27: 5 is no rate",
        "f.yaml:3:18: 5 is no duration",
        "f.yaml:4:1: unknown key 'fualts'",
    ]
