"""Messages as Gemini's turns: order, calls and results, signatures."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.dialects.gemini.asking import write_request
from kilo_gateway.dialects.hub.asked import (
    File,
    Image,
    Message,
    Part,
    Request,
    Target,
    Text,
    Thought,
    ToolCall,
    ToolResult,
    Written,
)

G25, G3 = Target("gemini-2.5-flash"), Target("gemini-3-pro-preview")
SIGNED = base64.b64encode(b"a thought of its own").decode()
OTHER = base64.urlsafe_b64encode(b"\xfb\xff another one").decode()
SKIP = "skip_thought_signature_validator"


def written(*messages: Message, to: Target = G25) -> tuple[dict[str, Any], Written]:
    done = write_request(Request(model="m", messages=messages), to)
    return json.loads(done.body), done


def contents(*messages: Message, to: Target = G25) -> list[dict[str, Any]]:
    body, _ = written(*messages, to=to)
    return list(body["contents"])


def user(*parts: Part | str) -> Message:
    return Message("user", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def model(*parts: Part | str) -> Message:
    return Message("assistant", tuple(Text(part) if isinstance(part, str) else part for part in parts))


def result(id: str, *parts: Part | str, is_error: bool = False, name: str = "") -> Message:
    texts = tuple(Text(part) if isinstance(part, str) else part for part in parts)
    return Message("tool", (ToolResult(id, texts, is_error, name),))


def test_system_texts_go_in_front_and_a_late_one_is_told() -> None:
    body, done = written(Message("system", (Text("Be brief."),)), user("Hi"), Message("system", (Text("In French."),)))
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "In French."}]}
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]
    assert done.changed == ("messages: a system text from between turns put in front",)


def test_a_system_text_alone_is_the_users() -> None:
    body, done = written(Message("system", (Text("Say hello."),)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Say hello."}]}]}
    assert len(done.changed) == 1


def test_consecutive_messages_of_a_role_are_one_turn_and_empty_ones_none() -> None:
    turns = contents(user("a"), user("b"), model("c"), user(""), model("d"), user("e"))
    assert [(turn["role"], [part["text"] for part in turn["parts"]]) for turn in turns] == [
        ("user", ["a", "b"]), ("model", ["c", "d"]), ("user", ["e"]),
    ]  # fmt: skip


def test_a_conversation_that_begins_with_the_model_gets_a_turn_before() -> None:
    body, done = written(model("Welcome."), user("Hi"))
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert done.changed == ("messages: an empty turn of the user's put in front",)


@pytest.mark.parametrize(
    ("name", "is_added"),
    [("gemini-2.5-pro", False), ("gemini-3.5-flash", False), ("gemini-3.5-flash-lite", True), ("gemini-3.6-flash", True), ("gemini-4-argon", True)],
)
def test_a_beginning_of_the_answer_is_kept_where_the_model_goes_on_with_it(name: str, is_added: bool) -> None:
    body, done = written(user("Hi"), model("Well,"), to=Target(name))
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"][: 2 + is_added]
    assert len(done.changed) == is_added


def test_parallel_results_come_in_one_turn_in_the_order_of_their_calls() -> None:
    calls = model(ToolCall("1", "look", '{"at": "a"}'), ToolCall("2", "find", "{}"))
    turns = contents(user("go"), calls, result("2", "two"), result("1", '{"n": 1}'), user("and?"))
    assert turns[1]["parts"] == [
        {"functionCall": {"name": "look", "args": {"at": "a"}, "id": "1"}},
        {"functionCall": {"name": "find", "args": {}, "id": "2"}},
    ]
    assert turns[2]["parts"] == [
        {"functionResponse": {"name": "look", "response": {"n": 1}, "id": "1"}},
        {"functionResponse": {"name": "find", "response": {"result": "two"}, "id": "2"}},
        {"text": "and?"},
    ]


def test_a_late_result_goes_up_to_its_call() -> None:
    turns = contents(user("go"), model(ToolCall("1", "f", "{}")), user("still there?"), model("yes"), result("1", "done"))
    assert [turn["role"] for turn in turns] == ["user", "model", "user", "model"]
    assert turns[2]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"result": "done"}, "id": "1"}},
        {"text": "still there?"},
    ]


def test_ids_that_come_again_belong_to_their_own_turn() -> None:
    turns = contents(
        user("go"), model(ToolCall("c", "f", "{}")), result("c", "first"), model(ToolCall("c", "g", "{}")), result("c", "second")
    )
    answers = [turns[at]["parts"][0]["functionResponse"] for at in (2, 4)]
    assert [(each["name"], each["response"]["result"]) for each in answers] == [("f", "first"), ("g", "second")]


def test_a_missing_result_is_added_and_an_orphan_becomes_text() -> None:
    body, done = written(result("gone", "12 degrees", name="weather"), model(ToolCall("1", "f", "{}")), user("never mind"))
    assert body["contents"][0]["parts"] == [{"text": "Result of the tool weather:\n12 degrees"}]
    assert body["contents"][2]["parts"][0]["functionResponse"]["response"] == {"error": "The call was not carried out."}
    assert len(done.changed) == 2


@pytest.mark.parametrize(
    ("text", "is_error", "response"),
    [
        ("12 degrees", False, {"result": "12 degrees"}),
        ("no such city", True, {"error": "no such city"}),
        ('{"error": "no such city"}', True, {"error": "no such city"}),
        ('{"city": "Ulm"}', True, {"error": {"city": "Ulm"}}),
        ("[1, 2]", False, {"result": "[1, 2]"}),
        ('{"half": ', False, {"result": '{"half": '}),
        ('{"$ref": "#/x"}', False, {"result": '{"$ref": "#/x"}'}),
        ("", False, {"result": ""}),
        ("{" * 100_000, False, {"result": "{" * 100_000}),
        ('{"a":' * 100_000, False, {"result": '{"a":' * 100_000}),
    ],
)
def test_a_response_is_an_object(text: str, is_error: bool, response: object) -> None:
    turns = contents(user("go"), model(ToolCall("1", "f", "{}")), result("1", text, is_error=is_error))
    assert turns[2]["parts"][0]["functionResponse"]["response"] == response


def test_images_in_results_are_parts_of_them_since_gemini_3() -> None:
    shot = Image("data:image/png;base64,iVBOR")
    messages = (user("go"), model(ToolCall("1", "f", "{}", SIGNED)), result("1", "see", shot))
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}}
    assert contents(*messages, to=G3)[2]["parts"] == [
        {"functionResponse": {"name": "f", "response": {"result": "see"}, "id": "1", "parts": [image]}}
    ]
    body, done = written(*messages)
    assert body["contents"][2]["parts"] == [{"functionResponse": {"name": "f", "response": {"result": "see"}, "id": "1"}}, image]
    assert done.changed == ("messages: images and files of results put behind them",)
    alone = contents(user("go"), model(ToolCall("1", "f", "{}", SIGNED)), result("1", File("https://h/a.pdf")), to=G3)
    assert alone[2]["parts"][0]["functionResponse"]["response"] == {}


def test_a_signature_goes_back_with_its_call() -> None:
    body, done = written(user("go"), model(ToolCall("1", "f", "{}", SIGNED), ToolCall("2", "g", "{}")), to=G3)
    parts = body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [SIGNED, None]
    assert done.changed == ("messages: a result added for a call that has none",)


@pytest.mark.parametrize(
    "parts",
    [
        (Thought(signature=SIGNED, format="google-gemini-v1"), ToolCall("1", "f", "{}")),
        (Thought("so", signature=SIGNED, format="google-gemini-v1"), ToolCall("1", "f", "{}")),
        (Thought(encrypted=SIGNED, format="google-gemini-v1"), ToolCall("1", "f", "{}")),
        (Thought(encrypted=SIGNED, format="google-gemini-v1", id="1"), Text(""), ToolCall("1", "f", "{}")),
        (Thought("so", format="google-gemini-v1"), ToolCall("1", "f", "{}", SIGNED)),
    ],
)
def test_a_signature_finds_its_call(parts: tuple[Part, ...]) -> None:
    turns = contents(user("go"), model(*parts), result("1", "x"), to=G3)
    assert turns[1]["parts"] == [{"functionCall": {"name": "f", "args": {}, "id": "1"}, "thoughtSignature": SIGNED}]


def test_signatures_before_parallel_calls_are_dealt_out_in_order() -> None:
    thoughts = [Thought(signature=each, format="google-gemini-v1") for each in (SIGNED, OTHER)]
    turns = contents(user("go"), model(*thoughts, ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}")), to=G3)
    assert [part["thoughtSignature"] for part in turns[1]["parts"]] == [SIGNED, OTHER]


@pytest.mark.parametrize("at", [0, 1])
def test_a_bare_signature_goes_to_the_text_beside_it(at: int) -> None:
    parts: list[Part] = [Text("Done.")]
    parts.insert(at, Thought(signature=SIGNED, format="google-gemini-v1"))
    assert contents(user("go"), model(*parts))[1]["parts"] == [{"text": "Done.", "thoughtSignature": SIGNED}]


def test_a_bare_signature_goes_to_the_image_before_it_or_stands_alone() -> None:
    bare = Thought(signature=SIGNED, format="google-gemini-v1")
    image = {"mimeType": "image/png", "data": "iVBOR"}
    drawn = contents(user("go"), model(Image("data:image/png;base64,iVBOR"), bare))[1]["parts"]
    assert drawn == [{"inlineData": image, "thoughtSignature": SIGNED}]
    assert contents(user("go"), model(bare))[1]["parts"] == [{"text": "", "thoughtSignature": SIGNED}]


def test_thoughts_are_replayed_only_signed_and_only_gemini_s() -> None:
    signed = Thought("I see", signature=SIGNED, format="google-gemini-v1")
    body, done = written(user("go"), model(signed, Thought("hm", format="google-gemini-v1"), "Yes."))
    assert body["contents"][1]["parts"] == [{"text": "I see", "thought": True, "thoughtSignature": SIGNED}, {"text": "Yes."}]
    assert done.changed == ("reasoning without a signature left out",)
    body, done = written(user("go"), model(Thought("hm", signature=SIGNED, format="anthropic-claude-v1"), "Yes."))
    assert body["contents"][1]["parts"] == [{"text": "Yes."}]
    assert done.changed == ("reasoning of another provider left out",)


@pytest.mark.parametrize("wrong", ["msg_ä", "not base64!", "=", "a", "====", "AB", "msg 1.2"])
def test_what_is_no_base64_is_removed_and_nothing_else(wrong: str) -> None:
    body, done = written(user("go"), model("Yes.", ToolCall("1", "f", '{"x":1}', wrong)), result("1", "x"))
    assert body["contents"][1]["parts"] == [{"text": "Yes."}, {"functionCall": {"name": "f", "args": {"x": 1}, "id": "1"}}]
    assert done.changed == ("messages: a thought signature that is not base64 removed",)


@given(st.binary(min_size=1), st.booleans(), st.booleans())
def test_every_base64_survives_untouched(made: bytes, is_url: bool, is_padded: bool) -> None:
    signature = (base64.urlsafe_b64encode if is_url else base64.b64encode)(made).decode()
    signature = signature if is_padded else signature.rstrip("=")
    body, done = written(user("go"), model(ToolCall("1", "f", "{}", signature)), result("1", "x"), to=G3)
    assert body["contents"][1]["parts"][0]["thoughtSignature"] == signature
    assert done.changed == ()


def test_gemini_3_gets_the_skip_value_on_the_first_call_of_each_turn() -> None:
    messages = (
        user("go"), model("Well,", ToolCall("1", "f", "{}"), ToolCall("2", "g", "{}")), result("1", "x"), result("2", "y"),
        model(ToolCall("3", "f", "{}", "not base64!")), result("3", "z"),
    )  # fmt: skip
    body, done = written(*messages, to=G3)
    assert [part.get("thoughtSignature") for part in body["contents"][1]["parts"]] == [None, SKIP, None]
    assert body["contents"][3]["parts"][0]["thoughtSignature"] == SKIP
    assert "messages: a call without a thought signature marked as such" in done.changed
    assert SKIP.encode() not in written(*messages)[1].body


IDS = st.sampled_from(["a", "b", "c"])
TEXTS = st.text(max_size=5)
PARTS = st.one_of(
    TEXTS.map(Text),
    st.builds(ToolCall, IDS, st.sampled_from(["f", "g"]), st.sampled_from(["{}", '{"x":[1]}']), st.sampled_from(["", SIGNED])),
    st.builds(Thought, TEXTS, signature=st.sampled_from(["", SIGNED]), format=st.sampled_from(["", "google-gemini-v1"]), id=IDS),
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(Message, st.sampled_from(["system", "user"]), st.lists(TEXTS.map(Text), max_size=2).map(tuple)),
        st.builds(Message, st.just("assistant"), st.lists(PARTS, max_size=4).map(tuple)),
        st.builds(
            Message, st.just("tool"),
            st.lists(st.builds(ToolResult, IDS, st.lists(TEXTS.map(Text), max_size=2).map(tuple)), max_size=3).map(tuple),
        ),
    ),
    max_size=10,
)  # fmt: skip


@given(MESSAGES, st.sampled_from([G25, G3]))
def test_turns_are_in_order_whatever_the_messages(messages: list[Message], to: Target) -> None:
    turns = contents(*messages, to=to)
    assert [turn["role"] for turn in turns] == ["user", "model"] * (len(turns) // 2) + ["user"] * (len(turns) % 2)
    for at, turn in enumerate(turns):
        assert turn["parts"]
        calls = [part["functionCall"] for part in turn["parts"] if "functionCall" in part]
        following = turns[at + 1]["parts"] if at + 1 < len(turns) else []
        answers = [part["functionResponse"] for part in following if "functionResponse" in part]
        assert turn["role"] == "model" or not calls
        if turn["role"] == "model":
            assert [(call["name"], call["id"]) for call in calls] == [(each["name"], each["id"]) for each in answers]
            assert all("functionResponse" in part for part in following[: len(answers)])
            assert to is G25 or not calls or next(p for p in turn["parts"] if "functionCall" in p)["thoughtSignature"]
    said = [part.text for message in messages for part in message.parts if isinstance(part, Text) and part.text]
    kept = json.dumps(written(*messages, to=to)[0])
    assert all(json.dumps(text)[1:-1] in kept for text in said)
