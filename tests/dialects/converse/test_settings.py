"""Limits, sampling, thinking and what has no place in Converse."""

import json
from typing import Any

import pytest
from msgspec import Raw

from kilo_gateway.dialects.converse.asking import write_request
from kilo_gateway.dialects.converse.models import Model, known_by
from kilo_gateway.dialects.hub.asked import Message, Request, Target, Text, Thinking, Thought, ToolCall, ToolResult, Written

CLAUDE = "us.anthropic.claude-sonnet-4-20250514-v1:0"
NEW_CLAUDE = "anthropic.claude-opus-4-8"
NOVA, NOVA_2, LLAMA = "amazon.nova-pro-v1:0", "us.amazon.nova-2-lite-v1:0", "meta.llama3-70b-instruct-v1:0"
HELLO = (Message("user", (Text("Hello"),)),)


def asked(model: str = CLAUDE, target: Target | None = None, messages: tuple[Message, ...] = HELLO, **fields: Any) -> tuple[dict[str, Any], Written]:
    written = write_request(Request(model="m", messages=messages, **fields), target or Target(model))
    return json.loads(written.body), written


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Model("anthropic", (4, 5))), ("anthropic.claude-3-7-sonnet-20250219-v1:0", Model("anthropic", (3, 7))),
        ("anthropic.claude-sonnet-4-20250514-v1:0", Model("anthropic", (4, 0))), ("anthropic.claude-v2", Model("anthropic")),
        ("global.anthropic.claude-opus-4-6-v1", Model("anthropic", (4, 6))), ("anthropic.claude-3-haiku-20240307-v1:0", Model("anthropic", (3, 0))),
        ("us.amazon.nova-2-lite-v1:0", Model("nova-2")), ("amazon.nova-micro-v1:0", Model("nova")), ("cohere.command-r-v1:0", Model("other")),
    ],
)  # fmt: skip
def test_a_model_is_known_by_its_id(name: str, model: Model) -> None:
    assert known_by(name) == model


