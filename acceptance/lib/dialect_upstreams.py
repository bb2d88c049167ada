"""Fake upstreams, one for each dialect: servers on loopback in a thread that speak and refuse as the real providers do, and keep a record.

    fake = Speaker("gemini").start()             # chat responses messages gemini converse cohere
    name = SCRIPTS.add(THINKING, PLAIN)          # `script:NAME` in a prompt: the first answer, then the others
    fake.heard(name)                             # what came, newest last

A chat speaker also serves /completions, /fim/completions, /edit/completions, /embeddings and /audio/transcriptions.
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass

import dialect_aws
import dialect_rules
import dialect_side
from catalogue_upstreams import Asked, Fake
from dialect_heard import Heard, heard
from dialect_scripts import SCRIPTS, Reply
from dialect_speech_openai import chat_body, chat_events, responses_body, responses_events
from dialect_speech_others import (
    cohere_body,
    cohere_events,
    converse_body,
    converse_events,
    frame,
    gemini_body,
    gemini_events,
    messages_body,
    messages_events,
)  # fmt: skip

DIALECTS = ("chat", "responses", "messages", "gemini", "converse", "cohere")
BODIES = {
    "chat": chat_body,
    "responses": responses_body,
    "messages": messages_body,
    "gemini": gemini_body,
    "converse": converse_body,
    "cohere": cohere_body,
}
EVENTS = {
    "chat": chat_events, "responses": responses_events, "messages": messages_events, "gemini": gemini_events, "converse": converse_events,
    "cohere": cohere_events,
}  # fmt: skip
PREFIX = {"gemini": "/v1beta", "converse": "", "cohere": "/v2"}
PATHS = {
    "chat": r"/v1/chat/completions", "responses": r"/v1/responses", "messages": r"/v1/messages",
    "gemini": r"/v1beta/models/(?P<id>[^/:]+):(?P<verb>generateContent|streamGenerateContent)",
    "converse": r"/model/(?P<id>[^/]+)/(?P<verb>converse|converse-stream)", "cohere": r"/v2/chat",
}  # fmt: skip
KEYS = {"converse": "AKIDLABEXAMPLE:secretOf/Lab+Example0"}
KEY = "sk-of-the-lab"
MARK = re.compile(rb"script:(d\d+z)")
COUNTED = 321  # what count_tokens answers


@dataclass
class Talk:
    """One request for an answer. `fault`: why it was refused as malformed. `is_done`: all of the answer was written."""

    asked: Asked
    script: str
    path: str
    body: dict
    dialect: str = ""
    fault: str = ""
    is_done: bool = False

    @property
    def headers(self) -> dict[str, str]:
        return self.asked.headers

    @property
    def heard(self) -> Heard:
        assert self.dialect, f"{self.path} is no request for an answer"
        return heard(self.dialect, self.body)


class Speaker(Fake):
    """`is_strict`: it refuses what its provider refuses. `house`: of chat, whose own rules hold besides. `aws`: SigV4 or bearer."""

    def __init__(self, dialect: str, rows: list | None = None, *, is_strict: bool = True, house: str = "", key: str = "") -> None:
        super().__init__(dialect, rows or [])
        self.dialect, self.is_strict, self.house = dialect, is_strict, house
        self.key = key or KEYS.get(dialect, KEY)
        self.talks: list[Talk] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX.get(self.dialect, '/v1')}"

    def of(self, script: str) -> list[Talk]:
        return [talk for talk in self.talks if talk.script == script]

    def one(self, script: str) -> Talk:
        """The last of them; there must be one."""
        found = self.of(script)
        assert found, f"the {self.dialect} upstream was not asked"
        return found[-1]

    # -- answering

    async def _answer(self, asked: Asked, reader, writer) -> bool:
        if refused := self._credential_fault(asked):
            return await self._send(writer, 401 if self.dialect != "converse" else 403, self._error(401, refused))
        if asked.method == "GET":
            return await self._send(writer, 200, self._list())
        mark = MARK.search(asked.body)
        script = mark[1].decode() if mark else ""
        is_json = "json" in asked.headers.get("content-type", "") or asked.body[:1] == b"{"
        body = json.loads(asked.body) if is_json else dialect_side.fields_of(asked)
        talk = Talk(asked, script, asked.path, body)
        self.talks.append(talk)
        reply = SCRIPTS.next(script)
        if reply.status != 200:
            return await self._refuse(writer, reply)
        found = re.fullmatch(PATHS[self.dialect], asked.path)
        if not found:
            return await self._side(talk, reply, writer)
        talk.dialect = self.dialect
        if self.is_strict and (why := dialect_rules.fault(self.dialect, body, self.house)):
            talk.fault = why
            return await self._send(writer, 400, self._error(400, why))
        verb = found.groupdict().get("verb") or ""
        request = {**body, "model": found["id"]} if verb else body
        if body.get("stream") or verb in ("streamGenerateContent", "converse-stream"):
            if verb == "streamGenerateContent" and asked.query.get("alt") != ["sse"]:
                return await self._send(writer, 200, [event for event in gemini_events(reply, request)])
            return await self._stream(talk, reply, EVENTS[self.dialect](reply, request), writer)
        await self._send(writer, 200, BODIES[self.dialect](reply, request))
        talk.is_done = True
        return True

    def _credential_fault(self, asked: Asked) -> str:
        headers = asked.headers
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        if self.dialect == "messages":
            if headers.get("x-api-key", bearer) != self.key:
                return "invalid x-api-key"
            return "" if headers.get("anthropic-version") else "anthropic-version: header is required"
        if self.dialect == "gemini":
            return "" if headers.get("x-goog-api-key") == self.key else "API key not valid. Please pass a valid API key."
        if self.dialect == "converse" and ":" in self.key:
            access, _, secret = self.key.partition(":")
            return dialect_aws.fault(access, secret, "us-east-1", asked.method, asked.path, headers, asked.body)
        return "" if bearer == self.key else "Incorrect API key provided"

    async def _side(self, talk: Talk, reply: Reply, writer) -> bool:
        if self.dialect == "messages" and talk.path == "/v1/messages/count_tokens":
            return await self._send(writer, 200, {"input_tokens": COUNTED})
        if self.dialect == "gemini" and talk.path.endswith(":countTokens"):
            return await self._send(writer, 200, {"totalTokens": COUNTED})
        answer = dialect_side.answer(self.dialect, talk.path, talk.body, reply)
        if isinstance(answer, str):
            talk.fault = answer
            return await self._send(writer, 400, self._error(400, answer))
        if answer is None:
            return await self._send(writer, 404, self._error(404, f"Unknown request URL: POST {talk.path}"))
        if isinstance(answer, list):
            return await self._stream(talk, reply, answer, writer)
        return await self._send(writer, 200, answer)

    def _list(self) -> dict:
        if self.dialect == "messages":
            rows = [{"type": "model", "id": id, "display_name": id, "created_at": "2026-05-01T00:00:00Z"} for id in self.rows]
            return {"data": rows, "has_more": False, "first_id": None, "last_id": None}
        if self.dialect == "gemini":
            verbs = ["generateContent", "streamGenerateContent", "countTokens"]
            return {"models": [{"name": f"models/{id}", "displayName": id, "inputTokenLimit": 99_000, "outputTokenLimit": 9_000,
                                "supportedGenerationMethods": verbs} for id in self.rows]}  # fmt: skip
        return {"object": "list", "data": [{"id": id, "object": "model", "created": 1, "owned_by": "lab"} for id in self.rows]}

    # -- errors

    def _error(self, status: int, message: str) -> dict:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error", 529: "overloaded_error"}
        kind = kinds.get(status, "api_error")
        if self.dialect == "messages":
            return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_lab1"}
        if self.dialect == "gemini":
            words = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
            return {"error": {"code": status, "message": message, "status": words.get(status, "INTERNAL")}}
        if self.dialect == "converse":
            return {"message": message}
        if self.dialect == "cohere":
            return {"id": "lab-cohere-e", "message": message}
        return {"error": {"message": message, "type": kind, "param": None, "code": None}}

    async def _refuse(self, writer, reply: Reply) -> bool:
        headers = {"Retry-After": reply.retry_after} if reply.retry_after else {}
        if self.dialect == "converse":
            headers["x-amzn-ErrorType"] = {400: "ValidationException", 429: "ThrottlingException"}.get(reply.status, "InternalServerException")
        return await self._send(writer, reply.status, self._error(reply.status, reply.message), headers)

    def _broken(self, reply: Reply, number: int) -> bytes:
        """The error event inside a stream."""
        if self.dialect == "converse":
            return frame("modelStreamErrorException", {"message": reply.message}, "exception")
        if self.dialect == "responses":
            failed = {"id": "resp_lab1", "object": "response", "created_at": 1, "status": "failed", "model": "m", "output": [], "usage": None,
                      "error": {"code": "server_error", "message": reply.message}}  # fmt: skip
            return self._frame({"type": "response.failed", "response": failed, "sequence_number": number})
        if self.dialect == "cohere":
            return self._frame({"type": "message-end", "delta": {"finish_reason": "ERROR", "error": reply.message}})
        if self.dialect == "messages":
            return self._frame(self._error(529, reply.message))
        return self._frame(self._error(503, reply.message))

    # -- streams

    def _frame(self, event) -> bytes:
        if isinstance(event, tuple):
            return frame(event[0], {**event[1], "p": "abcdefgh"})
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        if self.dialect == "gemini":
            return f"data: {data}\r\n\r\n".encode()
        named = self.dialect in ("responses", "messages", "cohere")
        return (f"event: {event['type']}\n" if named else "").encode() + f"data: {data}\n\n".encode()

    async def _stream(self, talk: Talk, reply: Reply, events: list, writer) -> bool:
        """Each event its own chunk, or cut anew every `split` bytes."""
        stop = reply.cut if reply.cut is not None else reply.error
        pieces = [self._frame(event) for event in (events if stop is None else events[:stop])]
        if reply.error is not None:
            pieces.append(self._broken(reply, len(pieces)))
        if reply.is_torn and stop is not None and stop < len(events):
            whole = self._frame(events[stop])
            pieces.append(whole[: len(whole) // 2])
        if reply.is_odd and self.dialect != "converse":
            pieces.insert(1, b": a comment\n\n")
        if reply.split:
            data = b"".join(pieces)
            pieces = [data[at : at + reply.split] for at in range(0, len(data), reply.split)]
        kind = "application/vnd.amazon.eventstream" if self.dialect == "converse" else "text/event-stream; charset=utf-8"
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            if reply.pause_s or reply.split:
                await asyncio.sleep(reply.pause_s)
        talk.is_done = True
        if reply.cut is not None and reply.cut_how == "reset":
            await asyncio.sleep(0.02)
            writer.transport.abort()
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _send(self, writer, status: int, body, headers: dict[str, str] | None = None) -> bool:
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(data)), "x-request-id": f"req-{time.time_ns()}", **(headers or {})}
        lines = [f"HTTP/1.1 {status} As told", *(f"{name}: {value}" for name, value in fields.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()
        return True
