"""Deployment files as they are written: several documents, merges, tags, comments that allow; and hostile ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.audit.reading import Part, read, read_text
from harness.scenario.problem import Position, ScenarioError

NAMES = st.text("abcdefghij", min_size=1, max_size=6)
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.text(LETTERS, max_size=12))
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=20)


def plain(part: Part) -> object:
    """Without places."""
    if isinstance(part.data, dict):
        return {key: plain(value) for key, value in part.data.items()}
    return [plain(one) for one in part.data] if isinstance(part.data, tuple) else part.data


@given(VALUES, st.booleans())
def test_what_was_written_is_read(value: object, flow: bool) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    (document,) = read_text(text, "f").documents
    assert plain(document) == value


@given(st.dictionaries(NAMES, SCALARS, min_size=1, max_size=5))
def test_keys_stand_where_they_are_said_to(value: dict[str, object]) -> None:
    text = yaml.safe_dump({"top": value}, allow_unicode=True)
    (document,) = read_text(text, "f").documents
    for key, _, at in document.items("top"):
        assert text.splitlines()[at.line - 1][at.column - 1 :].startswith((key, "'" + key, "? " + key))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        read_text(text, "f")
    except ScenarioError as error:
        assert all(problem.line >= 1 and problem.column >= 1 and problem.path == "f" for problem in error.problems)


def test_merges_keep_the_place_of_what_is_merged() -> None:
    text = "x: &x\n  image: a\n  user: b\ny:\n  <<: *x\n  user: c\nz:\n  <<: [{image: first}, *x]\n"
    (document,) = read_text(text, "f").documents
    y = document.get("y")
    assert y is not None and plain(y) == {"user": "c", "image": "a"}
    assert (y.key_at("image"), y.key_at("user")) == (Position(2, 3), Position(6, 3))
    assert document.text("z", "image") == "first" and document.text("z", "user") == "b"


def test_tags_and_several_documents_are_read() -> None:
    source = read_text("a: !reset []\nb: !override {c: 1}\n---\n---\nd: !!binary aGk=\n", "f")
    assert [plain(one) for one in source.documents] == [{"a": [], "b": {"c": 1}}, None, {"d": "aGk="}]


def test_aliases_expand_to_nothing_large() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    (document,) = read_text("\n".join(lines), "f").documents
    assert len(document.each("a29")) == 10


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2\n", "f:2:1: key 'a' is given twice, first in line 1"),
        ("a: &a [*a]\n", "f:1:4: an alias contains itself"),
        ("a: [\n", "f:2:1: invalid YAML"),
        ("? [a]\n: b\n", "f:1:3: a key must be text"),
        ("a:\n  <<: 1\n", "f:2:3: only mappings can be merged"),
        ("{{ .Values.x }}\n", "f:1:2: a key must be text"),
    ],
)
def test_refused_with_place_and_advice(text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as refused:
        read_text(text, "f")
    assert str(refused.value).startswith(said) and "; " in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"a: \xff\n")
    for name, said in (("absent", "cannot be read: No such file"), ("latin", "byte 3 is not UTF-8")):
        with pytest.raises(ScenarioError, match=said):
            read(tmp_path / name, name)


def test_comments_allow_their_own_line_or_the_next() -> None:
    text = (
        "a: 1 # gauntlet: allow r.one because it is fine\n\n  # gauntlet: allow r.two because so\n# another comment\n\nb: |\n"
        "  # gauntlet: allow r.three because this is text\nc: 'x # gauntlet: allow r.four because so is this'\n# gauntlet: allow r.five\n"
    )
    found = [(one.rule, one.reason, one.line) for one in read_text(text, "f").allowances]
    assert found == [("r.one", "it is fine", 1), ("r.two", "so", 6), ("r.five", "", 9)]
