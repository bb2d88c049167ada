"""What of a request Gemini is told, and what is named as dropped or changed."""

import json
from typing import Any

import pytest
from msgspec import Raw

from kilo_gateway.dialects.gemini.asking import write_request
from kilo_gateway.dialects.hub.asked import (
    Audio,
    Cache,
    Effort,
    File,
    Image,
    Message,
    Output,
    Part,
    Request,
    Target,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    Video,
    Written,
)

G25, G3 = Target("gemini-2.5-flash"), Target("gemini-3-flash-preview")
HI = (Message("user", (Text("Hi"),)),)
SCHEMA = b'{"type":"object","properties":{"a":{"$ref":"#/$defs/x"}},"additionalProperties":false,"$defs":{"x":{"const":1}}}'
LOOK = Tool("look", "Looks.", Raw(SCHEMA), is_strict=None)


def written(to: Target = G25, **members: Any) -> tuple[dict[str, Any], Written]:
    done = write_request(Request(**{"model": "m", "messages": HI} | members), to)
    return json.loads(done.body), done


def config(to: Target = G25, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = written(to, **members)[0].get("generationConfig", {})
    return made


def test_a_plain_question_is_nothing_but_contents() -> None:
    body, done = written()
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}
    assert (done.dropped, done.changed) == ((), ())


def test_tools_keep_their_schema_to_the_byte() -> None:
    body, done = written(tools=(LOOK, Tool("bare")))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "look", "description": "Looks.", "parametersJsonSchema": json.loads(SCHEMA)}, {"name": "bare"},
            ]
        }
    ]  # fmt: skip
    assert SCHEMA in done.body
    assert "toolConfig" not in body
    assert written(tools=(Tool("look", is_strict=True),))[1].dropped == ("is_strict",)


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("tool", "look"), {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_each_tool_choice_has_a_mode(choice: ToolChoice, calling: object) -> None:
    assert written(tools=(LOOK,), tool_choice=choice)[0]["toolConfig"] == {"functionCallingConfig": calling}


def test_a_choice_among_no_tools_is_not_sent() -> None:
    body, done = written(tool_choice=ToolChoice("required"))
    assert "toolConfig" not in body and done.dropped == ("tool_choice",)
    assert written(tool_choice=ToolChoice("auto"))[1].dropped == ()


def test_one_call_at_a_time_cannot_be_asked_for() -> None:
    assert written(tools=(LOOK,), allows_parallel=False)[1].dropped == ("allows_parallel",)
    assert written(tools=(LOOK,), allows_parallel=True)[1].dropped == ()


def test_sampling_is_told_in_their_names() -> None:
    made = config(
        max_tokens=100, temperature=0.5, top_p=0.9, top_k=40, seed=7, stop=("a", "b"), choices=2, presence_penalty=0.1,
        frequency_penalty=-0.1, logprobs=3,
    )  # fmt: skip
    assert made == {
        "maxOutputTokens": 100, "temperature": 0.5, "topP": 0.9, "topK": 40, "seed": 7, "stopSequences": ["a", "b"],
        "candidateCount": 2, "presencePenalty": 0.1, "frequencyPenalty": -0.1, "responseLogprobs": True, "logprobs": 3,
    }  # fmt: skip
    assert config(logprobs=0) == {"responseLogprobs": True}


def test_values_out_of_range_are_cut_and_told() -> None:
    made, done = written(
        Target("gemini-2.5-flash", max_output=1000), max_tokens=5000, temperature=3.0, top_k=0, seed=2**40 + 1, stop=tuple("abcdefg")
    )
    assert made["generationConfig"] == {"maxOutputTokens": 1000, "temperature": 2, "seed": 1, "stopSequences": list("abcde")}
    assert done.dropped == ("top_k",)
    assert [each.split(":")[0] for each in done.clamped] == ["max_tokens", "temperature", "seed", "stop"]


def test_what_the_model_does_not_know_is_dropped() -> None:
    to = Target("gemini-2.5-flash", parameters=frozenset({"temperature", "seed"}))
    body, done = written(to, temperature=1.0, seed=1, frequency_penalty=0.1, thinking=Thinking(effort="high"))
    assert body["generationConfig"] == {"temperature": 1.0, "seed": 1}
    assert done.dropped == ("frequency_penalty", "reasoning")


@pytest.mark.parametrize("name", ["gemini-3.8-flash", "gemini-4-argon", "gemini-3.5-flash-lite", "gemini-flash-latest"])
def test_models_that_sample_in_their_own_way_are_not_told_how(name: str) -> None:
    body, done = written(Target(name), temperature=1.0, top_p=0.95, top_k=64, seed=1)
    assert body["generationConfig"] == {"seed": 1} and done.dropped == ("temperature", "top_p", "top_k")


def test_what_has_no_place_is_named() -> None:
    _, done = written(
        min_p=0.1, repetition_penalty=1.1, logit_bias=Raw(b"{}"), verbosity="low", user="u", metadata=Raw(b"{}"), cache_key="k",
        service_tier="scale",
    )  # fmt: skip
    assert set(done.dropped) == {
        "min_p", "repetition_penalty", "logit_bias", "verbosity", "user", "metadata", "cache_key", "service_tier",
    }  # fmt: skip
    assert written(G3, choices=2)[1].dropped == ("choices",)


@pytest.mark.parametrize(("tier", "sent"), [("flex", "flex"), ("priority", "priority"), ("auto", None), ("default", None)])
def test_service_tiers_that_google_has_are_sent(tier: str, sent: str | None) -> None:
    body, done = written(service_tier=tier)
    assert body.get("serviceTier") == sent and done.dropped == ()


@pytest.mark.parametrize(
    "members",
    [
        {"cache": Cache()},
        {"tools": (Tool("f", cache=Cache("1h")),)},
        {"messages": (Message("user", (Text("Hi", Cache()),)),)},
        {"messages": (*HI, Message("tool", (ToolResult("1", (Text("x", Cache()),)),)))},
    ],
)
def test_cache_marks_are_named_once(members: dict[str, Any]) -> None:
    assert written(**members)[1].dropped == ("cache_control",)


def test_a_json_answer_has_a_type_and_a_schema() -> None:
    assert config(output=Output()) == {"responseMimeType": "application/json"}
    assert config(output=Output(Raw(SCHEMA), "x", "y", True)) == {
        "responseMimeType": "application/json", "responseJsonSchema": json.loads(SCHEMA),
    }  # fmt: skip


def test_a_schema_beside_tools_is_for_gemini_3() -> None:
    assert "responseMimeType" in config(G3, output=Output(), tools=(LOOK,))
    body, done = written(output=Output(), tools=(LOOK,))
    assert "generationConfig" not in body and done.dropped == ("output",)


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        (Image("data:image/webp;base64,AAAA"), {"inlineData": {"mimeType": "image/webp", "data": "AAAA"}}),
        (Image("data:image/jpg;base64,AAAA"), {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}),
        (Image("data:;base64,AAAA"), {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}),
        (Image("https://h/a.PNG?x=1.gif#f"), {"fileData": {"fileUri": "https://h/a.PNG?x=1.gif#f", "mimeType": "image/png"}}),
        (Image("https://h/a"), {"fileData": {"fileUri": "https://h/a", "mimeType": "image/jpeg"}}),
        (File("data:application/pdf;base64,AAAA"), {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}}),
        (File("data:application/octet-stream;base64,AAAA", name="a.csv"), {"inlineData": {"mimeType": "text/csv", "data": "AAAA"}}),
        (File("data:text/plain;charset=utf-8,a%20b"), {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}}),
        (File("gs://b/a.txt"), {"fileData": {"fileUri": "gs://b/a.txt", "mimeType": "text/plain"}}),
        (
            File("https://generativelanguage.googleapis.com/v1beta/files/k8"),
            {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/k8"}},
        ),
        (File(id="files/k8"), {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/k8"}}),
        (Audio("AAAA", "wav"), {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}}),
        (Audio("AAAA", "mp3"), {"inlineData": {"mimeType": "audio/mp3", "data": "AAAA"}}),
        (Video("data:video/webm;base64,AAAA"), {"inlineData": {"mimeType": "video/webm", "data": "AAAA"}}),
        (Video("https://youtu.be/x"), {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}}),
    ],
)
def test_media_go_inside_or_by_address(part: Part, sent: object) -> None:
    body, done = written(messages=(Message("user", (part,)),))
    assert body["contents"] == [{"role": "user", "parts": [sent]}]
    assert (done.dropped, done.changed) == ((), ())


