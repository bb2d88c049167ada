"""What asks for an access token, and what is made of the answer."""

from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.upstreams.accounts import PEM, ROBOT, claims_of

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import TokenSettings
from kilo_gateway.core.types import Origin
from kilo_gateway.upstreams import tokens
from kilo_gateway.upstreams.tokens import KeyUnusable, Token

NOW = 1_790_000_000
URL = "https://oauth2.example/token"


def source(grant: str = "service-account", secret: str = PEM) -> TokenSettings:
    return TokenSettings(grant, URL, Origin("h", 1), "/token", ROBOT, Secret(secret), "the-scope", "k1", Secret("r&f"))  # type: ignore[arg-type]


def asked(of: TokenSettings) -> dict[str, str]:
    return {name: value for name, [value] in parse_qs(tokens.form(of, NOW).decode(), strict_parsing=True).items()}


def test_a_service_account_signs_who_it_is_for_an_hour() -> None:
    form = asked(source())
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    header, claims = claims_of(form["assertion"])
    assert header == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert claims == {"iss": ROBOT, "scope": "the-scope", "aud": URL, "iat": NOW, "exp": NOW + 3600}


def test_a_client_and_a_user_send_their_secrets() -> None:
    client = {"client_id": ROBOT, "client_secret": "s&c=", "grant_type": "client_credentials", "scope": "the-scope"}
    assert asked(source("client", "s&c=")) == client
    user = {"client_id": ROBOT, "client_secret": "s", "grant_type": "refresh_token", "refresh_token": "r&f"}
    assert asked(source("refresh", "s")) == user


@pytest.mark.parametrize("secret", ["", "no key", PEM[:200], PEM.replace("PRIVATE", "PUBLIC"), "\0"])
def test_a_key_that_is_none_is_told_without_a_word_of_it(secret: str) -> None:
    with pytest.raises(KeyUnusable, match=r"^its private key cannot be read: an RSA key in PEM is needed$"):
        tokens.form(source(secret=secret), NOW)


def test_a_token_is_renewed_with_a_quarter_of_its_life_left_and_a_short_one_halfway() -> None:
    assert Token("t", NOW, NOW + 3600).due_at == NOW + 2700
    assert Token("t", NOW, NOW + 700).due_at == NOW + 400
    assert Token("t", NOW, NOW + 60).due_at == NOW + 30


@pytest.mark.parametrize(
    ("told", "life"),
    [(b"3599", 3599), (b'"3599"', 3599), (b"3599.5", 3599), (b"null", 600), (b"-5", 1), (b"1e300", 86_400), (b'"x"', 600), (b'"nan"', 600), (b'"inf"', 600)],
)
def test_how_long_it_holds(told: bytes, life: int) -> None:
    token = tokens.read(200, b'{"access_token":"a.b-c","expires_in":%b}' % told, NOW)
    assert token == Token("a.b-c", NOW, NOW + life)
    assert "a.b-c" not in repr(token)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (400, b'{"error":"invalid_grant","error_description":"Invalid JWT\\r\\nSignature."}', "answered 400 (invalid_grant: Invalid JWT  Signature.)"),
        (500, b"<html>", "answered 500"),
        (200, b"{}", "without an access token"),
        (200, b'{"access_token":"a\\r\\nX-Evil: 1"}', "without an access token"),
        (200, b'{"access_token":"a b"}', "without an access token"),
        (200, b'{"access_token":7}', "without an access token"),
    ],
)
def test_what_is_no_token_is_told(status: int, body: bytes, reason: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        tokens.read(status, body, NOW)
    assert str(caught.value).endswith(reason) or reason in str(caught.value)


@given(st.integers(100, 599), st.binary(max_size=60))
def test_whatever_is_answered_is_a_token_or_a_reason(status: int, body: bytes) -> None:
    try:
        assert tokens.read(status, body, NOW).value
    except BadAnswer as error:
        assert str(error).isprintable()
