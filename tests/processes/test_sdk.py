"""The official OpenAI SDK against a running gateway."""

import asyncio
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam
from tests.node import Node

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture
def client(node: Node) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=node.key, base_url=f"http://127.0.0.1:{node.port}/v1", max_retries=0) as found:
        yield found


def test_a_completion(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="mock/model", messages=MESSAGES)
    assert answer.choices[0].message.content == "hi"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 27
    assert answer.usage.model_extra == {"cost": 0.000029}
    assert answer.model == "mock/model"


def test_a_stream(client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="mock/model", messages=MESSAGES, stream=True) as stream:
        chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "onetwo"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_extra == {"cost": 0.000029}


def test_many_at_once_with_the_asynchronous_client(node: Node) -> None:
    async def main() -> list[str | None]:
        base_url = f"http://127.0.0.1:{node.port}/api/v1"
        async with openai.AsyncOpenAI(api_key=node.key, base_url=base_url, max_retries=0) as client:
            asked = (client.chat.completions.create(model="kilo/auto", messages=MESSAGES) for _ in range(30))
            return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]

    assert asyncio.run(main()) == ["hi"] * 30


def test_an_asynchronous_stream(node: Node) -> None:
    async def main() -> str:
        base_url = f"http://127.0.0.1:{node.port}/api/openrouter/v1"
        async with openai.AsyncOpenAI(api_key=node.key, base_url=base_url, max_retries=0) as client:
            stream = await client.chat.completions.create(model="mock/model", messages=MESSAGES, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])

    assert asyncio.run(main()) == "onetwo"


def test_the_list_of_models(client: openai.OpenAI) -> None:
    assert "mock/model" in [model.id for model in client.models.list()]


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="mock/model"):
        client.chat.completions.create(model="mock/modle", messages=MESSAGES)


def test_a_wrong_key_is_an_authentication_error(node: Node) -> None:
    base_url = f"http://127.0.0.1:{node.port}/v1"
    with openai.OpenAI(api_key="kilo_" + "x" * 32, base_url=base_url, max_retries=0) as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="mock/model", messages=MESSAGES)
