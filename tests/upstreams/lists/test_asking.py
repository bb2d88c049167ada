"""How lists are asked for: paths, pages and headers of each kind."""

import pytest

from kilo_gateway.core.types import Origin
from kilo_gateway.upstreams.lists.asking import first_path, next_path, signature

HERE = Origin("api.example.com", 443, is_tls=True)
LOCAL = Origin("127.0.0.1", 8080, is_trusted=True)


def test_each_kind_has_its_path() -> None:
    assert first_path("openai", "/api/v1") == "/api/v1/models"
    assert first_path("anthropic", "/v1") == "/v1/models?limit=1000"
    assert first_path("gemini", "/v1beta") == "/v1beta/models?pageSize=1000"
    assert first_path("ollama", "/v1") == "/api/tags"


def test_each_kind_sends_its_credential_in_its_own_way() -> None:
    assert signature("openai", "sk") == "Authorization: Bearer sk\r\n"
    assert signature("openai", "") == ""
    assert signature("anthropic", "sk") == "x-api-key: sk\r\nanthropic-version: 2023-06-01\r\n"
    assert signature("anthropic", "") == "anthropic-version: 2023-06-01\r\n"
    assert signature("gemini", "sk") == "x-goog-api-key: sk\r\n"


def test_cursors_are_escaped() -> None:
    assert next_path("anthropic", HERE, "/v1/models?limit=1000", "a b&c") == "/v1/models?limit=1000&after_id=a%20b%26c"
    assert next_path("gemini", HERE, "/v1beta/models?pageSize=1000", "x/y=\r\n") == "/v1beta/models?pageSize=1000&pageToken=x%2Fy%3D%0D%0A"


@pytest.mark.parametrize(
    ("next", "path"),
    [
        ("/api/v1/models?offset=500", "/api/v1/models?offset=500"), ("?offset=500", "/api/v1/models?offset=500"),
        ("models?offset=500", "/api/v1/models?offset=500"), ("https://api.example.com/x?y=1#z", "/x?y=1"),
        ("https://API.example.com:443/x", "/x"), ("//api.example.com/x", "/x"),
    ],
)  # fmt: skip
def test_a_link_at_the_same_origin_is_followed(next: str, path: str) -> None:
    assert next_path("openai", HERE, "/api/v1/models", next) == path


@pytest.mark.parametrize(
    "next",
    ["http://api.example.com/x", "https://api.example.com:444/x", "https://other.example.com/x", "//other.example.com/x", "/x y", "/x\r\nA: b",
     "https://[::1", "https://h:99999/", "/ä", "https://api.example.com.evil/x", "https://api.example.com@evil/x", "javascript:x"],
)  # fmt: skip
def test_a_link_to_somewhere_else_is_not_followed(next: str) -> None:
    assert next_path("openai", HERE, "/api/v1/models", next) is None


def test_a_plain_origin_is_one_too() -> None:
    assert next_path("openai", LOCAL, "/v1/models", "http://127.0.0.1:8080/v1/models?after=x") == "/v1/models?after=x"
    assert next_path("openai", Origin("::1", 80), "/v1/models", "http://[::1]/a") == "/a"
