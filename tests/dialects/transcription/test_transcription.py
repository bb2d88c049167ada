"""Transcriptions: what is asked, what the upstream gets, what comes back and what it costs."""

import base64
import json
import struct

import pytest
from msgspec.structs import replace

from kilo_gateway.core.errors import BadAnswer, BadRequest, TooLarge, Truncated, UpstreamError, UpstreamRefused
from kilo_gateway.core.price import Price, Usage
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.table import SERVICES
from kilo_gateway.dialects.transcription.form import Part, parts_of, written

TRANSCRIPTION = SERVICES["transcription"]
BY_TIME, BY_TOKENS = Price(0, 0, audio_hour=360_000_000_000), Price(2_500_000, 10_000_000, input_audio=6_000_000)
ENDPOINT = Endpoint("one", "a/m", Origin("h", 1), "openai-chat", b'"theirs"', b"", b"", b'"one"', b'"a/m"', BY_TIME)
MP3 = b"\xff\xfb" + b"\0" * 15_998  # two seconds at a usual rate
JSON = b"application/json"


def wav(seconds: int, size: int | None = None) -> bytes:
    samples = b"\0" * (16_000 * seconds)
    head = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 8_000, 16_000, 2, 16)
    return head + b"LIST\x01\0\0\0x\0" + struct.pack("<4sI", b"data", len(samples) if size is None else size) + samples


def formed(audio: bytes = MP3, **fields: str) -> Call:
    given = [(name.replace("__", "[]"), value) for name, value in {"model": "a/m", **fields}.items()]
    body, _ = written(given, Part("file", memoryview(audio), "talk.mp3", "audio/mpeg"), "b")
    return TRANSCRIPTION.open_body(body)


def asked(audio: bytes = MP3, **members: object) -> Call:
    given = {"model": "a/m", "input_audio": {"data": base64.b64encode(audio).decode(), "format": "mp3"}, **members}
    return TRANSCRIPTION.open_body(json.dumps(given).encode())


def sent(call: Call, endpoint: Endpoint = ENDPOINT) -> tuple[list[tuple[str, str]], Part]:
    call.id = "gen-1"
    body = TRANSCRIPTION.shape(call, endpoint)
    assert call.content_type.startswith(b"multipart/form-data; boundary=kilo-gen-1")
    *fields, file = parts_of(body)
    return [(each.name, each.text()) for each in fields], file


def answered(call: Call, answer: object, endpoint: Endpoint = ENDPOINT) -> tuple[dict[str, object], Usage, int | None]:
    body = TRANSCRIPTION.translator(call, endpoint, JSON)
    body.feed(json.dumps(answer).encode())
    return json.loads(body.finish()), body.used(), body.cost


def test_a_form_is_sent_on_with_the_upstreams_own_model() -> None:
    call = formed(language="en", timestamp_granularities__="word", user="u")
    fields, file = sent(call)
    assert fields == [("model", "theirs"), ("language", "en"), ("timestamp_granularities[]", "word")]
    assert (bytes(file.data), file.filename, file.content_type) == (MP3, "talk.mp3", "audio/mpeg")
    assert call.dropped == ("user",)


def test_json_becomes_a_form() -> None:
    call = asked(language="en", temperature=0.2, timestamp_granularities=["word", "segment"], diarize=True, x={"a": 1}, prompt=None, provider={})
    fields, file = sent(call)
    assert fields == [
        ("model", "theirs"), ("language", "en"), ("temperature", "0.2"), ("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment"),
        ("diarize", "true"), ("x", '{"a":1}'),
    ]  # fmt: skip
    assert (bytes(file.data), file.filename, file.content_type) == (MP3, "audio.mp3", "audio/mpeg") and call.dropped == ("provider",)


def test_a_data_url_is_taken_for_base64() -> None:
    _, file = sent(asked(input_audio={"data": "data:audio/wav;base64,UklGRg==", "format": "wav"}))
    assert (bytes(file.data), file.filename) == (b"RIFF", "audio.wav")


def test_a_stream_is_asked_for_as_one() -> None:
    assert ("stream", "true") in sent(formed(stream="true"))[0] and ("stream", "true") in sent(asked(stream=True))[0]
    assert not formed(stream="false").is_stream


def test_a_limit_on_cost_is_read_from_both() -> None:
    assert formed(max_cost_usd="0.5").ceiling == asked(max_cost_usd=0.5).ceiling == 500_000_000
    assert ("max_cost_usd", "0.5") not in sent(formed(max_cost_usd="0.5"))[0]


