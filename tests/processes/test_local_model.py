"""The local model as a real upstream."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node import Node

from kilo_gateway.upstreams import demo

LOCAL_MODEL = "local/smollm2-135m-instruct"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]

pytestmark = [
    pytest.mark.skipif(not demo.can_run(), reason="xllamacpp is not installed: pip install 'kilo-gateway[local]'"),
    pytest.mark.skipif(
        not demo.demo_model_path(CACHE / "kilo-gateway").is_file(), reason="the demo model is not there: kilo-gateway local fetch"
    ),
]


@pytest.fixture(scope="module")
def local_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    found = Node(tmp_path_factory.mktemp("n"), "[server]\nworkers = 1\n", XDG_CACHE_HOME=str(CACHE))
    try:
        yield found.start()
    finally:
        found.close()


def test_paris_is_streamed_by_the_local_model(local_node: Node) -> None:
    status, text, _ = local_node.ask(
        "POST", "/v1/chat/completions", {"model": "kilo/auto", "stream": True, "temperature": 0, "messages": QUESTION}
    )
    assert status == 200
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    said = "".join(event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"])
    assert "Paris" in said
    assert events[-1]["provider"] == "local (demo model)"
    assert events[-1]["model"] == LOCAL_MODEL
    assert events[-1]["usage"]["cost"] == 0
    assert "/models/" not in text


def test_paris_is_answered_by_the_local_model(local_node: Node) -> None:
    status, answer, headers = local_node.chat(model=LOCAL_MODEL, temperature=0, messages=QUESTION)
    assert status == 200
    assert "Paris" in answer["choices"][0]["message"]["content"]
    [row] = [row for row in local_node.usage() if row["id"] == headers["x-generation-id"]]
    assert (row["provider"], row["estimated"], row["cost_usd"]) == ("local", False, 0)
    assert row["completion_tokens"] > 0


def test_tools_are_refused_with_the_cure(local_node: Node) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    status, answer, _ = local_node.chat(model=LOCAL_MODEL, messages=QUESTION, tools=tools)
    assert status == 400
    assert "OPENAI_API_KEY" in answer["error"]["message"]


def test_more_than_it_can_hold_is_refused_with_the_cure(local_node: Node) -> None:
    status, answer, _ = local_node.chat(model=LOCAL_MODEL, messages=[{"role": "user", "content": "word " * 20_000}])
    assert status == 400
    assert "OPENAI_API_KEY" in answer["error"]["message"]
