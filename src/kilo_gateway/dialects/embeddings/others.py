"""Embeddings of Gemini, there and on Vertex AI, of Cohere, and of the models on Bedrock in the form of who makes them."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, field

from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects.embeddings.asked import Asked
from kilo_gateway.dialects.embeddings.crossing import Form

_Count = Annotated[int, Meta(ge=0, le=10**9)]


# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html
_count_in = re.compile(rb"\r\nX-Amzn-Bedrock-Input-Token-Count: *(\d{1,9})\r\n", re.IGNORECASE).search


# What texts are for, in Cohere's words and in Google's.
_TASKS: Mapping[str, str] = {
    "search_document": "RETRIEVAL_DOCUMENT", "search_query": "RETRIEVAL_QUERY", "classification": "CLASSIFICATION",
    "clustering": "CLUSTERING",
}  # fmt: skip


class _Values(Struct):
    values: Raw


class _GeminiUsage(Struct, rename="camel"):
    prompt_token_count: _Count | None = None


class _GeminiAnswer(Struct, rename="camel"):
    embeddings: list[_Values]
    usage_metadata: _GeminiUsage | None = None


class Gemini:
    """https://ai.google.dev/api/embeddings#method:-models.batchembedcontents"""

    most = 100
    _decode = msgspec.json.Decoder(_GeminiAnswer).decode

    def says(self, input_type: str) -> bool:
        return input_type in _TASKS

    def write(self, texts: Sequence[str], call: Asked, model: str) -> dict[str, object]:
        options: dict[str, object] = {"model": f"models/{model.removeprefix('models/')}"}
        if call.dimensions is not None:
            options["outputDimensionality"] = call.dimensions
        if (task := _TASKS.get(call.input_type or "")) is not None:
            options["taskType"] = task
        return {"requests": [{**options, "content": {"parts": [{"text": text}]}} for text in texts]}

    def read(self, body: bytes, lines: bytes) -> tuple[list[Raw], int | None]:
        answer = self._decode(body)
        usage = answer.usage_metadata
        return [each.values for each in answer.embeddings], None if usage is None else usage.prompt_token_count


class _Statistics(Struct):
    token_count: Annotated[float, Meta(ge=0, le=10**9)] | None = None


class _Embedded(Struct):
    values: Raw
    statistics: _Statistics | None = None


class _Prediction(Struct):
    embeddings: _Embedded


class _VertexAnswer(Struct):
    predictions: list[_Prediction]


class Vertex:
    """https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api. Gemini takes one text."""

    most = 1
    _decode = msgspec.json.Decoder(_VertexAnswer).decode

    def says(self, input_type: str) -> bool:
        return input_type in _TASKS

    def write(self, texts: Sequence[str], call: Asked, model: str) -> dict[str, object]:
        task = _TASKS.get(call.input_type or "")
        told = {} if task is None else {"task_type": task}
        sent: dict[str, object] = {"instances": [{"content": text, **told} for text in texts]}
        return sent if call.dimensions is None else sent | {"parameters": {"outputDimensionality": call.dimensions}}

    def read(self, body: bytes, lines: bytes) -> tuple[list[Raw], int | None]:
        found = [each.embeddings for each in self._decode(body).predictions]
        counts = [each.statistics.token_count for each in found if each.statistics is not None]
        told = [count for count in counts if count is not None]
        return [each.values for each in found], int(sum(told)) if len(told) == len(found) else None


class _ByType(Struct):
    floats: list[Raw] = field(name="float")


class _Billed(Struct):
    input_tokens: float | None = None


class _Meta(Struct):
    billed_units: _Billed | None = None


class _CohereAnswer(Struct):
    embeddings: _ByType | list[Raw]
    meta: _Meta | None = None


class Cohere:
    """https://docs.cohere.com/reference/embed. On Bedrock the model is in the path, what was billed in the head."""

    most = 96
    _decode = msgspec.json.Decoder(_CohereAnswer).decode

    def __init__(self, *, is_on_bedrock: bool = False) -> None:
        self._is_on_bedrock = is_on_bedrock

    def says(self, input_type: str) -> bool:
        return True

    def write(self, texts: Sequence[str], call: Asked, model: str) -> dict[str, object]:
        """Its models want to be told what texts are for; kept to be found is what most are."""
        sent: dict[str, object] = {} if self._is_on_bedrock else {"model": model}
        sent |= {"texts": texts, "input_type": call.input_type or "search_document", "embedding_types": ["float"]}
        return sent if call.dimensions is None else sent | {"output_dimension": call.dimensions}

    def read(self, body: bytes, lines: bytes) -> tuple[list[Raw], int | None]:
        answer = self._decode(body)
        billed = answer.meta.billed_units if answer.meta is not None else None
        tokens = billed.input_tokens if billed is not None else None
        vectors = answer.embeddings if isinstance(answer.embeddings, list) else answer.embeddings.floats
        if self._is_on_bedrock and (counted := _count_in(lines)) is not None:
            tokens = float(counted[1])
        return vectors, int(tokens) if tokens is not None and 0 <= tokens <= 10**9 else None


class _TitanAnswer(Struct, rename="camel"):
    embedding: Raw
    input_text_token_count: _Count | None = None


class Titan:
    """https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html"""

    most = 1
    _decode = msgspec.json.Decoder(_TitanAnswer).decode

    def says(self, input_type: str) -> bool:
        return False

    def write(self, texts: Sequence[str], call: Asked, model: str) -> dict[str, object]:
        return {"inputText": texts[0]} if call.dimensions is None else {"inputText": texts[0], "dimensions": call.dimensions}

    def read(self, body: bytes, lines: bytes) -> tuple[list[Raw], int | None]:
        answer = self._decode(body)
        return [answer.embedding], answer.input_text_token_count


# By how Bedrock's ids begin, behind a region (`us.`) or in an ARN: the maker, and what is asked in his form.
_ON_BEDROCK: Mapping[str, Form] = {"amazon.titan-embed-text": Titan(), "cohere.embed": Cohere(is_on_bedrock=True)}
_form_in = re.compile("(?:^|[./])(" + "|".join(map(re.escape, _ON_BEDROCK)) + ")").search
_GEMINI, _VERTEX, _COHERE = Gemini(), Vertex(), Cohere()


def of_gemini(model: str, endpoint: Endpoint) -> Form | None:
    return _VERTEX if endpoint.platform == "vertex" else _GEMINI


def of_cohere(model: str, endpoint: Endpoint) -> Form | None:
    return _COHERE


def of_bedrock(model: str, endpoint: Endpoint) -> Form | None:
    found = _form_in(model)
    return None if found is None else _ON_BEDROCK[found[1]]
