"""Whole HTTP answers made here. The one place where a refusal or failure becomes bytes; bodies are worded by the dialect."""

from http import HTTPStatus

from kilo_gateway.core.errors import GatewayError, MethodNotAllowed, Overloaded, UpstreamRefused
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.dialects import openai_chat

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def refusal(
    error: GatewayError, head_lines: bytes = b"", *, has_body: bool = True, dialect: CallerDialect = openai_chat
) -> bytes:
    lines = head_lines
    if isinstance(error, MethodNotAllowed):
        lines += b"Allow: %b\r\n" % error.allowed.encode()
    if error.status == 401:
        lines += b'WWW-Authenticate: Bearer error="invalid_token"\r\n'
    if isinstance(error, UpstreamRefused) and error.retry_after:
        lines += b"Retry-After: %b\r\n" % error.retry_after.encode("latin-1", "replace")
    elif isinstance(error, Overloaded):
        lines += b"Retry-After: 1\r\n"
    return answer(error.status, dialect.error_body(error), lines, has_body=has_body)


def answer(status: int, body: bytes, head_lines: bytes = b"", *, has_body: bool = True) -> bytes:
    """A JSON answer. Without `has_body` (HEAD) only its head."""
    return b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
        status, _REASONS.get(status, "Error").encode(), head_lines, len(body), body if has_body else b"",
    )  # fmt: skip


def no_content(head_lines: bytes = b"") -> bytes:
    return b"HTTP/1.1 204 No Content\r\n%b\r\n" % head_lines
