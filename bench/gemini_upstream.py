"""A Gemini that says the same to everybody, as a process of its own. Standard library only.

    python bench/gemini_upstream.py PORT

The path says how: /<pace>/<pieces>/v1beta/models/...:streamGenerateContent, where `pieces` of text and thought come before
a call with its signature, the end and the usage; `alone`: a millisecond between two of them; `burst`: all at once.
GET / tells what the last request brought.
"""

import asyncio
import json
import sys
from typing import Any

BETWEEN_S = 0.001
SIGNATURE = "CvQBAXLI2nx" + "k3J9bQ7Zr1" * 60 + "A="
ARGUMENTS = {"field_0": "/home/user/project/src/file.py", "edits": [{"old": 'print("a")\n' * 8, "new": "return None\n" * 8}]}
THOUGHTS_OF_TEN = 2  # the first fifth is thought
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n"
_TEXT = " and so the next line of the answer says what was found"


def event(parts: list[dict[str, Any]], at: int, finish: str | None = None) -> bytes:
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    counts = {"promptTokenCount": 75_000, "candidatesTokenCount": at * 12, "totalTokenCount": 75_000 + at * 12}
    usage = counts | {"promptTokensDetails": [{"modality": "TEXT", "tokenCount": 75_000}], "thoughtsTokenCount": 240}
    told = {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-3-pro-preview", "responseId": "W1"}
    return b"data: " + json.dumps(told).encode() + b"\r\n\r\n"


def answer(pieces: int) -> list[bytes]:
    thoughts = pieces * THOUGHTS_OF_TEN // 10
    made = [event([{"text": f"{at}{_TEXT}"} | ({"thought": True} if at < thoughts else {})], at) for at in range(pieces)]
    call = {"functionCall": {"name": "Tool3", "args": ARGUMENTS}, "thoughtSignature": SIGNATURE}
    return [*made, event([call], pieces), event([{"text": ""}], pieces + 1, "STOP")]


def brought(body: bytes) -> dict[str, int]:
    """What is left of the conversation. Nothing of it may be lost on the way."""
    told = json.loads(body)
    parts = [part for turn in told["contents"] for part in turn["parts"]]
    tools = [tool for group in told.get("tools", []) for key, value in group.items() if "unction" in key for tool in value]
    return {
        "bytes": len(body), "turns": len(told["contents"]), "tools": len(tools),
        "calls": sum("functionCall" in part or "function_call" in part for part in parts),
        "results": sum("functionResponse" in part or "function_response" in part for part in parts),
        "characters": sum(len(part.get("text") or "") for part in parts if not part.get("thought")),
    }  # fmt: skip


class Upstream:
    def __init__(self) -> None:
        self._answers: dict[int, list[bytes]] = {}
        self._last = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._answer(head, await _body(head, reader), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if head.startswith(b"GET "):
            told = json.dumps(brought(self._last) if self._last else {}).encode()
            writer.write(_OK % b"application/json" + b"Content-Length: %d\r\n\r\n%b" % (len(told), told))
            return
        self._last = body
        _, pace, pieces, *_ = head.split(b" ", 2)[1].split(b"/")
        count = int(pieces)
        events = self._answers.setdefault(count, answer(count))
        writer.write(_OK % b"text/event-stream" + b"Transfer-Encoding: chunked\r\n\r\n")
        chunks = [b"%x\r\n%b\r\n" % (len(each), each) for each in events]
        if pace == b"burst":
            writer.write(b"".join(chunks))
        else:
            for chunk in chunks:
                await asyncio.sleep(BETWEEN_S)
                writer.write(chunk)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" not in fields.get(b"transfer-encoding", b""):
        return await reader.readexactly(int(fields.get(b"content-length", b"0")))
    parts: list[bytes] = []
    while size := int(await reader.readline(), 16):
        parts.append((await reader.readexactly(size + 2))[:-2])
    await reader.readline()
    return b"".join(parts)


async def _main(port: int) -> None:
    server = await asyncio.start_server(Upstream().serve, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
