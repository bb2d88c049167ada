"""reasoning_details come back whole, and what is signed goes back to the upstream that gave it, through every caller."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.dialects.chat import shapes
from kilo_gateway.dialects.chat.details import Details, thoughts_of
from kilo_gateway.dialects.hub.answered import AnswerHead, CallBegun, Finished, ThoughtDelta
from kilo_gateway.dialects.hub.asked import Message, Request, Target, Text, Thought
from kilo_gateway.dialects.hub.folding import fold
from kilo_gateway.dialects.origins import origin_of
from kilo_gateway.dialects.table import CALLERS, CHAT, MESSAGES, RESPONSES, UPSTREAMS

HEAD = AnswerHead("a", 1, "m", "p")
GPT = "openai-responses-v1"


def details(*found: dict[str, Any]) -> list[shapes.Detail]:
    return msgspec.convert(list(found), list[shapes.Detail])


def endpoint(provider: str, model: str) -> Endpoint:
    return Endpoint(provider, model, Origin("h", 1), CHAT, b'"m"', b"", b"", b'"p"', b'"m"', None)


def test_each_detail_has_a_number_and_what_belongs_together_is_read_as_one() -> None:
    thoughts = [Thought("", "sum", "", "enc", GPT, "rs_1"), Thought("text", "", "sig", "", "anthropic-claude-v1")]
    numbers = Details()
    made = [detail for at, thought in enumerate(thoughts) for detail in numbers.of(thought, at)]
    assert [(each["type"], each["index"]) for each in made] == [("reasoning.summary", 0), ("reasoning.encrypted", 1), ("reasoning.text", 2)]
    assert thoughts_of(details(*made)) == thoughts


def test_pieces_that_a_client_has_kept_apart_are_one_up_to_their_signature() -> None:
    common = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    pieces = [{"text": "a"}, {"text": "b"}, {"text": "", "signature": "s"}, {"text": "c"}]
    found = thoughts_of(details(*[piece | common for piece in pieces]))
    assert [(each.text, each.signature) for each in found] == [("ab", "s"), ("c", "")]


def test_two_encrypted_and_other_ids_stay_apart() -> None:
    found = thoughts_of(details(*[{"type": "reasoning.encrypted", "data": id, "id": id, "index": 0, "format": GPT} for id in ("x", "y")]))
    assert [(each.encrypted, each.id) for each in found] == [("x", "x"), ("y", "y")]


def test_geminis_signature_of_a_call_is_a_detail_too_alike_in_json_and_stream() -> None:
    events = [ThoughtDelta(0, "hm", format="google-gemini-v1"), CallBegun(0, "c", "look", "Z2Vt"), Finished("tool_calls")]
    whole = json.loads(CALLERS[CHAT].write_answer(fold(events), HEAD, Usage(1, 1), None))["choices"][0]["message"]
    writer = CALLERS[CHAT].writer(HEAD)
    chunks = [json.loads(each[6:]) for each in writer.write(events).split(b"\n\n") if each]
    streamed = [detail for chunk in chunks for detail in chunk["choices"][0]["delta"].get("reasoning_details", ())]
    assert streamed == whole["reasoning_details"]
    assert streamed[1] == {"type": "reasoning.encrypted", "data": "Z2Vt", "format": "google-gemini-v1", "index": 1, "id": "c"}


def replayed(caller: str, answer: dict[str, Any]) -> Request:
    """The conversation as its caller sends it back."""
    if caller == MESSAGES:
        fields = {"messages": [{"role": "assistant", "content": answer["content"]}]}
    else:
        fields = {"input": answer["output"]}
    return CALLERS[caller].read_request({name: Raw(json.dumps(value).encode()) for name, value in fields.items()})


@pytest.mark.parametrize("caller", [MESSAGES, RESPONSES])
@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAA", "format": GPT, "id": "rs_1", "index": 0}]},
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": "{}"},
                         "extra_content": {"google": {"thought_signature": "Z2Vt"}}}]},
    ],
)  # fmt: skip
def test_what_a_chat_upstream_signed_goes_back_to_it_and_to_no_other(caller: str, said: dict[str, Any]) -> None:
    router = endpoint("router", "anthropic/one")
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"} | said, "finish_reason": "stop"}]}
    events = UPSTREAMS[CHAT].read_answer(json.dumps(body).encode(), router)
    request = replayed(caller, json.loads(CALLERS[caller].write_answer(fold(events), HEAD, Usage(1, 1), None)))
    for taker in (router, endpoint("router", "anthropic/two"), endpoint("router", "google/one"), endpoint("other", "anthropic/one")):
        written = UPSTREAMS[CHAT].write_request(request, Target("m", origin=origin_of(taker)))
        [message] = json.loads(written.body)["messages"]
        is_own = origin_of(taker) == origin_of(router)
        told = {name: message.get(name) for name in said}
        if "tool_calls" in said:
            assert ("extra_content" in told["tool_calls"][0]) == is_own
        else:
            assert (told == said) == is_own and ("reasoning_details" in message) == is_own
        assert written.dropped == (() if is_own else ("reasoning signatures",))
    assert origin_of(endpoint("router", "anthropic/two")) == origin_of(router) != origin_of(endpoint("router", "google/one"))


def test_what_openai_encrypted_for_another_upstreams_account_is_not_sent_to_openai() -> None:
    thought = Thought(encrypted="gAAA", format=GPT, id="rs_1", origin="0a1b2c3d")
    request = Request(model="m", messages=(Message("assistant", (thought, Text("x"))),))
    assert b"gAAA" not in UPSTREAMS[RESPONSES].write_request(request, Target("m")).body


@pytest.mark.parametrize(("member", "value", "signature"), [
    ("thought_signature", "Z2Vt", "Z2Vt"), ("thoughtSignature", "Z2Vt", "Z2Vt"), ("thought_signature", 7, ""), ("thought_signature", None, ""),
])  # fmt: skip
def test_geminis_signature_of_a_text_stands_behind_it(member: str, value: object, signature: str) -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "x", member: value}]}
    [read] = CALLERS[CHAT].read_request({"messages": Raw(json.dumps([message]).encode())}).messages
    expected = (Thought(signature=signature, format="google-gemini-v1"),) if signature else ()
    assert read.parts == (Text("x"), *expected)
