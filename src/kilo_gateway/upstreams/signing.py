"""Heads of requests that are signed one by one, because the signature is over the body and the time: AWS's."""

from kilo_gateway.core.types import Endpoint
from kilo_gateway.upstreams.sigv4 import Credentials, signed

_SERVICE = "bedrock"
_LENGTH = b"Content-Length: "


def sign(endpoint: Endpoint, head: bytes, body: bytes, at_ms: int) -> bytes:
    """`head` up to and including `Content-Length: `, with the lines of the signature before that."""
    aws = endpoint.aws
    if aws is None:
        return head
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    host = headers.pop("Host")
    headers.pop("Content-Length", None)
    made = signed(
        method, host, path.partition("?")[0], {"Content-Type": headers["Content-Type"]}, body,
        credentials=Credentials(aws.access_key, aws.secret_key, aws.session_token), region=aws.region, service=_SERVICE,
        at_s=at_ms / 1000,
    )  # fmt: skip
    added = "".join(f"{name}: {value}\r\n" for name, value in made.items()).encode()
    return head.removesuffix(_LENGTH) + added + _LENGTH
