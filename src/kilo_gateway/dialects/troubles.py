"""What an upstream says went wrong, made fit for a caller: nothing of the gateway's own credential is in it."""

import re

from msgspec import Raw

from kilo_gateway.core.errors import BadAnswer, UpstreamRefused
from kilo_gateway.core.types import Endpoint
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.codes import NO_CODE
from kilo_gateway.dialects.openai_chat import Problem

_OWN_STANDING = {
    401: "refused the gateway's credential",
    402: "wants payment from the gateway's account",
    403: "refused the gateway's credential",
}
_MAX_MESSAGE = 2_000
_credentials = re.compile(rb"\r\n(?:authorization: bearer|(?:x-|x-goog-)?api-key:) ([^\r]{4,})", re.IGNORECASE).findall


def told_by(endpoint: Endpoint, status: int, problem: Problem, retry_after: str = "") -> UpstreamRefused:
    """`status`: of the answer, or inside it."""
    if status in _OWN_STANDING:
        return UpstreamRefused(endpoint.provider, status, f"{endpoint.provider} {_OWN_STANDING[status]} ({status}).")
    message, code = problem.message, problem.code
    for credential in _credentials(endpoint.head):
        secret = credential.decode("latin-1")
        message, code = message.replace(secret, "(a key)"), NO_CODE if secret in code else code
    return UpstreamRefused(endpoint.provider, status, message[:_MAX_MESSAGE], code=code, retry_after=retry_after)


def told_inside(endpoint: Endpoint, problem: Problem) -> UpstreamRefused:
    """An error inside an answer whose status was 200: the next endpoint may do."""
    status = problem.status if problem.status is not None and 400 <= problem.status < 600 else 500
    refused = told_by(endpoint, status, problem)
    refused.is_retryable = True
    return refused


def opened(endpoint: Endpoint, body: bytes) -> dict[str, Raw]:
    """The members of a JSON answer in OpenAI's manner. Raises UpstreamError for what is none, and for an error in it."""
    fields = openai_chat.open_answer(body)
    if fields is None:
        raise BadAnswer(f"{endpoint.provider} answered with something that is not a JSON object.")
    if "error" in fields and (problem := openai_chat.error_of(fields["error"])) is not None:
        raise told_inside(endpoint, problem)
    return fields
