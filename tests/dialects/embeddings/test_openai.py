"""Embeddings where both sides have OpenAI's."""

import base64
import json
import struct

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


def test_what_is_meant_for_routers_is_sent_to_routers() -> None:
    call = opened(provider={"order": ["x"]}, user="u")
    assert set(json.loads(EMBEDDINGS.shape(call, ENDPOINT))) == {"model", "input", "user"} and call.dropped == ("provider",)
    call = opened(provider={"order": ["x"]})
    assert "provider" in json.loads(EMBEDDINGS.shape(call, replace(ENDPOINT, is_cost_reported=True))) and call.dropped == ()


def test_numbers_become_base64_where_that_was_asked_for() -> None:
    body = EMBEDDINGS.translator(opened(encoding_format="base64"), ENDPOINT, b"application/json")
    body.feed(json.dumps({"data": [ROW, {**ROW, "index": 1}]}).encode())
    packed = base64.b64encode(struct.pack("<2f", 0.25, -1.0)).decode()
    assert json.loads(body.finish())["data"] == [{**ROW, "index": at, "embedding": packed} for at in (0, 1)]


def test_of_parts_a_limit_on_cost_counts_the_images_and_refuses_what_has_no_bound() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    assert EMBEDDINGS.extent(opened(input=[{"content": [image, {"type": "text"}]}])).images == 1
    assert EMBEDDINGS.extent(opened(input=[{"content": [{"type": "input_video"}]}])).unbounded
    assert EMBEDDINGS.extent(opened()).unbounded == ""


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
