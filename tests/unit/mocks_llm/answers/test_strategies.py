"""The strategies, what a profile may say of them, and the ending of answers by stop sequences and limits."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocks.llm.answer import ChatCall, Choice, Tool, Turn, Usage
from mocks.llm.answers.base import MOST_TOKENS, completed, length, prompt_tokens
from mocks.llm.answers.profile import AnswersError, answerer
from mocks.llm.words import tokens

CONTEXT = "[a.b] The colour of a.b is red.\n\nQuestion: What is the colour of a.b?"
EXTRACTED = "The colour of a.b is red. [a.b]"
WEATHER = Tool("get_weather", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})
LOOK_UP = Tool("look_up", {"type": "object", "properties": {}})
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def call(said: str = "Hi there", **change: Any) -> ChatCall:
    return ChatCall("m", (Turn("system", "Be brief."), Turn("user", said)), **change)


def compose(document: Any, asked: ChatCall) -> tuple[Choice, ...]:
    return answerer(document).compose(asked, Random(7))


def text(document: Any, asked: ChatCall) -> str:
    (choice,) = compose(document, asked)
    return choice.text


def test_extractive_is_what_is_done_without_a_word() -> None:
    assert text({}, call(CONTEXT)) == text({"strategy": "extractive"}, call(CONTEXT)) == EXTRACTED
    assert text({}, call("Hello?")) == "I cannot find this in the provided documents."
    assert text({"strategy": "extractive", "most_tokens": 8}, call(CONTEXT)) == "The colour [a.b]"


def test_extractive_says_what_a_tool_has_said() -> None:
    asked = ChatCall("m", (Turn("user", "Weather?"), Turn("assistant", "get_weather({})"), Turn("tool", "12 degrees and rain")))
    assert text({}, asked) == "12 degrees and rain"


def test_canned_answers_by_what_the_user_said_last() -> None:
    rules = [
        {"match": "hello", "text": "Hello to you."},
        {"regex": r"\b\d+ degrees", "refusal": "I say nothing of temperatures."},
        {"match": "weather", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "get_weather"}]},
    ]
    canned = {"strategy": "canned", "rules": rules, "default": "What?"}
    assert text(canned, call("well hello")) == "Hello to you."
    assert text(canned, call("Hello")) == "What?"
    (refused,) = compose(canned, call("Is it 12 degrees?"))
    assert (refused.text, refused.refusal, refused.finish) == ("", "I say nothing of temperatures.", "stop")
    assert text(canned, call("weather")) == "What?"  # nobody offers the tool
    (calling,) = compose(canned, call("weather", tools=(WEATHER,)))
    assert [(one.name, one.arguments) for one in calling.tool_calls] == [("get_weather", '{"city":"Oslo"}'), ("get_weather", "{}")]
    assert len({one.id for one in calling.tool_calls}) == 2
    assert calling.finish == "tool_calls"
    (single,) = compose(canned, call("weather", tools=(WEATHER,), parallel_tools=False))
    assert len(single.tool_calls) == 1
    assert text({"strategy": "canned", "rules": rules}, call(CONTEXT)) == EXTRACTED


def test_templates() -> None:
    template = "{n} {{of}} {model} for {tenant}: {question} | {context} | {answer} | {system}"
    said = [choice.text for choice in compose({"strategy": "templated", "template": template}, call(CONTEXT, n=2, tenant="t"))]
    rest = f"{{of}} m for t: What is the colour of a.b? | The colour of a.b is red. | {EXTRACTED} | Be brief."
    assert said == [f"1 {rest}", f"2 {rest}"]


@given(texts, st.integers(1, 200))
def test_an_echo_of_a_fixed_length_has_that_length(said: str, count: int) -> None:
    (choice,) = compose({"strategy": "echo", "tokens": count}, call(said))
    assert len(choice.tokens) == count
    assert list(choice.tokens) == tokens(choice.text)
    assert choice.finish == "stop"
    assert choice.text.startswith(said.strip()[: len(choice.text)])


@given(texts, st.lists(st.text("ab .1", min_size=1, max_size=3), max_size=3), st.none() | st.integers(1, 20), st.integers(1, 3))
def test_answers_end_where_they_were_asked_to(said: str, stops: list[str], limit: int | None, n: int) -> None:
    found = compose({"strategy": "echo"}, call(said, stop=tuple(stops), max_tokens=limit, n=n))
    assert len(found) == n
    for choice in found:
        assert list(choice.tokens) == tokens(choice.text)
        assert said.startswith(choice.text)
        assert not any(stop in choice.text for stop in stops)
        rest = said[len(choice.text) :]
        if choice.finish == "length":
            assert limit == len(choice.tokens)
            assert rest
        elif choice.stopped_by is not None:
            assert choice.stopped_by in stops
            assert rest.startswith(choice.stopped_by)
        else:
            assert rest == ""
        assert limit is None or len(choice.tokens) <= limit


@given(texts, st.integers(1, 3))
def test_usage_is_what_is_read_and_written(said: str, n: int) -> None:
    asked = call(said, n=n, other_tokens=5)
    answer = completed("id", "m", 1, compose({"strategy": "echo"}, asked), prompt_tokens(asked))
    prompt = "Be brief.\n\n" + said
    assert answer.usage == Usage(len(tokens(prompt)) + 5, n * len(tokens(said)))
    assert answer.longest == len(tokens(said))


def test_the_model_has_a_limit_of_its_own() -> None:
    (choice,) = compose({"strategy": "echo"}, call("a " * (MOST_TOKENS + 1)))
    assert (choice.finish, len(choice.tokens)) == ("length", MOST_TOKENS)


def test_refusals_and_calls_are_cut_by_limits_and_counted() -> None:
    canned = {"strategy": "canned", "rules": [{"match": "weather", "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}]}
    (calling,) = compose(canned, call("weather", tools=(WEATHER,)))
    assert length(calling) == len(tokens('{"city":"Oslo"}')) == 9
    (cut,) = compose(canned, call("weather", tools=(WEATHER,), max_tokens=4))
    assert (cut.finish, [one.arguments for one in cut.tool_calls], length(cut)) == ("length", ['{"city"'], 4)
    refusing = {"strategy": "canned", "rules": [{"match": "", "refusal": "I do not."}]}
    (short,) = compose(refusing, call(max_tokens=2))
    assert (short.refusal, short.finish, length(short)) == ("I do", "length", 2)


def test_equal_calls_and_seeds_get_equal_answers() -> None:
    asked = call("What is the weather in Oslo?", tools=(WEATHER,), n=2)
    assert compose({}, asked) == compose({}, asked)


@pytest.mark.parametrize(
    ("said", "choice", "name"),
    [
        ("What is the weather in Oslo?", "auto", "get_weather"),
        ("Call get_weather, please.", "auto", "get_weather"),
        ("What is a heap?", "auto", None),
        ("What is the weather in Oslo?", "none", None),
        ("What is a heap?", "required", "get_weather"),
        ("Look this up", "required", "look_up"),
        ("What is the weather in Oslo?", "look_up", "look_up"),
    ],
)
def test_which_tool_is_called(said: str, choice: str, name: str | None) -> None:
    (found,) = compose({}, call(said, tools=(WEATHER, LOOK_UP), tool_choice=choice))
    assert [one.name for one in found.tool_calls] == ([] if name is None else [name])
    assert found.finish == ("stop" if name is None else "tool_calls")


def test_what_a_rule_says_is_said_where_a_tool_would_do_as_well() -> None:
    canned = {"strategy": "canned", "rules": [{"match": "weather", "text": "Rain."}]}
    asked = call("What is the weather in Oslo?", tools=(WEATHER,))
    assert text(canned, asked) == "Rain."
    assert text({"strategy": "echo", "tokens": 2}, asked) == "What is"
    (forced,) = compose(canned, call("What is the weather in Oslo?", tools=(WEATHER,), tool_choice="required"))
    assert [one.name for one in forced.tool_calls] == ["get_weather"]


def test_arguments_say_what_the_question_is_about() -> None:
    (found,) = compose({}, call("What is the weather in Oslo?", tools=(WEATHER,)))
    assert [json.loads(one.arguments) for one in found.tool_calls] == [{"city": "Oslo"}]


def test_a_tool_that_has_answered_is_not_called_again() -> None:
    turns = (Turn("user", "What is the weather in Oslo?"), Turn("assistant", "get_weather({})"), Turn("tool", "Rain."))
    (found,) = compose({}, ChatCall("m", turns, tools=(WEATHER,)))
    assert (found.text, found.tool_calls) == ("Rain.", ())


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "answers must be an object"),
        ({"strategy": "magic"}, r"answers\.strategy must be one of extractive, canned, templated, echo, not 'magic'"),
        ({"strategy": "echo", "template": "x"}, "unknown key in answers: template; echo has tokens"),
        ({"strategy": "echo", "tokens": 0}, r"answers\.tokens must be a whole number from 1"),
        ({"strategy": "echo", "tokens": True}, r"answers\.tokens must be"),
        ({"strategy": "extractive", "most_tokens": "x"}, r"answers\.most_tokens must be"),
        ({"strategy": "templated"}, r"answers\.template must be a string"),
        ({"strategy": "templated", "template": "{question.__class__}"}, r"answers\.template: a template may name"),
        ({"strategy": "templated", "template": "{nobody}"}, r"a template may name .*, not \{nobody\}"),
        ({"strategy": "templated", "template": "{n!r}"}, "a template may name"),
        ({"strategy": "templated", "template": "{"}, r"answers\.template"),
        ({"strategy": "canned", "rules": {}}, r"answers\.rules must be a list"),
        ({"strategy": "canned", "default": 3}, r"answers\.default must be a string"),
        ({"strategy": "canned", "rules": [{"match": "a", "text": "b", "x": 1}]}, r"answers\.rules\[0\] must be an object of"),
        ({"strategy": "canned", "rules": [{"text": "b"}]}, r"answers\.rules\[0\] must have either match or regex"),
        ({"strategy": "canned", "rules": [{"match": "a"}]}, r"answers\.rules\[0\] must have one of text, tool_calls and refusal"),
        ({"strategy": "canned", "rules": [{"match": 3, "text": "b"}]}, r"answers\.rules\[0\]\.match must be a string"),
        ({"strategy": "canned", "rules": [{"regex": "(", "text": "b"}]}, r"answers\.rules\[0\]\.regex cannot be used"),
        (
            {"strategy": "canned", "rules": [{"match": "a", "tool_calls": [{"arguments": {}}]}]},
            r"answers\.rules\[0\]\.tool_calls must be a list",
        ),
    ],
)
def test_what_a_profile_may_not_say(document: Any, reason: str) -> None:
    with pytest.raises(AnswersError, match=reason):
        answerer(document)