@pytest.mark.parametrize(
    "wrong", [{"input_audio": None}, {"input_audio": "x"}, {"input_audio": {"data": "%%%", "format": "wav"}}, {"input_audio": {"data": "é"}}, {"input_audio": {"url": "http://x/a.wav"}},
              {"input_audio": {"data": "", "format": "wav"}}, {"input_audio": {"data": "AAAA", "format": "../x"}}, {"model": 7}, {"input_audio": {"data": "AAA"}}, {"input_audio": {"data": "AAAA AAAA"}},
              {"input_audio": {"data": "data:audio/wav;base64,%%"}}, {"x": [1] * 200}, {"x": "y" * 300_000}],
)  # fmt: skip
def test_json_that_is_wrong_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        asked(**wrong)


@pytest.mark.parametrize("fields", [{"model": ""}, {"stream": "yes"}, {"max_cost_usd": "much"}, {"prompt": "x" * 300_000}])
def test_a_form_that_is_wrong_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        formed(**fields)


def test_audio_that_is_empty_or_too_much_is_refused() -> None:
    with pytest.raises(BadRequest, match="empty"):
        formed(b"")
    with pytest.raises(TooLarge, match="25 MB"):
        formed(b"x" * (25 * 1024 * 1024 + 1))


def test_its_size_is_that_of_what_is_heard_and_not_of_its_bytes() -> None:
    call = formed(wav(100))
    assert call.estimated == Usage(1_000, is_estimated=True, audio_ms=100_000) and call.size // 4 == 1_000
    assert TRANSCRIPTION.extent(call).audio_ms == 100_000
    assert TRANSCRIPTION.extent(formed()).audio_ms == 22_000, "at the least rate there is"
    assert formed(wav(3, 0)).size == formed(wav(3, 0xFFFFFFFF)).size == formed(wav(3)).size, "whatever its head says"


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [(replace(ENDPOINT, dialect="gemini"), "chat/completions"), (replace(ENDPOINT, is_local=True), "chat/completions"), (replace(ENDPOINT, services={}), "transcription"),
     (replace(ENDPOINT, services={"transcription": ""}), ""), (ENDPOINT, "")],
)  # fmt: skip
def test_who_cannot_says_so(endpoint: Endpoint, reason: str) -> None:
    obstacle = TRANSCRIPTION.obstacle(formed(), endpoint)
    assert reason in obstacle and bool(reason) == bool(obstacle)


def test_what_is_paid_by_time_costs_the_time_that_is_told() -> None:
    told, usage, cost = answered(formed(), {"text": "hi", "usage": {"type": "duration", "seconds": 9}})
    assert (told["text"], told["model"], told["provider"]) == ("hi", "a/m", "one") and not usage.is_estimated
    assert told["usage"] == {"type": "duration", "seconds": 9, "cost": 0.0009} and (usage.audio_ms, cost) == (9_000, 900_000)


def test_what_is_paid_by_tokens_costs_its_tokens() -> None:
    usage = {"type": "tokens", "input_tokens": 14, "input_token_details": {"text_tokens": 4, "audio_tokens": 10}, "output_tokens": 5, "total_tokens": 19}
    _, used, cost = answered(formed(), {"text": "hi", "usage": usage}, replace(ENDPOINT, price=BY_TOKENS))
    assert used == Usage(14, 5, input_audio_tokens=10) and cost == 4 * 2_500 + 10 * 6_000 + 5 * 10_000


@pytest.mark.parametrize(
    ("answer", "price", "expected"),
    [
        ({"duration": 1.5}, BY_TIME, Usage(audio_ms=1_500)), ({"duration": "1.5"}, BY_TIME, Usage(audio_ms=1_500)),
        ({"usage": {"prompt_audio_seconds": 3, "prompt_tokens": 4, "completion_tokens": 6}}, BY_TIME, Usage(4, 6, audio_ms=3_000)),
        ({}, BY_TIME, Usage(20, 3, is_estimated=True, audio_ms=2_000)), ({}, BY_TOKENS, Usage(20, 3, is_estimated=True, audio_ms=2_000)),
        ({"usage": {"seconds": 5}}, BY_TOKENS, Usage(50, 3, is_estimated=True, audio_ms=5_000)), ({"usage": {"seconds": 5}}, None, Usage(audio_ms=5_000)),
        ({"usage": {"input_tokens": 9, "output_tokens": 1}}, BY_TIME, Usage(9, 1, is_estimated=True, audio_ms=2_000)),
        ({"usage": {"seconds": -5}}, BY_TIME, Usage(20, 3, is_estimated=True, audio_ms=2_000)), ({"usage": "x"}, BY_TIME, Usage(20, 3, is_estimated=True, audio_ms=2_000)),
    ],
)  # fmt: skip
def test_what_is_not_told_and_has_a_price_is_estimated(answer: dict[str, object], price: Price | None, expected: Usage) -> None:
    told, used, cost = answered(formed(), {"text": "0123456789", **answer}, replace(ENDPOINT, price=price))
    assert used == expected and (cost is None) == (price is None)
    assert isinstance(told["usage"], dict) and told["usage"].get("estimated", False) == expected.is_estimated and "cost" in told["usage"]


