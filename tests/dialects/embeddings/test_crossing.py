"""Embeddings of upstreams that have a kind of their own."""

import base64
import json
import struct

import pytest
from msgspec.structs import replace

from kilo_gateway.core.errors import BadAnswer, BadRequest
from kilo_gateway.core.ports import Again
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.table import SERVICES

EMBEDDINGS = SERVICES["embeddings"]
PLAIN = Endpoint("one", "a/m", Origin("h", 1), "", b'"theirs"', b"", b"", b'"one"', b'"a/m"', Price(1_000_000, 0))
GEMINI, COHERE = replace(PLAIN, dialect="gemini"), replace(PLAIN, dialect="cohere")
TITAN = replace(PLAIN, dialect="bedrock-converse", model_json=b'"amazon.titan-embed-text-v2:0"')
ON_BEDROCK = replace(TITAN, model_json=b'"us.cohere.embed-v4:0"')


def opened(input: object = "a", **members: object) -> Call:
    return EMBEDDINGS.open_body(json.dumps({"model": "a/m", "input": input, **members}).encode())


def asked(call: Call, endpoint: Endpoint) -> dict[str, object]:
    assert EMBEDDINGS.obstacle(call, endpoint) == ""
    sent = json.loads(EMBEDDINGS.shape(call, endpoint))
    assert isinstance(sent, dict)
    return sent


def answered(call: Call, endpoint: Endpoint, answer: object) -> dict[str, object]:
    part = EMBEDDINGS.translator(call, endpoint, b"application/json")
    part.feed(json.dumps(answer).encode())
    told = json.loads(part.finish())
    assert isinstance(told, dict)
    return told


def test_gemini_is_asked_in_a_batch() -> None:
    call = opened(["a", "b"], dimensions=8, input_type="search_query", user="u")
    one = {"model": "models/theirs", "outputDimensionality": 8, "taskType": "RETRIEVAL_QUERY"}
    assert asked(call, GEMINI) == {"requests": [{**one, "content": {"parts": [{"text": each}]}} for each in "ab"]}
    assert call.dropped == ("user",)
    told = answered(call, GEMINI, {"embeddings": [{"values": [0.5]}, {"values": [1]}], "usageMetadata": {"promptTokenCount": 9}})
    assert told["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5]}, {"object": "embedding", "index": 1, "embedding": [1]}]
    assert told["usage"] == {"prompt_tokens": 9, "total_tokens": 9, "cost": 0.000009} and told["model"] == "a/m"


def test_vertex_is_asked_by_predict() -> None:
    call, vertex = opened("a", dimensions=8, input_type="clustering"), replace(GEMINI, platform="vertex")
    assert asked(call, vertex) == {"instances": [{"content": "a", "task_type": "CLUSTERING"}], "parameters": {"outputDimensionality": 8}}
    told = answered(call, vertex, {"predictions": [{"embeddings": {"values": [0.5], "statistics": {"token_count": 6.0}}}]})
    assert told["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5]}] and told["usage"]["prompt_tokens"] == 6  # type: ignore[index]


def test_what_gemini_has_no_word_for_is_named() -> None:
    call = opened(input_type="image")
    assert "taskType" not in str(asked(call, GEMINI)) and call.dropped == ("input_type",)


def test_without_a_count_it_is_estimated_and_says_so() -> None:
    told = answered(opened("abcdefgh"), GEMINI, {"embeddings": [{"values": [0.5]}]})
    assert told["usage"] == {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2, "estimated": True, "cost": 0.000002}


def test_cohere_is_told_what_texts_are_for() -> None:
    assert asked(opened("a", dimensions=256), COHERE) == {
        "model": "theirs", "texts": ["a"], "input_type": "search_document", "embedding_types": ["float"], "output_dimension": 256,
    }  # fmt: skip
    assert asked(opened(input_type="clustering"), COHERE)["input_type"] == "clustering"
    told = answered(opened(), COHERE, {"embeddings": {"float": [[0.5]]}, "meta": {"billed_units": {"input_tokens": 4.0}}})
    assert told["usage"] == {"prompt_tokens": 4, "total_tokens": 4, "cost": 0.000004}


@pytest.mark.parametrize("embeddings", [[[0.5]], {"float": [[0.5]]}])
def test_cohere_on_bedrock_answers_in_two_forms(embeddings: object) -> None:
    assert "model" not in asked(opened(), ON_BEDROCK)
    assert answered(opened(), ON_BEDROCK, {"embeddings": embeddings})["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5]}]


def test_what_cohere_billed_on_bedrock_stands_in_the_answers_head() -> None:
    call = opened()
    call.answer_lines = b"HTTP/1.1 200 OK\r\nx-amzn-bedrock-input-token-count: 12\r\n"
    assert answered(call, ON_BEDROCK, {"embeddings": [[1]]})["usage"] == {"prompt_tokens": 12, "total_tokens": 12, "cost": 0.000012}


def test_titan_takes_one_text_at_a_time_and_the_parts_add_up() -> None:
    call = opened(["a", "b"], dimensions=256)
    assert asked(call, TITAN) == {"inputText": "a", "dimensions": 256}
    with pytest.raises(Again) as more:
        answered(call, TITAN, {"embedding": [1], "inputTextTokenCount": 3})
    assert more.value.used.prompt_tokens == 3
    assert asked(call, TITAN) == {"inputText": "b", "dimensions": 256}
    assert asked(call, TITAN)["inputText"] == "b", "sent again over another connection, it is the same part"
    told = answered(call, TITAN, {"embedding": [2], "inputTextTokenCount": 4})
    assert [row["embedding"] for row in told["data"]] == [[1], [2]]  # type: ignore[attr-defined]
    assert told["usage"] == {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.000007}


def test_base64_is_made_of_numbers() -> None:
    call = opened(encoding_format="base64")
    told = answered(call, COHERE, {"embeddings": {"float": [[0.5, -0.25]]}})
    assert struct.unpack("<2f", base64.b64decode(told["data"][0]["embedding"])) == (0.5, -0.25)  # type: ignore[index]


@pytest.mark.parametrize("input", [[1, 2], [[1]], [{"content": []}]])
def test_tokens_and_parts_are_an_obstacle(input: object) -> None:
    assert "texts alone" in EMBEDDINGS.obstacle(opened(input), GEMINI)


def test_a_model_whose_form_is_not_known_is_an_obstacle() -> None:
    assert "not known" in EMBEDDINGS.obstacle(opened(), replace(TITAN, model_json=b'"meta.llama"'))


def test_more_texts_than_anybody_takes_are_refused() -> None:
    with pytest.raises(BadRequest):
        EMBEDDINGS.obstacle(opened(["a"] * 2049), GEMINI)


@pytest.mark.parametrize(
    "answer", [{"embeddings": [[1], [2]]}, {"embeddings": []}, {"embeddings": ["x"]}, {"embeddings": 7}, [], {"embeddings": {"int8": [[1]]}}]
)
def test_what_is_no_vector_for_each_text_is_a_bad_answer(answer: object) -> None:
    with pytest.raises(BadAnswer):
        answered(opened(), COHERE, answer)
    with pytest.raises(BadAnswer):
        answered(opened(encoding_format="base64"), COHERE, {"embeddings": [[1e300]]})
