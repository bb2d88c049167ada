"""The service as callers see it: OpenAI's form, or OpenRouter's JSON. https://platform.openai.com/docs/api-reference/audio"""

import math

import msgspec
from msgspec import Raw

from kilo_gateway.core.errors import BadAnswer, BadRequest, GatewayError
from kilo_gateway.core.ports import Translator
from kilo_gateway.core.types import Call, Endpoint, Extent
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.services import lacks
from kilo_gateway.dialects.transcription import form
from kilo_gateway.dialects.transcription.answers import Body, Stream, Unstreamed
from kilo_gateway.dialects.transcription.recording import Recording, file_in, form_fields, recorded
from kilo_gateway.dialects.transcription.usage import estimated

NAME = "transcription"
_DIALECTS = (openai_chat.NAME, "openai-responses")
_MOST_TOKENS_PER_S, _MOST_BESIDE = 20, 1_000  # of text: nobody speaks that fast
_BYTES_PER_TOKEN = 4
_BOOLEANS = {"true": True, "false": False, "": False}
_decode_name = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class Transcription:
    name = NAME
    makes_streams = True
    error_body = staticmethod(openai_chat.error_body)

    def error_events(self, error: GatewayError, answer_id: str, model: str, created: int) -> bytes:
        return b"data: %b\n\n" % _encode({"type": "error", "error": openai_chat.error_object(error)})

    def open_body(self, body: bytes) -> Call:
        call = _of_form(body) if form.is_form(body) else _of_json(body)
        call.service = NAME
        recording = _recording(call)
        texts = sum(len(value) for _, value in recording.fields)
        call.estimated = estimated(recording.estimated_s(), 0)
        call.size = call.estimated.prompt_tokens * _BYTES_PER_TOKEN + texts
        return call

    def extent(self, call: Call) -> Extent:
        longest_s = math.ceil(_recording(call).longest_s())
        return Extent(0, 1, longest_s * _MOST_TOKENS_PER_S + _MOST_BESIDE, audio_ms=longest_s * 1000)

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        if endpoint.dialect not in _DIALECTS or endpoint.is_local:
            return f"{endpoint.provider} has no audio/transcriptions; a model that hears takes audio at chat/completions"
        return lacks(NAME, endpoint)

    def at_once(self, call: Call, endpoint: Endpoint) -> bytes:
        return b""

    def shape(self, call: Call, endpoint: Endpoint) -> bytes:
        recording = _recording(call)
        fields = [("model", _decode_name(endpoint.model_json)), *recording.fields]
        if call.is_stream:
            fields.append(("stream", "true"))
        call.dropped = recording.dropped
        body, call.content_type = form.written(fields, recording.file, f"kilo-{call.id}")
        return body

    def translator(self, call: Call, endpoint: Endpoint, content_type: bytes) -> Translator:
        recording = _recording(call)
        if b"html" in content_type:
            raise BadAnswer(f"{endpoint.provider} answered with {content_type.decode('latin-1')}.")
        if not call.is_stream:
            return Body(call, endpoint, recording)
        if b"json" not in content_type:
            return Stream(call, endpoint, recording)
        call.crossing = recording  # it is not relayed as what it is
        return Unstreamed(call, endpoint, recording)


def _recording(call: Call) -> Recording:
    assert isinstance(call.payload, Recording)
    return call.payload


def _of_form(body: bytes) -> Call:
    parts = form.parts_of(body)
    files = [part for part in parts if part.filename is not None or part.name == "file"]
    if len(files) != 1 or files[0].name != "file":
        raise BadRequest("The form must have one file, the audio, in its field 'file'.")
    fields = [(part.name, part.text()) for part in parts if part is not files[0]]
    told = dict(fields)
    if not told.get("model"):
        raise BadRequest("The field 'model' is missing from the form.")
    stream = told.get("stream", "").lower()
    if stream not in _BOOLEANS:
        raise BadRequest("The field 'stream' must be true or false.")
    call = Call(NAME, told["model"], _BOOLEANS[stream], 0, {}, payload=recorded(files[0], fields))
    if "max_cost_usd" in told:
        call.ceiling = openai_chat.ceiling_in(Raw(told["max_cost_usd"].encode()))
    return call


def _of_json(body: bytes) -> Call:
    call = openai_chat.open_call(NAME, body)
    call.payload = recorded(file_in(call.fields.get("input_audio")), form_fields(call.fields))
    call.fields = {}  # the audio is kept once
    return call