def test_what_the_provider_charged_is_believed_where_its_word_is_taken() -> None:
    answer = {"text": "hi", "usage": {"seconds": 9, "cost": 0.5}}
    assert answered(formed(), answer, replace(ENDPOINT, is_cost_reported=True))[2] == 500_000_000
    assert answered(formed(), answer)[2] == 900_000


def test_text_and_subtitles_pass_as_they_came() -> None:
    for form in ("text", "srt", "vtt"):
        body = TRANSCRIPTION.translator(formed(response_format=form), ENDPOINT, b"text/plain")
        body.feed(b"1\n00:00")
        body.feed(b" --> \n\n")
        assert body.finish() == b"1\n00:00 --> \n\n" and body.cost == 200_000 and body.used().is_estimated


@pytest.mark.parametrize("answer", [[], {"text": 7}, {"error": {"message": "no"}}, {}, 7])
def test_what_is_no_transcript_is_an_error(answer: object) -> None:
    for endpoint in (ENDPOINT, replace(ENDPOINT, price=None)):
        with pytest.raises(UpstreamError):
            answered(formed(), answer, endpoint)
    with pytest.raises(BadAnswer):
        TRANSCRIPTION.translator(formed(), ENDPOINT, b"text/html")


EVENTS = (
    b'data: {"type":"transcript.text.delta","delta":"Hel"}\n\n', b": alive\n\n", b'data: {"type":"transcript.text.delta","delta":"lo"}\n\n',
    b'data: {"type":"transcript.text.done","text":"Hello","usage":{"type":"tokens","input_tokens":14,"output_tokens":2,"total_tokens":16}}\n\n', b"data: [DONE]\n\n",
)  # fmt: skip


@pytest.mark.parametrize("cut", [1, 7, 1000])
def test_a_stream_passes_and_its_last_event_has_the_cost(cut: int) -> None:
    stream = TRANSCRIPTION.translator(formed(stream="true"), replace(ENDPOINT, price=BY_TOKENS), b"text/event-stream")
    whole = b"".join(EVENTS)
    out = b"".join(stream.feed(whole[at : at + cut]) for at in range(0, len(whole), cut)) + stream.finish()
    told = [json.loads(event[6:]) for event in out.split(b"\n\n") if event]
    assert [event.get("delta") for event in told] == ["Hel", "lo", None] and stream.is_done
    assert told[-1]["usage"]["cost"] == 0.000055 and stream.cost == 55_000


def test_a_stream_that_stops_early_or_tells_an_error_has_failed() -> None:
    stream = TRANSCRIPTION.translator(formed(stream="true"), ENDPOINT, b"text/event-stream")
    stream.feed(EVENTS[0])
    with pytest.raises(Truncated):
        stream.finish()
    assert stream.used().is_estimated
    with pytest.raises(UpstreamRefused) as refused:
        stream.feed(EVENTS[2] + b'data: {"error":{"message":"it broke"}}\n\n')
    assert refused.value.before == EVENTS[2]


def test_whoever_does_not_stream_is_made_to() -> None:
    call = formed(stream="true")
    body = TRANSCRIPTION.translator(call, ENDPOINT, JSON)
    body.feed(b'{"text":"Hello","usage":{"type":"duration","seconds":9}}')
    told = [json.loads(event[6:]) for event in body.finish().split(b"\n\n") if event]
    assert [event["type"] for event in told] == ["transcript.text.delta", "transcript.text.done"]
    assert told[1]["usage"] == {"type": "duration", "seconds": 9, "cost": 0.0009} and call.crossing is not None