def test_a_file_that_another_provider_keeps_is_named() -> None:
    assert written(messages=(Message("user", (Text("Hi"), File(id="file-123"))),))[1].dropped == ("file.id",)


@pytest.mark.parametrize(
    ("details", "resolution", "changes"),
    [(("low",), "LOW", 0), (("high",), "HIGH", 0), (("low", "original"), "HIGH", 1), (("auto",), None, 0), ((None,), None, 0)],
)
def test_detail_becomes_one_resolution(details: tuple[str | None, ...], resolution: str | None, changes: int) -> None:
    images = tuple(Image("https://h/a.png", detail) for detail in details)
    body, done = written(messages=(Message("user", images),))
    expected = {} if resolution is None else {"mediaResolution": f"MEDIA_RESOLUTION_{resolution}"}
    assert body.get("generationConfig", {}) == expected and len(done.changed) == changes


def thought(model: str, thinking: Thinking, **members: Any) -> tuple[object, Written]:
    body, done = written(Target(model), thinking=thinking, **members)
    return body.get("generationConfig", {}).get("thinkingConfig"), done


@pytest.mark.parametrize(
    ("model", "effort", "budget"),
    [
        ("gemini-2.5-flash", "low", 2000),
        ("gemini-2.5-flash", "minimal", 1000),
        ("gemini-2.5-flash", "medium", 5000),
        ("gemini-2.5-flash", "high", 8000),
        ("gemini-2.5-flash", "max", 9500),
        ("publishers/google/models/gemini-2.5-pro", "xhigh", 9500),
    ],
)
def test_gemini_2_5_gets_a_budget(model: str, effort: Effort, budget: int) -> None:
    made, done = thought(model, Thinking(effort=effort), max_tokens=10000)
    assert made == {"thinkingBudget": budget, "includeThoughts": True} and done.changed == ()


