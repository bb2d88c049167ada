"""Errors in this dialect's words. https://docs.anthropic.com/en/api/errors"""


import msgspec
from msgspec import Raw, Struct

from kilo_gateway.dialects.codes import NO_CODE, code_of
from kilo_gateway.dialects.hub.answered import Failed

_TYPES = {
    401: "authentication_error", 402: "billing_error", 403: "permission_error", 404: "not_found_error",
    408: "timeout_error", 413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error", 504: "timeout_error",
    524: "timeout_error", 529: "overloaded_error",
}  # fmt: skip
_STATUSES = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529,
}  # fmt: skip


class Problem(Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Answer(Struct):
    error: Problem | str | None = None
    message: str | None = None
    detail: str | None = None
    type: str | None = None


_decode_problem = msgspec.json.Decoder(Problem | str | None).decode
_decode_answer = msgspec.json.Decoder(_Answer).decode


def type_of(status: int) -> str:
    return _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def read_problem(raw: Raw) -> Failed:
    """Inside an answer whose status was 200."""
    try:
        problem = _decode_problem(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        problem = None
    failed = _failed(problem, None)
    kind = problem.type if isinstance(problem, Problem) else None
    return Failed(failed.message, failed.code, _STATUSES.get(kind or "", failed.status))


def read_error(body: bytes, status: int) -> Failed:
    """However it is worded: the dialect's object, a message or detail at the top, or plain text."""
    try:
        answer = _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body[:500].decode("utf-8", "replace").strip()
        return Failed(text or f"the upstream answered with status {status}", NO_CODE, status)
    error = answer.error
    if error is None and (told := answer.message or answer.detail):
        error = Problem(told, answer.type)
    failed = _failed(error, status)
    return Failed(failed.message, failed.code, status)


def _failed(problem: Problem | str | None, status: int | None) -> Failed:
    if isinstance(problem, str):
        problem = Problem(problem)
    elif problem is None:
        problem = Problem()
    number = problem.code if isinstance(problem.code, int) and 400 <= problem.code < 600 else None
    code = code_of(problem.code, problem.type)
    return Failed(problem.message or "the upstream reported an error", code, number if status is None else status)
