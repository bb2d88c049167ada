"""Recorded exchanges with providers, one JSON object a line. A line that cannot be replayed says why."""

import binascii
import gzip
import json
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import providers
from providers import Said

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.dialects import eventstream

DIALECTS = {
    "/messages": "anthropic-messages", "/chat/completions": "openai-chat", "/responses": "openai-responses",
    ":generateContent": "gemini", ":streamGenerateContent": "gemini", "/converse": "bedrock-converse",
    "/converse-stream": "bedrock-converse", "/v2/chat": "cohere",
}  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """`skipped`: why it cannot be replayed; empty when it can."""

    number: int
    name: str = ""
    dialect: str = ""
    status: int = 0
    content_type: str = ""
    body: bytes = b""
    skipped: str = ""

    @property
    def is_stream(self) -> bool:
        return self.status == 200 and ("event-stream" in self.content_type or "eventstream" in self.content_type)

    def said(self) -> Said:
        """Raises LookupError, TypeError, AttributeError or ValueError for an answer that is none."""
        try:
            events = self._events()
        except ValueError:
            return Said(is_broken=True)
        return providers.said(self.dialect, events, is_stream=self.is_stream)

    def _events(self) -> list[dict[str, Any]]:
        """Of a stream; of a JSON answer that one, or those of the array that Gemini makes of a stream."""
        if not self.is_stream:
            whole = json.loads(self.body.removeprefix(b"\xef\xbb\xbf"))
            return whole if isinstance(whole, list) else [whole]
        if "eventstream" in self.content_type:
            return [{"type": name.decode(), **json.loads(data)} for name, data in eventstream.Splitter().feed(self.body)]
        data = [line[5:].strip() for line in self.body.splitlines() if line.startswith(b"data:")]
        return [json.loads(each) for each in data if each.startswith(b"{")]


def recordings(path: Path) -> Iterator[Recording]:
    """One of each line that is not blank. Raises OSError."""
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_packed else path.open("rb") as lines:
        for number, line in enumerate(lines):
            if line.strip():
                yield _recording(number, line)


def _recording(number: int, line: bytes) -> Recording:
    try:
        told = json.loads(line)
        name, url = str(told["name"]), str(told["url"]).partition("?")[0].partition("#")[0].rstrip("/")
        method, status, response = str(told["method"]).upper(), int(told["status"]), told["response"]
    except (LookupError, ValueError, TypeError) as error:
        return Recording(number, skipped=f"no exchange ({type(error).__name__})")
    dialect = next((dialect for end, dialect in DIALECTS.items() if url.endswith(end)), "")
    if method != "POST" or not dialect:
        return Recording(number, name, skipped="no inference in a dialect that is replayed")
    if response is None and status == 200:
        return Recording(number, name, skipped="no answer was recorded")
    response = "" if response is None else response
    kind = str(told.get("content_type") or "") or _kind_of(response)
    body = _frames(response) if "eventstream" in kind else _bytes_of(response)
    if body is None:
        return Recording(number, name, skipped="its frames were recorded as text, and are lost")
    return Recording(number, name, dialect, status, kind, body)


def _kind_of(response: Any) -> str:
    is_stream = isinstance(response, str) and response.startswith(("data:", "event:", ":"))
    return "text/event-stream" if is_stream else "application/json"


def _bytes_of(response: Any) -> bytes:
    text = response if isinstance(response, str) else json.dumps(response, ensure_ascii=False)
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a character
        return text.encode(errors="replace") if isinstance(response, str) else json.dumps(response).encode()


def _frames(response: Any) -> bytes | None:
    """Of Amazon's event stream, however a text was made of them; None: they cannot be read any more."""
    if not isinstance(response, str):
        return _bytes_of(response)
    for code, errors in (("ascii", "strict"), ("latin-1", "strict"), ("utf-8", "surrogateescape")):
        try:
            raw = response.encode(code, errors)
            found = b64decode(raw, validate=True) if code == "ascii" else raw
            if eventstream.Splitter().feed(found):
                return found
        except (UnicodeEncodeError, binascii.Error, BadAnswer):
            continue
    return None
