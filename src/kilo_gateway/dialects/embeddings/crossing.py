"""Embeddings of upstreams whose kind is their own: written and read for each, in parts where one request takes few texts."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.pipeline import cost_of
from kilo_gateway.core.ports import Again
from kilo_gateway.core.price import Usage
from kilo_gateway.core.types import Call, Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.embeddings import asked
from kilo_gateway.dialects.embeddings.asked import Asked
from kilo_gateway.dialects.gathered import Unspoken

_encode = msgspec.json.Encoder().encode
_decode_name = msgspec.json.Decoder(str).decode
_KNOWN = frozenset({"model", "input", "encoding_format", "dimensions", "input_type"})


class Form(Protocol):
    """How one kind of upstream is asked. `most`: texts that one request takes."""

    @property
    def most(self) -> int: ...

    def says(self, input_type: str) -> bool:
        """Whether it can be told what the texts are for, in this word."""

    def write(self, texts: Sequence[str], call: Asked, model: str) -> dict[str, object]: ...
    def read(self, body: bytes, lines: bytes) -> tuple[list[Raw], int | None]:
        """Vectors, as lists of numbers, and the tokens they took, where that is told. Raises msgspec.MsgspecError.

        `lines`: the answer's head.
        """


class Crossing:
    """`form_of`: by the upstream's own name of a model; None where its kind is not known."""

    def __init__(self, form_of: Callable[[str, Endpoint], Form | None]) -> None:
        self._form_of = form_of

    def obstacle(self, call: Call, endpoint: Endpoint) -> str:
        if self._form_of(_decode_name(endpoint.model_json), endpoint) is None:
            return f"how {endpoint.model} is asked for embeddings there is not known"
        if not asked.is_text(call.fields):
            return f"{endpoint.provider} takes texts alone as 'input', no tokens and no parts"
        asked.asked_of(call)
        return ""

    def shape(self, call: Call, endpoint: Endpoint) -> bytes:
        name = _decode_name(endpoint.model_json)
        form, read = self._form(endpoint), asked.asked_of(call)
        told = tuple(name for name in call.fields if name not in _KNOWN)
        if read.input_type is not None and not form.says(read.input_type):
            told = (*told, "input_type")
        call.dropped = told
        return _encode(form.write(read.part(form.most), read, name))

    def translator(self, call: Call, endpoint: Endpoint) -> "Part":
        return Part(call, endpoint, self._form(endpoint))

    def _form(self, endpoint: Endpoint) -> Form:
        form = self._form_of(_decode_name(endpoint.model_json), endpoint)
        assert form is not None  # it was no obstacle
        return form


class Part(Unspoken):
    """One JSON answer, to some of the texts or all. The last of them becomes the answer to the caller."""

    def __init__(self, call: Call, endpoint: Endpoint, form: Form) -> None:
        super().__init__(endpoint)
        self._call, self._form = call, form
        self._asked = asked.asked_of(call)
        self._texts = self._asked.part(form.most)
        self._usage: Usage | None = None

    def finish(self) -> bytes:
        told = self._asked
        vectors, tokens = self._read()
        self._usage = told.usage = self._with(tokens)
        told.vectors += [asked.packed(each, self._endpoint) for each in vectors] if told.is_base64 else vectors
        if len(told.vectors) < len(told.texts):
            raise Again(told.usage)
        self.cost = cost_of(told.usage, self._endpoint, self._call.at_ms)
        rows = [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(told.vectors)]
        total = told.usage.prompt_tokens
        usage = {"prompt_tokens": total, "total_tokens": total}
        fields = {"object": Raw(b'"list"'), "data": Raw(_encode(rows)), "model": Raw(b'""'), "usage": Raw(_encode(usage))}
        return openai_chat.stamped(fields, told.usage, self.cost, self._endpoint)

    def used(self) -> Usage:
        return self._with(None) if self._usage is None else self._usage

    def _read(self) -> tuple[list[Raw], int | None]:
        try:
            vectors, tokens = self._form.read(self._gathered.whole(), self._call.answer_lines)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadAnswer(f"{self._endpoint.provider} answered with something that is no embeddings.") from error
        if len(vectors) != len(self._texts) or not all(map(asked.is_list, vectors)):
            raise BadAnswer(f"{self._endpoint.provider} answered {len(self._texts)} texts with {len(vectors)} vectors.")
        return vectors, tokens

    def _with(self, tokens: int | None) -> Usage:
        """With those of the parts before."""
        before = self._asked.usage
        count = asked.estimated(self._texts) if tokens is None else tokens
        is_estimated = tokens is None or before.is_estimated
        return replace(before, prompt_tokens=before.prompt_tokens + count, is_estimated=is_estimated)
