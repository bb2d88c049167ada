"""What is to be transcribed, and how long it is, as far as that can be known without decoding it."""

import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from kilo_gateway.core.errors import BadRequest, TooLarge
from kilo_gateway.dialects.transcription.form import MAX_PARTS, MAX_TEXT_BYTES, Part

MAX_AUDIO_BYTES = 25 * 1024 * 1024  # https://platform.openai.com/docs/guides/speech-to-text
BYTES_PER_S, LEAST_BYTES_PER_S = 8_000, 750  # 64 kbit/s is usual; speech cannot be told in much less than 6
PLAIN_FORMATS = ("text", "srt", "vtt")
_OURS = frozenset({"model", "input_audio", "file", "stream", "max_cost_usd"})
# OpenRouter's, for itself; no upstream has a place for them in a form.
_OF_ROUTERS = frozenset({"provider", "session_id", "trace", "user"})
_CHUNK_BYTES, _MAX_CHUNKS = 8, 64
_PCM = (1, 3, 0xFFFE)  # whole numbers, floats, and more channels of either
_FORMAT = re.compile(r"[0-9A-Za-z]{1,10}").fullmatch
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,").match
_TYPES = {"mp3": "mpeg", "m4a": "mp4"}


class Recording(Struct, frozen=True):
    """`fields`: of the form that is sent, but model, file and stream. `dropped`: names of those that are not."""

    file: Part
    fields: tuple[tuple[str, str], ...]
    dropped: tuple[str, ...]
    length_s: float | None  # None: not known

    @property
    def format(self) -> str:
        return next((value for name, value in self.fields if name == "response_format"), "json")

    def estimated_s(self) -> float:
        return len(self.file.data) / BYTES_PER_S if self.length_s is None else self.length_s

    def longest_s(self) -> float:
        return len(self.file.data) / LEAST_BYTES_PER_S if self.length_s is None else self.length_s


def recorded(file: Part, fields: Iterable[tuple[str, str]]) -> Recording:
    """Raises BadRequest, and TooLarge."""
    if len(file.data) > MAX_AUDIO_BYTES:
        raise TooLarge(f"The audio has more than {MAX_AUDIO_BYTES // 1024**2} MB; send it in pieces.")
    if not file.data:
        raise BadRequest("The audio is empty.")
    told = list(fields)
    kept = tuple(each for each in told if each[0] not in _OURS and each[0] not in _OF_ROUTERS)
    return Recording(file, kept, tuple(name for name, _ in told if name in _OF_ROUTERS), _length_s(file.data))


def file_in(told: Raw | None) -> Part:
    """OpenRouter's `input_audio`. Raises BadRequest."""
    audio = _audio_in(told)
    if audio is None:
        raise BadRequest("The field 'input_audio' is missing: {\"data\", \"format\"}; or send a form with a 'file'.")
    if audio.data is None:
        raise BadRequest("Audio by URL is not fetched here: send it as base64 in 'input_audio.data'.")
    kind = audio.format or "wav"
    if not _FORMAT(kind):
        raise BadRequest("The field 'input_audio.format' must be a format such as \"wav\" or \"mp3\".")
    return Part("file", memoryview(audio.data), f"audio.{kind}", f"audio/{_TYPES.get(kind, kind)}")


def form_fields(fields: Mapping[str, Raw]) -> list[tuple[str, str]]:
    """JSON members as a form has them: lists as fields that come again, objects as JSON. Raises BadRequest."""
    found: list[tuple[str, str]] = []
    for name, raw in fields.items():
        if name in _OURS:
            continue
        if len(bytes(raw)) > MAX_TEXT_BYTES:
            raise BadRequest(f"The field {name!r} has more than {MAX_TEXT_BYTES} bytes.")
        value: Any = msgspec.json.decode(raw)  # whatever a caller sends
        if isinstance(value, list):
            found += [(f"{name}[]", _text(each)) for each in value[: MAX_PARTS + 1]]
        elif value is not None:
            found.append((name, _text(value)))
    if len(found) > MAX_PARTS:
        raise BadRequest(f"The request has more than {MAX_PARTS} fields, each item of a list being one.")
    return found


class _Audio(Struct):
    data: bytes | None = None  # out of base64
    format: str | None = None


class _DataUrl(Struct):
    data: str
    format: str | None = None


_decode_audio = msgspec.json.Decoder(_Audio | None).decode
_decode_data_url = msgspec.json.Decoder(_DataUrl).decode


def _audio_in(told: Raw | None) -> _Audio | None:
    try:
        return None if told is None else _decode_audio(told)
    except msgspec.MsgspecError as error:
        return _of_data_url(told, error)


def _of_data_url(told: Raw | None, error: msgspec.MsgspecError) -> _Audio:
    """Some write one where base64 alone is meant."""
    wrong = f"The field 'input_audio' must be an object with 'data' (base64) and 'format': {error}."
    try:
        audio = _decode_data_url(told or b"")
        prefix = _DATA_URL(audio.data)
        if prefix is not None:
            return _Audio(binascii.a2b_base64(audio.data[prefix.end() :], strict_mode=True), audio.format)
    except (msgspec.MsgspecError, ValueError):  # of binascii; so is text that is not ASCII
        pass
    raise BadRequest(wrong) from error


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _length_s(data: memoryview) -> float | None:
    """Of WAV with plain samples. http://soundfile.sapp.org/doc/WaveFormat"""
    head = bytes(data[:12])
    if head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return None
    at, rate = 12, 0
    for _ in range(_MAX_CHUNKS):
        name, size = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + _CHUNK_BYTES], "little")
        at += _CHUNK_BYTES
        if name == b"fmt " and int.from_bytes(data[at : at + 2], "little") in _PCM:
            rate = int.from_bytes(data[at + 4 : at + 8], "little") * int.from_bytes(data[at + 12 : at + 14], "little")
        elif name == b"data" and rate:
            # A writer that could not go back has left no size, or the largest; the samples go on to the end.
            return max(len(data) - at, 0) / rate
        at += size + size % 2
    return None
