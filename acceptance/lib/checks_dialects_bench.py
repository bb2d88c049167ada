"""Recorded exchanges replayed: `bench/conformance.py` on a small file made here; and what the documents must show."""

import json
import re
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import dialect_answers
import wire
from checks_dialects_fakes import ASKED
from dialect_callers import CALLERS
from dialect_scripts import CACHED, ONE_CALL, PLAIN, THINKING, TWO_CALLS
from dialect_upstreams import BODIES, EVENTS, Speaker
from harness import PYTHON, REPO, ROOT, check, environment

URLS = {
    "chat": "https://api.openai.com/v1/chat/completions", "responses": "https://api.openai.com/v1/responses",
    "messages": "https://api.anthropic.com/v1/messages?beta=true", "cohere": "https://api.cohere.com/v2/chat",
    "gemini": "https://generativelanguage.googleapis.com/v1beta/models/gemini-lab:generateContent",
    "converse": "https://bedrock-runtime.us-east-1.amazonaws.com/model/us.anthropic.claude-lab-v1%3A0/converse",
}  # fmt: skip
REQUESTS = {
    "chat": {"model": "gpt-lab", "messages": [{"role": "user", "content": "Where?"}]}, "responses": {"model": "gpt-lab", "input": "Where?"},
    "messages": {"model": "claude-lab", "max_tokens": 4_000, "messages": [{"role": "user", "content": "Where?"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "Where?"}]}]}, "cohere": {"model": "command-lab", "messages": [{"role": "user", "content": "Where?"}]},
    "converse": {"messages": [{"role": "user", "content": [{"text": "Where?"}]}], "inferenceConfig": {"maxTokens": 4_000}},
}  # fmt: skip
WEATHER_TOOL = {"type": "object", "properties": {"city": {"type": "string"}}}


def recorded() -> tuple[list[dict], list]:
    """Lines of a recording, and for each the reply that it must come out as (a status for an error, None for what is no answer)."""
    lines, wanted = [], []

    def line(dialect: str, status: int, kind: str, response, reply, url: str = "", name: str = "", **more) -> None:
        request = json.dumps(REQUESTS[dialect]) if dialect == "converse" else {**REQUESTS[dialect], **more}
        lines.append({"name": name or f"{dialect} {len(lines)}", "n": 0, "method": "POST", "url": url or URLS[dialect], "status": status,
                      "content_type": kind, "request": request, "response": response})  # fmt: skip
        wanted.append(reply)

    for dialect in BODIES:
        for reply in (PLAIN, ONE_CALL, TWO_CALLS, THINKING, CACHED, replace(PLAIN, finish="length")):
            line(dialect, 200, "application/json", BODIES[dialect](reply, ASKED), reply)
    for dialect in ("chat", "responses", "messages", "gemini"):
        fake, url = Speaker(dialect), URLS[dialect].replace(":generateContent", ":streamGenerateContent?alt=sse")
        for reply in (PLAIN, ONE_CALL, THINKING):
            text = b"".join(fake._frame(event) for event in EVENTS[dialect](reply, ASKED)).decode()
            line(dialect, 200, "text/event-stream; charset=utf-8", text, reply, url, **({} if dialect == "gemini" else {"stream": True}))
    for dialect, status in (("messages", 404), ("chat", 400), ("converse", 400)):
        line(dialect, status, "application/json", Speaker(dialect)._error(status, "no such thing"), status)
    line("chat", 200, "application/json", {"object": "list", "data": []}, None, "https://api.openai.com/v1/files", "a list of files")
    return lines, wanted


def conform(lines: list[dict], *options: str, timeout: float = 60.0) -> tuple[subprocess.CompletedProcess, Path]:
    script = REPO / "bench/conformance.py"
    assert script.exists(), "there is no bench/conformance.py"
    directory = Path(tempfile.mkdtemp(prefix="conformance-", dir=ROOT))
    file, out = directory / "recorded.jsonl", directory / "out"
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    command = [PYTHON, "-B", str(script), "--recorded", str(file), "--emit", str(out), *options]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, cwd=directory), out


def emitted(path: Path) -> wire.Answer:
    answer = wire.Answer()
    answer.status, answer.is_clean, answer.body = 200, True, path.read_bytes()
    answer.headers = [("content-type", "text/event-stream" if path.suffix == ".sse" else "application/json")]
    return answer