@pytest.mark.parametrize(
    ("model", "tokens", "budget"),
    [("gemini-2.5-pro", 10, 128), ("gemini-2.5-flash-lite", 10, 512), ("gemini-2.5-flash", 90000, 24576), ("gemini-2.5-pro", 4000, 4000)],
)
def test_a_budget_of_tokens_is_kept_within_what_is_taken(model: str, tokens: int, budget: int) -> None:
    made, done = thought(model, Thinking(max_tokens=tokens, is_excluded=True))
    assert made == {"thinkingBudget": budget}
    assert len(done.changed) == (budget != tokens)


@pytest.mark.parametrize(
    ("model", "effort", "level"),
    [
        ("gemini-3-pro-preview", "minimal", "LOW"),
        ("gemini-3-pro-preview", "medium", "HIGH"),
        ("gemini-3.1-pro-preview", "medium", "MEDIUM"),
        ("gemini-3-flash-preview", "minimal", "MINIMAL"),
        ("gemini-3.1-flash-lite", "minimal", "MINIMAL"),
        ("gemini-3.8-flash", "minimal", "LOW"),
        ("gemini-flash-latest", "low", "LOW"),
        ("models/gemini-3.6-flash", "xhigh", "HIGH"),
        ("gemini-4-argon", "max", "HIGH"),
        ("gemini-4-argon", "minimal", "LOW"),
    ],
)
def test_gemini_3_gets_a_level_it_has(model: str, effort: Effort, level: str) -> None:
    made, done = thought(model, Thinking(effort=effort))
    assert made == {"thinkingLevel": level, "includeThoughts": True}
    assert len(done.changed) == (level.lower() != effort)


@pytest.mark.parametrize(("tokens", "level"), [(500, "MINIMAL"), (2100, "LOW"), (4800, "MEDIUM"), (9900, "HIGH")])
def test_tokens_become_the_nearest_level(tokens: int, level: str) -> None:
    made, done = thought("gemini-3-flash-preview", Thinking(max_tokens=tokens), max_tokens=10000)
    assert made == {"thinkingLevel": level, "includeThoughts": True}
    assert done.changed == (f"reasoning.max_tokens: sent as level {level}",)


@pytest.mark.parametrize(
    ("model", "sent"),
    [
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"thinkingBudget": 128}),
        ("gemini-3-flash-preview", {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro-preview", {"thinkingLevel": "LOW"}),
        ("gemini-2.0-flash", None),
        ("tuned-7", {"thinkingBudget": 0}),
    ],
)
@pytest.mark.parametrize("off", [Thinking(effort="none"), Thinking(is_enabled=False)])
def test_thinking_is_switched_off_where_it_can_be(model: str, sent: object, off: Thinking) -> None:
    made, done = thought(model, off)
    can = model in ("gemini-2.5-flash", "gemini-2.5-flash-lite", "tuned-7") or sent is None
    assert made == sent and done.dropped == () and len(done.changed) == (not can)


@pytest.mark.parametrize("model", ["gemini-2.0-flash", "gemini-2.5-flash-image", "gemini-2.5-pro-preview-tts", "gemma-3-27b-it", "gemma-3n-e4b-it"])
def test_models_that_do_not_think_are_not_asked_to(model: str) -> None:
    made, done = thought(model, Thinking(effort="high"))
    assert made is None and done.dropped == ("reasoning",)


def test_a_model_of_which_nothing_is_known_gets_a_budget_and_what_the_catalogue_says_counts_before_the_name() -> None:
    assert thought("tuned-7", Thinking(effort="low"), max_tokens=10000)[0] == {"thinkingBudget": 2000, "includeThoughts": True}
    told = Target("gemini-2.5-of-the-lab", efforts=("max", "high", "low"))
    body, done = written(told, thinking=Thinking(effort="medium"))
    assert body["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "HIGH", "includeThoughts": True}
    assert done.changed == ("reasoning.effort: medium sent as level HIGH",)
    for parameters, is_asked in ((frozenset({"reasoning"}), True), (frozenset({"tools"}), False)):
        body, done = written(Target("gemini-2.0-flash", parameters=parameters), thinking=Thinking(effort="low"))
        assert bool(body.get("generationConfig")) == is_asked and bool(done.dropped) != is_asked


def test_thinking_switched_on_is_medium_and_only_shown_is_only_shown() -> None:
    assert thought("gemini-3.5-flash", Thinking(is_enabled=True))[0] == {"thinkingLevel": "MEDIUM", "includeThoughts": True}
    assert thought("gemini-3.5-flash", Thinking(summary="auto"))[0] == {"includeThoughts": True}
    assert thought("gemini-3.5-flash", Thinking(is_excluded=True))[0] is None