def test_what_both_have_arrives() -> None:
    body, written = asked(max_tokens=99, temperature=0.5, top_p=0.9, stop=("END", "FIN"), top_k=7, service_tier="flex", metadata=Raw(b'{"team":"a b"}'))
    assert body["inferenceConfig"] == {"maxTokens": 99, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END", "FIN"]}
    assert body["additionalModelRequestFields"] == {"top_k": 7} and body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
    assert body["serviceTier"] == {"type": "flex"} and body["requestMetadata"] == {"team": "a b"}
    assert written.dropped == written.changed == ()


def test_what_has_no_place_is_named() -> None:
    _, written = asked(
        LLAMA, seed=1, frequency_penalty=0.1, presence_penalty=0.1, repetition_penalty=1.1, min_p=0.1, logit_bias=Raw(b"{}"), logprobs=0, user="u",
        verbosity="low", cache_key="k", choices=2, top_k=3, service_tier="turbo", metadata=Raw(b'{"a":{"b":1}}'),
    )  # fmt: skip
    assert sorted(written.dropped) == sorted([
        "seed", "frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "logit_bias", "logprobs", "user", "verbosity", "cache_key", "choices",
        "top_k", "service_tier", "metadata",
    ])  # fmt: skip


def test_out_of_range_is_clamped_and_told() -> None:
    body, written = asked(target=Target(CLAUDE, max_output=64), max_tokens=100, temperature=1.7, top_p=-1, stop=("", " ", "END"))
    assert body["inferenceConfig"] == {"maxTokens": 64, "temperature": 1.0, "topP": 0.0, "stopSequences": ["END"]}
    assert written.changed == ("stop: blank ones left out",)
    told = "as 0 to 1 are taken"
    assert written.clamped == ("max_tokens: 64, the most that the model gives", f"temperature: 1, {told}", f"top_p: 0, {told}")


def test_what_the_model_is_known_not_to_take_is_not_sent() -> None:
    body, written = asked(target=Target(CLAUDE, parameters=frozenset({"max_tokens"})), max_tokens=9, temperature=0.5, top_p=0.5, top_k=5, stop=("X",), thinking=Thinking(effort="low"))
    assert body.keys() == {"messages", "inferenceConfig"} and body["inferenceConfig"] == {"maxTokens": 9}
    assert sorted(written.dropped) == ["reasoning", "stop", "temperature", "top_k", "top_p"]


def test_newer_claudes_take_one_of_temperature_and_top_p() -> None:
    body, written = asked("anthropic.claude-sonnet-4-5-20250929-v1:0", temperature=0.5, top_p=0.9)
    assert body["inferenceConfig"] == {"temperature": 0.5} and written.dropped == ("top_p",)
    assert asked("anthropic.claude-sonnet-4-5-20250929-v1:0", temperature=0.5, top_p=1)[1].dropped == ()
    assert asked("anthropic.claude-sonnet-4-5-20250929-v1:0", top_p=0.9)[0]["inferenceConfig"] == {"topP": 0.9}


def test_nova_has_top_k_in_a_place_of_its_own() -> None:
    assert asked(NOVA, top_k=20)[0]["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 20}}


# ---------------------------------------------------------------- thinking


@pytest.mark.parametrize(
    ("thinking", "max_tokens", "budget"),
    [
        (Thinking(effort="low"), 10_000, 2_000), (Thinking(effort="medium"), 10_000, 5_000), (Thinking(effort="high"), 10_000, 8_000),
        (Thinking(effort="xhigh"), 10_000, 9_500), (Thinking(effort="max"), 10_000, 9_500), (Thinking(effort="minimal"), 20_000, 2_000),
        (Thinking(effort="minimal"), 5_000, 1_024), (Thinking(is_enabled=True), 10_000, 5_000), (Thinking(max_tokens=3_000), 10_000, 3_000),
        (Thinking(effort="low"), 1_100, 1_024), (Thinking(effort="max"), 1_100, 1_045),
    ],
)  # fmt: skip
def test_an_effort_is_a_share_of_what_may_be_answered(thinking: Thinking, max_tokens: int, budget: int) -> None:
    body, written = asked(thinking=thinking, max_tokens=max_tokens)
    assert body["additionalModelRequestFields"]["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["inferenceConfig"] == {"maxTokens": max_tokens} and written.changed == ()


def test_a_budget_that_does_not_fit_is_made_to_and_told() -> None:
    body, written = asked(thinking=Thinking(max_tokens=10_000), max_tokens=4_000)
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 3_800 and written.changed == ("reasoning.max_tokens: 3800",)
    assert asked(thinking=Thinking(max_tokens=100), max_tokens=4_000)[0]["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1_024
    body, written = asked(thinking=Thinking(effort="high"), max_tokens=1_000)
    assert "additionalModelRequestFields" not in body and written.changed == ("reasoning: off, for it takes more than 1024 max_tokens",)


def test_without_max_tokens_they_are_filled_in() -> None:
    body, written = asked(target=Target(CLAUDE, max_output=20_000), thinking=Thinking(effort="medium"))
    assert body["inferenceConfig"] == {"maxTokens": 20_000} and body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 10_000
    assert written.changed == ("max_tokens: 20000, for reasoning must be less",)


@pytest.mark.parametrize("thinking", [Thinking(effort="none"), Thinking(is_enabled=False), Thinking(is_excluded=True), None])
def test_who_does_not_ask_gets_none(thinking: Thinking | None) -> None:
    for model in (CLAUDE, NOVA_2, LLAMA):
        body, written = asked(model, thinking=thinking)
        assert "additionalModelRequestFields" not in body and written.dropped == ()


def test_thinking_goes_without_temperature_top_p_and_top_k() -> None:
    body, written = asked(thinking=Thinking(effort="low"), max_tokens=9_000, temperature=0.3, top_p=0.5, top_k=4)
    assert body["inferenceConfig"] == {"maxTokens": 9_000} and "top_k" not in body["additionalModelRequestFields"]
    assert written.changed == ("temperature: left out for reasoning", "top_p: left out for reasoning", "top_k: left out for reasoning")
    assert asked(thinking=Thinking(effort="low"), max_tokens=9_000, temperature=1)[1].changed == ()


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        (Thinking(effort="minimal"), "low"), (Thinking(effort="high"), "high"), (Thinking(effort="xhigh"), "xhigh"), (Thinking(is_enabled=True), "medium"),
        (Thinking(max_tokens=1_000), "low"), (Thinking(max_tokens=8_000), "high"), (Thinking(max_tokens=9_900), "max"),
    ],
)  # fmt: skip
def test_the_newest_claudes_are_told_an_effort(thinking: Thinking, effort: str) -> None:
    body, _ = asked(NEW_CLAUDE, thinking=thinking, max_tokens=10_000)
    assert body["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}, "output_config": {"effort": effort}}


def test_nova_2_is_told_an_effort_and_high_goes_without_limits() -> None:
    body, written = asked(NOVA_2, thinking=Thinking(effort="low"), max_tokens=100, temperature=0.5)
    assert body["additionalModelRequestFields"] == {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}
    assert body["inferenceConfig"] == {"maxTokens": 100, "temperature": 0.5} and written.changed == ()
    body, written = asked(NOVA_2, thinking=Thinking(effort="max"), temperature=0.5)
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "high" and "inferenceConfig" not in body
    body, written = asked(NOVA_2, thinking=Thinking(effort="high"), max_tokens=100)
    assert body["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert written.changed == ("reasoning.effort: medium, for high goes without max_tokens",)


@pytest.mark.parametrize("model", [LLAMA, NOVA, "anthropic.claude-3-haiku-20240307-v1:0"])
def test_models_that_cannot_think_are_not_asked_to(model: str) -> None:
    body, written = asked(model, thinking=Thinking(effort="high"), max_tokens=9_000)
    assert "additionalModelRequestFields" not in body and written.dropped == ("reasoning",)


def test_a_turn_that_was_begun_without_thinking_goes_on_without() -> None:
    call, result = ToolCall("a", "look", "{}"), Message("tool", (ToolResult("a", (Text("x"),)),))
    thought = Thought("x", signature="c2ln", format="anthropic-claude-v1")
    thinking = Thinking(max_tokens=2_000)
    body, written = asked(messages=(*HELLO, Message("assistant", (call,)), result), thinking=thinking, max_tokens=9_000)
    assert "additionalModelRequestFields" not in body and "reasoning: off, for the calls of this turn came without it" in written.changed
    for messages in (
        (*HELLO, Message("assistant", (thought, call)), result), (*HELLO, Message("assistant", (call,)), result, Message("assistant", (Text("So."),)), *HELLO),
        (*HELLO, Message("assistant", (thought, call)), result, Message("assistant", (ToolCall("b", "look", "{}"),)), Message("tool", (ToolResult("b", (Text("y"),)),))),
    ):  # fmt: skip
        assert "thinking" in asked(messages=messages, thinking=thinking, max_tokens=9_000)[0]["additionalModelRequestFields"]


def test_a_summary_is_not_to_be_had() -> None:
    assert asked(thinking=Thinking(effort="low", summary="auto"), max_tokens=9_000)[1].dropped == ("reasoning.summary",)