@check("bench.conformance", "bench/conformance.py --recorded --emit --json: every answer for every caller says what was recorded", timeout=75)
def _():
    lines, wanted = recorded()
    done, out = conform(lines, "--json")
    assert done.returncode == 0, f"exit {done.returncode}: {(done.stderr or done.stdout)[-240:]}"
    told = json.loads(done.stdout)
    assert set(told) >= {"passed", "total", "cells"} and told["passed"] == told["total"] > 0, f"{done.stdout[:200]}"
    seen = 0
    for at, (line, reply) in enumerate(zip(lines, wanted, strict=True)):
        is_stream = "event-stream" in line["content_type"]
        for caller in CALLERS:
            path = out / f"{at}.{caller}.{'sse' if is_stream else 'json'}"
            if reply is None:
                assert not path.exists(), f"{path.name}: no answer was recorded"
                continue
            assert path.exists(), f"no {path.name} ({line['name']})"
            seen += 1
            if isinstance(reply, int):
                body = json.loads(path.read_bytes())
                assert "no such thing" in body["error"]["message"] and (caller != "messages" or body["type"] == "error"), f"{path.name}: {body}"
                continue
            _same(dialect_answers.read(caller, emitted(path), is_stream), reply, f"{path.name} ({line['name']})", line["url"])
    assert told["total"] == seen, f"total {told['total']}, {seen} files"
    return f"{seen} answers of {len(lines)} lines"


def _same(told, reply, where: str, url: str) -> None:
    assert told.text == reply.whole or "cohere" in url, f"{where}: text {told.text!r}"
    assert told.named == [(call.name, call.arguments) for call in reply.calls], f"{where}: calls {told.named}"
    assert told.finish == reply.finish, f"{where}: finish {told.finish!r}, not {reply.finish!r}"
    assert told.usage[:3] == (reply.usage.prompt, reply.usage.completion, reply.usage.cached), f"{where}: usage {told.usage}"


@check(
    "bench.conformance-text",
    "without --json it prints passed, total and skipped with the reason; a line that is no answer is skipped, one that is broken fails",
    timeout=75,
)
def _():
    lines, _ = recorded()
    broken = {**lines[0], "response": {"hello": "world"}, "name": "not an answer at all"}
    done, _ = conform([*lines[:3], lines[-1], broken])
    text = done.stdout + done.stderr
    assert re.search(r"passed\D{0,20}\d+", text) and re.search(r"skipped\D{0,20}1\b", text, re.IGNORECASE), f"{text[-300:]}"


@check("bench.conformance-empty", "a file without a line, and one that is not there: said, and no traceback", timeout=40)
def _():
    done, _ = conform([])
    assert "Traceback" not in done.stderr, done.stderr[-200:]
    missing = subprocess.run([PYTHON, "-B", str(REPO / "bench/conformance.py"), "--recorded", "/nowhere.jsonl", "--emit", str(ROOT / "x")],
                             env=environment(), capture_output=True, text=True, timeout=20)  # fmt: skip
    assert missing.returncode and "Traceback" not in missing.stderr and "nowhere.jsonl" in missing.stderr, missing.stderr[-200:]


@check(
    "bench.worst",
    "bench/: the worst honest request (300 KB of Messages to Gemini, streamed) with LiteLLM beside it, and its figures in bench/README.md",
)
def _():
    sources = [path.name for path in (REPO / "bench").rglob("*.py") if "litellm" in path.read_text().lower()]
    assert sources, "no script in bench/ measures LiteLLM"
    text = (REPO / "bench/README.md").read_text()
    line = next((each for each in text.splitlines() if "litellm" in each.lower() and re.search(r"\d", each)), "")
    assert line and "gemini" in text.lower() and "300" in text, "bench/README.md has no figure beside LiteLLM"
    return line[:120]


@check("bench.matrix", "docs/ have a support matrix of providers, endpoints and features, generated from the tests, and a test that it is current")
def _():
    words = ("anthropic", "gemini", "bedrock", "cohere", "mistral", "ollama", "azure", "vertex")
    found = [path for path in (REPO / "docs").rglob("*.md") if all(word in path.read_text().lower() for word in words) and "|---" in path.read_text()]
    assert found, "no page of docs/ has a table with all of " + ", ".join(words)
    features = ("tool", "stream", "image", "reason", "schema", "embedding", "cach")
    lacking = {page: [word for word in features if word not in page.read_text().lower()] for page in found}
    page = min(found, key=lambda each: len(lacking[each]))
    assert not lacking[page], f"{page.name} says nothing of {lacking[page]}"
    assert any(page.name in path.read_text() or "matrix" in path.name for path in (REPO / "tests").rglob("*.py")), f"no test speaks of {page.name}"
    return page.name


@check("bench.properties", "tests/: round trips and cuts of the dialects by hypothesis; SigV4 against botocore")
def _():
    texts = {path: path.read_text() for path in (REPO / "tests").rglob("*.py")}
    assert any("hypothesis" in text and "dialect" in str(path) for path, text in texts.items()), "no test of the dialects by hypothesis"
    assert any("botocore" in text for text in texts.values()), "no test against botocore"
