"""Embeddings where both sides have OpenAI's."""

import json

import pytest
from msgspec.structs import replace

from kilo_gateway.core.errors import BadAnswer, BadRequest, UpstreamError
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Call, Endpoint, Origin
from kilo_gateway.dialects.table import SERVICES

EMBEDDINGS = SERVICES["embeddings"]
ENDPOINT = Endpoint(
    "one", "a/m", Origin("h", 1), "openai-chat", b'"theirs"', b"", b"", b'"one"', b'"a/m"', Price(1_000_000, 0)
)  # fmt: skip
ROW = {"object": "embedding", "index": 0, "embedding": [0.25, -1.0]}


def opened(**members: object) -> Call:
    return EMBEDDINGS.open_body(json.dumps({"model": "a/m", "input": "text", **members}).encode())


def answered(**members: object) -> tuple[dict[str, object], int | None]:
    body = EMBEDDINGS.translator(opened(), ENDPOINT, b"application/json")
    body.feed(json.dumps({"object": "list", "data": [ROW], "model": "theirs", **members}).encode())
    return json.loads(body.finish()), body.cost


def test_the_request_is_spliced_and_the_answer_costed() -> None:
    assert json.loads(EMBEDDINGS.shape(opened(dimensions=8), ENDPOINT)) == {"model": "theirs", "input": "text", "dimensions": 8}
    told, cost = answered(usage={"prompt_tokens": 7, "total_tokens": 7})
    assert cost == 7_000 and told["data"] == [ROW]
    assert (told["model"], told["provider"], told["usage"]) == (
        "a/m", "one", {"prompt_tokens": 7, "total_tokens": 7, "cost": 0.000007},
    )  # fmt: skip


def test_without_usage_it_is_estimated_and_says_so() -> None:
    told, cost = answered()
    assert isinstance(told["usage"], dict) and told["usage"]["estimated"] is True and cost


@pytest.mark.parametrize("members", [{"data": []}, {"error": {"message": "no"}}])
def test_an_answer_without_vectors_is_none(members: dict[str, object]) -> None:
    with pytest.raises(UpstreamError):
        answered(**members)
    with pytest.raises(BadAnswer):
        EMBEDDINGS.translator(opened(), ENDPOINT, b"").finish()


@pytest.mark.parametrize("input", ["a", ["a", "b"], [1, 2], [[1], [2, 3]], [{"content": [{"type": "text", "text": "a"}]}]])
def test_every_form_of_input_is_taken(input: object) -> None:
    assert opened(input=input).service == "embeddings"


@pytest.mark.parametrize(
    "wrong", [{"input": None}, {"input": []}, {"input": {"a": 1}}, {"input": 7}, {"dimensions": -1}, {"dimensions": "8"}, {"encoding_format": "int8"}]
)
def test_wrong_fields_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        opened(**wrong)


def test_a_model_that_is_known_for_other_things_is_not_asked() -> None:
    assert EMBEDDINGS.obstacle(opened(), ENDPOINT) == ""
    assert EMBEDDINGS.obstacle(opened(), replace(ENDPOINT, services={"embeddings": ""})) == ""
    assert "embeddings" in EMBEDDINGS.obstacle(opened(), replace(ENDPOINT, services={}))
    assert "embeddings" in EMBEDDINGS.obstacle(opened(), replace(ENDPOINT, dialect="anthropic-messages"))
