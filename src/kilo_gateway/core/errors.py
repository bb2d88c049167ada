"""Everything a caller can be told went wrong. What each looks like on the wire is its dialect's and http/errors.py's.

    GatewayError
    |-- Refusal              the gateway says no: nothing was sent, nothing is owed
    |   |-- BadRequest  UriTooLong  TooLarge  HeadersTooLarge  RequestTimedOut
    |   |-- InvalidKey  KeyRequired  Forbidden  OutOfFunds
    |   |-- UnknownModel (ModelRetired)  UnknownPath  NotFound  MethodNotAllowed
    |   |-- TooManyRequests  Overloaded  JournalFull  LoopDetected  NotServed
    |   `-- NoEndpoint       every candidate was excluded; carries the reasons
    |-- StorageFailed        the database cannot be used
    `-- UpstreamError        an endpoint was tried and failed; `is_retryable`: may the next one be tried?
        |-- Unreachable  TimedOut  Truncated  BadAnswer  Draining  Defect
        `-- UpstreamRefused  it answered with an error of its own
"""

from collections.abc import Mapping, Sequence


class GatewayError(Exception):
    """`code` is stable and machine-readable; the message is for a person; `metadata` are facts for either."""

    status = 500
    kind = "api_error"
    code = "internal_error"

    def __init__(self, message: str, metadata: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.metadata = dict(metadata or {})


class Refusal(GatewayError):
    status = 400
    kind = "invalid_request_error"
    code = "invalid_request"


class BadRequest(Refusal): ...


class UriTooLong(Refusal):
    status = 414
    code = "uri_too_long"


class TooLarge(Refusal):
    status = 413
    code = "request_too_large"


class HeadersTooLarge(Refusal):
    status = 431
    code = "headers_too_large"


class RequestTimedOut(Refusal):
    status = 408
    code = "request_timeout"


class InvalidKey(Refusal):
    status = 401
    kind = "authentication_error"
    code = "INVALID_TOKEN"


class KeyRequired(Refusal):
    status = 401
    kind = "authentication_error"
    code = "PAID_MODEL_AUTH_REQUIRED"


class Forbidden(Refusal):
    status = 403
    kind = "permission_error"
    code = "forbidden"


class OutOfFunds(Refusal):
    status = 402  # not 429: SDKs would retry it
    kind = "insufficient_funds"
    code = "insufficient_funds"


class UnknownModel(Refusal):
    status = 404
    code = "model_not_found"


class ModelRetired(UnknownModel):
    code = "model_retired"


class NotServed(Refusal):
    """A row of the catalogue that no upstream can serve at the moment; the message says why."""

    status = 503
    kind = "overloaded_error"
    code = "model_not_served"


class UnknownPath(Refusal):
    status = 404
    code = "path_not_found"


class NotFound(Refusal):
    status = 404
    code = "not_found"


class MethodNotAllowed(Refusal):
    status = 405
    code = "method_not_allowed"

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message, {"allowed": allowed})
        self.allowed = allowed


class TooManyRequests(Refusal):
    status = 429
    kind = "rate_limit_error"
    code = "rate_limited"


class Overloaded(Refusal):
    status = 503
    kind = "overloaded_error"
    code = "overloaded"


class JournalFull(Overloaded):
    code = "journal_full"


class LoopDetected(Refusal):
    status = 508
    code = "loop_detected"


class NoEndpoint(Refusal):
    status = 400
    code = "no_endpoint"

    def __init__(self, model: str, excluded: Sequence[tuple[str, str]]) -> None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in excluded)
        super().__init__(f"No endpoint of {model} can take this request. {reasons}", {"excluded": dict(excluded)})


class StorageFailed(GatewayError):
    status = 503
    code = "storage_failed"


class UpstreamError(GatewayError):
    """`before`: bytes of the answer that came ahead of the failure and may still be relayed."""

    status = 502
    kind = "upstream_error"
    code = "upstream_error"
    is_retryable = True
    before = b""


class Unreachable(UpstreamError):
    code = "upstream_unreachable"


class TimedOut(UpstreamError):
    status = 504
    code = "upstream_timeout"


class Truncated(UpstreamError):
    code = "upstream_truncated"


class BadAnswer(UpstreamError):
    code = "upstream_bad_answer"


class EmptyAnswer(BadAnswer):
    code = "upstream_empty_answer"


class Draining(UpstreamError):
    status = 503
    code = "server_restarting"
    is_retryable = False


class Defect(UpstreamError):
    """Ours, met while an answer was read. The caller gets a clear end all the same; `where` is for the log."""

    where = ""

    status = 500
    code = "internal_error"
    is_retryable = False


class UpstreamRefused(UpstreamError):
    """The upstream's own error. `status` is what the caller is told; `retry_after` the upstream's header, if any."""

    def __init__(self, provider: str, status: int, message: str, *, code: str | None = None, retry_after: str = "") -> None:
        super().__init__(message, {"provider": provider, "upstream_status": status})
        if code:
            self.code = code
        self.upstream_status = status
        self.status = _STATUS_TOLD.get(status, status if 400 <= status < 500 else 502)
        self.is_retryable = status not in _CALLERS_OWN
        self.retry_after = retry_after


# A 4xx about the gateway's own standing with the provider is not the caller's mistake.
_STATUS_TOLD = {401: 502, 402: 502, 403: 502, 404: 502, 405: 502, 407: 502, 408: 504, 503: 503, 504: 504, 529: 503}
_CALLERS_OWN = frozenset({400, 406, 409, 411, 413, 414, 415, 422, 451})
