"""Transcripts on their way back. JSON and streams get their usage and its cost; texts and subtitles pass as they came."""

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadAnswer, GatewayError, Truncated, UpstreamError
from kilo_gateway.core.money import Nanos
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.finishing import UNKNOWN
from kilo_gateway.dialects.gathered import Gathered
from kilo_gateway.dialects.sse import Splitter
from kilo_gateway.dialects.transcription.recording import PLAIN_FORMATS, Recording
from kilo_gateway.dialects.transcription.usage import NOTHING, estimated, usage_in, usage_object
from kilo_gateway.dialects.troubles import opened, told_inside

_DELTA, _DONE = "transcript.text.delta", "transcript.text.done"
_encode = msgspec.json.Encoder().encode


class _Answer(Struct):
    text: str
    usage: Raw = NOTHING
    duration: Raw = NOTHING


class _Event(Struct):
    type: str = ""
    delta: str | None = None
    text: str | None = None
    usage: Raw = NOTHING
    error: Raw = NOTHING


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode


class _Heard:
    """What all answers have: their usage, told or estimated, and its cost."""

    def __init__(self, call: Call, endpoint: Endpoint, recording: Recording) -> None:
        self._call, self._endpoint, self._recording = call, endpoint, recording
        self._usage: Usage | None = None
        self._text_bytes = 0
        self.cost: Nanos | None = None
        self.upstream_id = ""

    def held(self) -> bytes:
        return b""

    def failure(self, error: GatewayError) -> bytes:
        return b""

    def used(self) -> Usage:
        return estimated(self._recording.estimated_s(), self._text_bytes) if self._usage is None else self._usage

    def finish_reason(self) -> tuple[str, str]:
        return UNKNOWN

    def estimated_output_tokens(self) -> int:
        return -(-self._text_bytes // 4)

    def _settle(self, usage: Raw, duration: Raw) -> None:
        self._usage = usage_in(usage, duration, self.used(), self._endpoint)
        self.cost = cost_of(self._usage, self._endpoint, self._call.at_ms)


class Body(_Heard):
    """One answer that is not streamed: JSON, or the text alone, which tells no usage."""

    is_done = False

    def __init__(self, call: Call, endpoint: Endpoint, recording: Recording) -> None:
        super().__init__(call, endpoint, recording)
        self._gathered = Gathered(endpoint)
        self.feed = self._gathered.feed

    def finish(self) -> bytes:
        body = self._gathered.whole()
        if self._recording.format in PLAIN_FORMATS and not body.lstrip().startswith(b"{"):
            self._text_bytes = len(body)
            self._settle(NOTHING, NOTHING)
            return body
        fields, _ = self._open(body)
        endpoint = self._endpoint
        fields["model"], fields["provider"] = Raw(endpoint.model_id_json), Raw(endpoint.label_json)
        return _encode(fields)

    def _open(self, body: bytes) -> tuple[dict[str, Raw], str]:
        """Members of a JSON answer, with usage, and its text. Raises UpstreamError."""
        fields = opened(self._endpoint, body)
        try:
            answer = _decode_answer(_encode(fields))
        except msgspec.MsgspecError as error:
            raise BadAnswer(f"{self._endpoint.provider} answered without a text.") from error
        self.upstream_id = openai_chat.id_of(fields["id"]) if "id" in fields else ""
        self._text_bytes = len(answer.text.encode())
        self._settle(answer.usage, answer.duration)
        fields["usage"] = usage_object(answer.usage, self.used(), self.cost)
        return fields, answer.text


class Unstreamed(Body):
    """An upstream that does not stream, as whisper-1 does not, has answered whole."""

    def finish(self) -> bytes:
        fields, text = self._open(self._gathered.whole())
        events = ({"type": _DELTA, "delta": text}, {"type": _DONE, "text": text, "usage": fields["usage"]})
        return b"".join(b"data: %b\n\n" % _encode(event) for event in events)


class Stream(_Heard):
    """Events pass as they came, but the last, which has the usage."""

    def __init__(self, call: Call, endpoint: Endpoint, recording: Recording) -> None:
        super().__init__(call, endpoint, recording)
        self._splitter = Splitter()
        self.is_done = False

    def feed(self, data: bytes) -> bytes:
        return self._passed(self._splitter.feed(data))

    def finish(self) -> bytes:
        rest = b"" if self.is_done else self._passed(self._splitter.rest())
        if not self.is_done:
            raise Truncated(f"{self._endpoint.provider}'s stream stopped before its end.")
        return rest

    def _passed(self, events: list[tuple[bytes, bytes]]) -> bytes:
        out: list[bytes] = []
        for name, data in events:
            if self.is_done or data.strip() == b"[DONE]":
                continue
            try:
                told = self._look_at(data)
            except UpstreamError as error:
                error.before = b"".join(out)
                raise
            if told:
                out.append((b"event: %b\n" % name if name else b"") + b"data: %b\n\n" % told)
        return b"".join(out)

    def _look_at(self, data: bytes) -> bytes:
        """The event as it leaves; nothing where it is none. Raises UpstreamError."""
        try:
            event = _decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return b""
        if (problem := openai_chat.error_of(event.error)) is not None:
            raise told_inside(self._endpoint, problem)
        if event.type != _DONE:
            self._text_bytes += len((event.delta or "").encode())
            return data.replace(b"\n", b"\ndata: ")
        self._text_bytes = len((event.text or "").encode()) or self._text_bytes
        self._settle(event.usage, NOTHING)
        self.is_done = True
        return _encode({**_decode_fields(data), "usage": usage_object(event.usage, self.used(), self.cost)})
