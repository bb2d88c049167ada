"""Answers of Gemini as events: whole, and in pieces."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.price import Usage
from kilo_gateway.dialects.gemini.asking import write_request
from kilo_gateway.dialects.gemini.reading import Reader, read_answer, read_error
from kilo_gateway.dialects.hub.answered import (
    Acted,
    Answer,
    Begun,
    CallBegun,
    CallDelta,
    Cited,
    Drawn,
    Event,
    Failed,
    Finished,
    Spoken,
    TextDelta,
    ThoughtDelta,
    Told,
)
from kilo_gateway.dialects.hub.asked import Image, Message, Part, Request, Target, Text, Thought, ToolCall
from kilo_gateway.dialects.hub.folding import fold

G = "google-gemini-v1"
USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 3, "totalTokenCount": 13}


def body(*parts: object, finish: str | None = "STOP", usage: object = USAGE, **members: object) -> bytes:
    candidate: dict[str, object] = {"content": {"role": "model", "parts": list(parts)}, "index": 0} | members
    if finish:
        candidate["finishReason"] = finish
    made = {"candidates": [candidate], "modelVersion": "gemini-9", "responseId": "r-1_"}
    return json.dumps(made | ({"usageMetadata": usage} if usage else {}), ensure_ascii=False).encode()


def events(*parts: object, finish: str | None = "STOP", **members: object) -> list[Event]:
    """Between the beginning, and usage and end."""
    made = read_answer(body(*parts, finish=finish, **members))
    assert made[0] == Begun("r-1_", "gemini-9") and isinstance(made[-1], Finished)
    return made[1:-2]


def streamed(*chunks: bytes) -> tuple[list[Event], Reader]:
    reader = Reader()
    return [event for chunk in chunks for event in reader.read(b"", chunk)], reader


def call(name: str = "look", **members: object) -> dict[str, object]:
    return {"functionCall": {"name": name} | members}


def test_a_text_answer_is_begun_said_told_and_finished() -> None:
    assert read_answer(body({"text": "Grüße"})) == [
        Begun("r-1_", "gemini-9"), TextDelta("Grüße"), Told(Usage(10, 3)), Finished("stop", "STOP"),
    ]  # fmt: skip


def test_a_stream_is_over_with_its_connection_for_usage_may_follow_the_reason() -> None:
    made, reader = streamed(body({"text": "a"}, finish=None), body({"text": "b"}, finish=None, usage=None))
    assert made == [Begun("r-1_", "gemini-9"), TextDelta("a"), Told(Usage(10, 3)), TextDelta("b")]
    assert reader.read(b"", body({"text": ""}, usage=None)) == [Finished("stop", "STOP")]
    assert not reader.is_done
    assert reader.read(b"", b'{"usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":9}}') == [Told(Usage(10, 9))]


def test_a_time_of_creation_becomes_seconds() -> None:
    made = json.loads(body({"text": "a"})) | {"createTime": "2026-03-05T22:50:32.281553Z"}
    assert read_answer(json.dumps(made).encode())[0] == Begun("r-1_", "gemini-9", 1772751032)
    assert read_answer(json.dumps(made | {"createTime": "soon"}).encode())[0] == Begun("r-1_", "gemini-9")


def test_thoughts_are_numbered_by_their_run() -> None:
    made = events({"text": "I ", "thought": True}, {"text": "see", "thought": True}, {"text": "Yes."}, {"text": "Hm", "thought": True})
    assert made == [
        ThoughtDelta(0, "I ", format=G), ThoughtDelta(0, "see", format=G), TextDelta("Yes."), ThoughtDelta(1, "Hm", format=G),
    ]  # fmt: skip


def test_signatures_of_thought_text_and_image_become_thoughts() -> None:
    assert events({"text": "I see", "thought": True, "thoughtSignature": "AAAA"}, {"text": "x", "thought": True}) == [
        ThoughtDelta(0, "I see", signature="AAAA", format=G), ThoughtDelta(1, "x", format=G),
    ]  # fmt: skip
    assert events({"text": "Yes."}, {"text": "", "thoughtSignature": "AAAA"}) == [
        TextDelta("Yes."), ThoughtDelta(0, signature="AAAA", format=G),
    ]  # fmt: skip
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}, "thoughtSignature": "AAAA"}
    assert events(image) == [Drawn("data:image/png;base64,iVBOR"), ThoughtDelta(0, signature="AAAA", format=G)]


def test_calls_keep_their_arguments_to_the_byte_and_end_the_answer_as_calls() -> None:
    raw = body({"text": "Well"}, call(id="c1", args={}), call("find")).replace(b'"args": {}', b'"args": {"n": 1.0, "s": "\\u00fc"}')
    made = read_answer(raw)
    assert made[1:-2] == [
        TextDelta("Well"), CallBegun(0, "c1", "look"), CallDelta(0, '{"n": 1.0, "s": "\\u00fc"}'),
        CallBegun(1, "call_r-1__374be397_1", "find"), CallDelta(1, "{}"),
    ]  # fmt: skip
    assert made[-1] == Finished("tool_calls", "STOP")


def test_an_end_that_is_said_again_is_told_once() -> None:
    made, _ = streamed(body({"text": "a"}), body({"text": "b"}), body(call(id="1")))
    assert [each for each in made if isinstance(each, Finished)] == [Finished("stop", "STOP"), Finished("tool_calls", "STOP")]


def test_calls_over_several_chunks_are_counted_on() -> None:
    made, _ = streamed(body(call(), finish=None), body(call()))
    assert [event.id for event in made if isinstance(event, CallBegun)] == ["call_r-1__8c578e11_0", "call_r-1__8c578e11_1"]
    assert made[-1] == Finished("tool_calls", "STOP")


def test_an_id_is_made_where_there_is_none_at_all() -> None:
    raw = json.dumps({"candidates": [{"content": {"parts": [call()]}, "finishReason": "STOP"}]}).encode()
    ids = [event.id for event in read_answer(raw) + read_answer(raw) if isinstance(event, CallBegun)]
    assert ids[0] == ids[1] and ids[0].startswith("call_")


def test_a_signature_of_a_call_stays_on_it() -> None:
    assert events(call(id="1") | {"thoughtSignature": "AAAA"})[0] == CallBegun(0, "1", "look", "AAAA")


@pytest.mark.parametrize(
    "part",
    [
        {"inlineData": {"mimeType": "image/png", "data": "iVBOR"}, "thought": True},
        {"fileData": {"fileUri": "https://h/x"}},
        {"somethingNew": 1},
        {},
    ],
)
def test_what_is_google_s_own_is_left_out(part: object) -> None:
    assert events(part, {"text": "2"}) == [TextDelta("2")]


def test_what_google_s_own_tools_did_is_named() -> None:
    assert events(
        {"executableCode": {"language": "PYTHON", "code": "1+1"}}, {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "x"}, "thoughtSignature": "AAAA"}, {"toolResponse": {"id": "x"}},
    ) == [Acted("executable_code"), Acted("code_execution_result"), Acted("tool_call"), Acted("tool_response")]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "format"), [("audio/L16;codec=pcm;rate=24000", "pcm16"), ("audio/wav", "wav"), ("audio/mpeg", "mp3"), ("audio/ogg", "ogg")]
)
def test_audio_is_spoken(kind: str, format: str) -> None:
    assert events({"inlineData": {"mimeType": kind, "data": "AAAA"}}) == [Spoken("AAAA", format=format)]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("STOP", "stop"), ("MAX_TOKENS", "length"), ("CONTINUATION", "length"), ("SAFETY", "content_filter"), ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"), ("PROHIBITED_CONTENT", "content_filter"), ("SPII", "content_filter"),
        ("LANGUAGE", "content_filter"), ("IMAGE_SAFETY", "content_filter"), ("MODEL_ARMOR", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"), ("UNEXPECTED_TOOL_CALL", "error"), ("TOO_MANY_TOOL_CALLS", "error"),
        ("OTHER", "error"), ("NEWLY_INVENTED", "error"),
    ],
)  # fmt: skip
def test_each_reason_has_one_of_ours(theirs: str, ours: str) -> None:
    assert read_answer(body({"text": "a"}, finish=theirs))[-1] == Finished(ours, theirs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("STOP", "tool_calls"), ("UNEXPECTED_TOOL_CALL", "tool_calls"), ("MAX_TOKENS", "length"), ("SAFETY", "content_filter")],
)
def test_calls_change_a_good_end_only(theirs: str, ours: str) -> None:
    assert read_answer(body(call(), finish=theirs))[-1] == Finished(ours, theirs)  # type: ignore[arg-type]


def test_a_blocked_prompt_is_filtered_content() -> None:
    made, reader = streamed(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4},"responseId":"r"}')
    assert made == [Begun("r"), Told(Usage(4, 0)), Finished("content_filter", "SAFETY")] and not reader.is_done


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 4}, Usage(10, 7, reasoning_tokens=4)),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 8}, Usage(10, 0, cache_read_tokens=8)),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 80}, Usage(10, 0, cache_read_tokens=10)),
        ({"promptTokenCount": 10, "toolUsePromptTokenCount": 90, "candidatesTokenCount": 1}, Usage(100, 1)),
        (
            {
                "promptTokenCount": 30, "candidatesTokenCount": 9, "cachedContentTokenCount": 10,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 5}, {"modality": "AUDIO", "tokenCount": 12}, {"modality": "IMAGE", "tokenCount": 13},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 8}, {"modality": "AUDIO", "tokenCount": 1}],
            },
            Usage(
                30, 9, cache_read_tokens=10, cache_audio_tokens=6, input_audio_tokens=12, input_image_tokens=13,
                output_audio_tokens=1, output_image_tokens=8,
            ),
        ),
    ],
)  # fmt: skip
def test_usage_includes_what_belongs_to_it(told: object, usage: Usage) -> None:
    assert read_answer(body({"text": "a"}, usage=told))[-2] == Told(usage)


@pytest.mark.parametrize(
    "told", [{}, {"trafficType": "ON_DEMAND"}, {"promptTokenCount": -1}, {"promptTokenCount": "many"}, {"promptTokenCount": 10**10}, 5, None]
)
def test_usage_that_cannot_be_true_is_not_told(told: object) -> None:
    raw = body({"text": "a"}, usage=None)[:-1] + b',"usageMetadata":%b}' % json.dumps(told).encode()
    assert not [event for event in read_answer(raw) if isinstance(event, Told)]


WEB = {"web": {"uri": "https://h/1", "title": "One"}}
FOUND = {"retrievedContext": {"uri": "https://h/2", "title": "Two", "text": "as it stands there"}}


def grounding(*supports: object, chunks: tuple[object, ...] = (WEB, FOUND)) -> dict[str, object]:
    return {"groundingChunks": list(chunks), "groundingSupports": list(supports)}


def test_offsets_in_bytes_become_characters() -> None:
    support = {"segment": {"startIndex": 4, "endIndex": 14, "text": "größer"}, "groundingChunkIndices": [0, 1, 7]}
    support["segment"]["endIndex"] = 4 + len("größer".encode())  # type: ignore[index]
    made = events({"text": "Öl größer"}, groundingMetadata=grounding(support))
    assert made == [
        TextDelta("Öl größer"), Cited("https://h/1", "One", "", 3, 9), Cited("https://h/2", "Two", "as it stands there", 3, 9),
    ]  # fmt: skip


@given(st.text(min_size=1), st.data())
def test_a_place_in_bytes_is_the_same_place_in_characters(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), min_size=2, max_size=2)))
    begin, end = (len(text[:cut].encode()) for cut in cuts)
    support = {"segment": {"startIndex": begin, "endIndex": end, "text": text[cuts[0] : cuts[1]]}, "groundingChunkIndices": [0]}
    at = data.draw(st.integers(0, len(text)))
    made, _ = streamed(
        body({"text": text[:at]}, finish=None), body({"text": text[at:]}, finish=None), body({"text": ""}, groundingMetadata=grounding(support))
    )
    assert [(each.begin, each.end) for each in made if isinstance(each, Cited)] == [tuple(cuts)]


@pytest.mark.parametrize(
    ("segment", "place"),
    [
        ({"partIndex": 2, "startIndex": 0, "endIndex": 4, "text": "More"}, (4, 8)),
        ({"partIndex": 2, "startIndex": 0, "endIndex": 4}, (4, 8)),
        ({"startIndex": 0, "endIndex": 4, "text": "More"}, (4, 8)),
        ({"partIndex": 9, "startIndex": 50, "endIndex": 54, "text": "text"}, (9, 13)),
        ({"endIndex": 400, "text": "nowhere"}, (-1, -1)),
        ({"startIndex": 9, "endIndex": 2}, (-1, -1)),
    ],
)
def test_the_words_decide_where_offsets_are_wrong(segment: object, place: tuple[int, int]) -> None:
    support = {"segment": segment, "groundingChunkIndices": [0]}
    made = events({"text": "Some"}, {"executableCode": {}}, {"text": "More text"}, groundingMetadata=grounding(support))
    assert made[-1] == Cited("https://h/1", "One", "", *place)


def test_sources_without_places_are_cited_without_and_each_once() -> None:
    chunks = (WEB, {"maps": {"uri": "https://m/1", "title": "Ulm"}}, {"image": {"sourceUri": "https://i/1", "imageUri": "x"}}, {"web": {}}, {"new": 1})
    first = body({"text": "a"}, finish=None, groundingMetadata=grounding(chunks=chunks))
    made, _ = streamed(first, body({"text": "b"}, groundingMetadata=grounding(chunks=chunks)))
    assert [each for each in made if isinstance(each, Cited)] == [
        Cited("https://h/1", "One"), Cited("https://m/1", "Ulm"), Cited("https://i/1"),
    ]  # fmt: skip


def test_recited_sources_are_cited() -> None:
    source = {"uri": "https://h/9", "startIndex": 3, "endIndex": 5}
    for name in ("citations", "citationSources"):
        assert events({"text": "Öl ab"}, citationMetadata={name: [source]})[-1] == Cited("https://h/9", "", "", 2, 4)


@pytest.mark.parametrize("broken", ["x", 5, {"groundingChunks": 1}, {"groundingSupports": [{"segment": []}]}])
def test_sources_that_cannot_be_read_do_not_harm(broken: object) -> None:
    assert events({"text": "a"}, groundingMetadata=broken, citationMetadata=broken) in ([TextDelta("a")],)


def test_the_second_candidate_is_not_mixed_in() -> None:
    raw = json.dumps({"candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}, "finishReason": "STOP"}]}).encode()
    made, reader = streamed(raw)
    assert made == [Begun()] and not reader.is_done


@pytest.mark.parametrize("broken", [b"", b"{", b"7", b'{"candidates":7}', b'{"candidates":[{"content":{"parts":[{"text":7}]}}]}', b"\xff", b"[" * 5000])
def test_what_cannot_be_read_is_a_bad_answer(broken: bytes) -> None:
    with pytest.raises(BadAnswer):
        Reader().read(b"", broken)
    with pytest.raises(BadAnswer):
        read_answer(broken)


def test_an_answer_that_has_not_ended_is_a_bad_answer() -> None:
    for raw in (b"{}", b"[]", body(finish=None)):
        with pytest.raises(BadAnswer):
            read_answer(raw)


def test_an_answer_that_came_whole_may_forget_to_say_that_it_ended() -> None:
    assert read_answer(body({"text": "a"}, finish=None))[-1] == Finished("stop", "FINISH_REASON_UNSPECIFIED")


def test_usage_that_knows_the_prompt_alone_is_an_estimate_until_the_end() -> None:
    reader = Reader()
    [told] = [each for each in reader.read(b"", body({"text": "a"}, finish=None, usage={"promptTokenCount": 3})) if isinstance(each, Told)]
    assert (told.usage.prompt_tokens, told.usage.is_estimated) == (3, True)
    [told] = [each for each in reader.read(b"", body(usage={"promptTokenCount": 3})) if isinstance(each, Told)]
    assert not told.usage.is_estimated


def test_half_an_emoji_is_read_all_the_same() -> None:
    assert read_answer(body({"text": "@"}).replace(b"@", b"\\ud83d"))[1] == TextDelta("\ufffd")


def test_unknown_members_and_empty_chunks_give_nothing() -> None:
    made, reader = streamed(body({"text": "a"}, finish=None, usage=None), b'{"modelStatus":{"x":1}}', b'{"candidates":[]}', b'{"candidates":null}')
    assert made == [Begun("r-1_", "gemini-9"), TextDelta("a")] and not reader.is_done


ERROR = b'{"error":{"code":429,"message":"Slow down.","status":"RESOURCE_EXHAUSTED","details":[]}}'


@pytest.mark.parametrize("raw", [ERROR, b"[" + ERROR + b"]", b"\n [" + ERROR + b"\n]\n"])
def test_an_error_is_read_alone_in_an_array_and_in_a_stream(raw: bytes) -> None:
    assert read_error(raw, 503) == Failed("Slow down.", "RESOURCE_EXHAUSTED", 503)
    made, reader = streamed(body({"text": "a"}, finish=None, usage=None), raw)
    assert made[-1] == Failed("Slow down.", "RESOURCE_EXHAUSTED", 429) and reader.is_done
    assert read_answer(raw)[-1] == Failed("Slow down.", "RESOURCE_EXHAUSTED", 429)


@pytest.mark.parametrize(
    ("raw", "failed"),
    [
        (b"<html>Bad gateway</html>", Failed("The upstream reported an error that cannot be read.", "upstream_error", 502)),
        (b"", Failed("The upstream reported an error that cannot be read.", "upstream_error", 502)),
        (b'{"error":"no"}', Failed("no", "upstream_error", 502)),
        (b'{"error":{"message":"no","status":"what the prompt said"}}', Failed("no", "upstream_error", 502)),
        (b'{"error":{"message":"no","code":"quota"}}', Failed("no", "quota", 502)),
        (b'{"error":{}}', Failed("The upstream reported an error.", "upstream_error", 502)),
        (b'{"error":{"code":99999}}', Failed("The upstream reported an error.", "upstream_error", 502)),
        (b"[]", Failed("The upstream reported an error that cannot be read.", "upstream_error", 502)),
    ],
)
def test_errors_are_read_however_they_are_worded(raw: bytes, failed: Failed) -> None:
    assert read_error(raw, 502) == failed


def test_a_stream_that_came_as_one_array_is_an_answer() -> None:
    raw = b"[%b,\n%b]" % (body({"text": "a"}, finish=None), body({"text": "b"}))
    assert fold(read_answer(raw)) == Answer(
        begun=Begun("r-1_", "gemini-9"), blocks=(Text("ab"),), usage=Usage(10, 3), finished=Finished("stop", "STOP")
    )


PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"text": text}, st.text(max_size=6)),
        st.builds(lambda text: {"text": text, "thought": True}, st.text(min_size=1, max_size=6)),
        st.builds(lambda text: {"text": text, "thoughtSignature": "AAAA"}, st.text(max_size=6)),
        st.builds(lambda name, x: call(name, args={"x": x}), st.sampled_from("fg"), st.integers()),
        st.just({"toolCall": {"id": "1"}}),
    ),
    max_size=8,
)


@given(PARTS, st.data())
def test_a_stream_folds_to_the_json_answer_however_it_is_cut(parts: list[dict[str, Any]], data: st.DataObject) -> None:
    chunks: list[bytes] = []
    for part in parts:
        plain = set(part) == {"text"}
        cut = data.draw(st.integers(0, len(part["text"]))) if plain else 0
        pieces = [{"text": part["text"][:cut]}, {"text": part["text"][cut:]}] if plain else [part]
        chunks += [body(piece, finish=None) for piece in pieces]
    made, reader = streamed(*chunks, body({"text": ""}))
    assert not reader.is_done and fold(made) == fold(read_answer(body(*parts)))


@given(PARTS)
def test_an_answer_that_is_replayed_is_what_the_model_said(parts: list[dict[str, Any]]) -> None:
    """Unsigned thoughts and what is Google's own excepted."""
    answer = fold(read_answer(body(*parts)))
    said: list[Part] = [Image(block.url) if isinstance(block, Drawn) else block for block in answer.blocks]
    messages = (Message("user", (Text("go"),)), Message("assistant", tuple(said)))
    turns = json.loads(write_request(Request(model="m", messages=messages), Target("gemini-2.5-flash")).body)["contents"]
    replayed = turns[1]["parts"] if len(turns) > 1 else []
    texts = ["".join(part.get("text", "") for part in each if not part.get("thought")) for each in (parts, replayed)]
    calls = [[(c["name"], c["args"]) for part in each if (c := part.get("functionCall"))] for each in (parts, replayed)]
    assert texts[0] == texts[1] and calls[0] == calls[1]


