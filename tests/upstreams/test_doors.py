"""Heads of requests for something else than chat."""

import pytest

from kilo_gateway.core.types import Endpoint, Origin
from kilo_gateway.upstreams.doors import DOORS, readdressed

HEAD = b"POST %b HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer /chat/completions\r\nContent-Type: application/json\r\nContent-Length: "


def endpoint(path: bytes, services: dict[str, str] | None = None) -> Endpoint:
    return Endpoint("one", "a/m", Origin("h", 1), "openai-chat", b'"m"', HEAD % path, b"", b'"one"', b'"a/m"', None, services=services)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        (b"/v1/chat/completions", b"/v1/embeddings"), (b"/chat/completions/v1/chat/completions", b"/chat/completions/v1/embeddings"),
        (b"/d/m/chat/completions?api-version=1", b"/d/m/embeddings?api-version=1"),
    ],
)  # fmt: skip
def test_the_path_alone_is_another(path: bytes, wanted: bytes) -> None:
    assert readdressed(endpoint(path), "embeddings", b"") == HEAD % wanted


def test_an_unusual_path_and_another_type() -> None:
    head = readdressed(endpoint(b"/api/gateway/chat/completions", {"fim": "/api/fim/completions"}), "fim", b"multipart/form-data; boundary=x")
    assert head == (HEAD % b"/api/fim/completions").replace(b"application/json", b"multipart/form-data; boundary=x")


def test_every_service_of_every_door_has_a_path() -> None:
    assert all(path.startswith("/") for door in DOORS.values() for path in door.services.values())