def test_what_gemini_has_signed_comes_back_to_it_as_it_was() -> None:
    parts = [
        {"text": "I see", "thought": True, "thoughtSignature": "AAAA"}, {"text": "Well.", "thoughtSignature": "BBBB"},
        call(id="1", args={"x": 1}) | {"thoughtSignature": "CCCC"}, call(id="2", args={}),
    ]  # fmt: skip
    blocks = fold(read_answer(body(*parts))).blocks
    assert [type(block) for block in blocks] == [Thought, Text, Thought, ToolCall, ToolCall]
    messages = (Message("user", (Text("go"),)), Message("assistant", tuple(b for b in blocks if not isinstance(b, Drawn))))
    done = write_request(Request(model="m", messages=messages), Target("gemini-3-pro-preview"))
    assert json.loads(done.body)["contents"][1]["parts"] == parts


NAMES = ["candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "id", "args", "inlineData", "mimeType", "data", "finishReason", "index", "groundingMetadata", "groundingChunks", "web", "uri", "groundingSupports", "segment", "startIndex", "endIndex", "groundingChunkIndices", "citationMetadata", "citations", "usageMetadata", "promptTokenCount", "candidatesTokenCount", "promptTokensDetails", "modality", "tokenCount", "promptFeedback", "blockReason", "modelVersion", "responseId", "createTime", "error", "message", "code", "status"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**65) | st.floats(allow_nan=False) | st.sampled_from(["STOP", "SAFETY", "a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=30,
)


@given(st.one_of(st.binary(max_size=20), ANYTHING.map(lambda value: json.dumps(value).encode())), st.integers(400, 599))
def test_whatever_comes_is_read_or_a_bad_answer(raw: bytes, status: int) -> None:
    for read in (lambda: Reader().read(b"", raw), lambda: read_answer(raw)):
        with suppress(BadAnswer):
            assert isinstance(read(), list)
    assert read_error(raw, status).status == status
