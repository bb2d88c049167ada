"""Access tokens of upstreams: how one is asked for, and what is answered. OAuth 2 (RFC 6749, 7523). Sends nothing itself."""

import re
from importlib import import_module
from typing import cast
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from kilo_gateway.core.errors import BadAnswer
from kilo_gateway.core.settings import TokenSettings

ASSERTED_S = 3600  # the most that Google lets an assertion hold
MAX_LIFE_S = 86_400
UNTOLD_LIFE_S = 600  # where it is not said how long a token holds
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_MAX_SHOWN = 300
_fits_a_header = re.compile(r"[!-~]{1,16384}").fullmatch


class Token(Struct, frozen=True):
    """Times are Unix seconds."""

    value: str
    got_at: int
    expires_at: int

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"

    @property
    def due_at(self) -> int:
        """When to get the next one: with a quarter of its life left, or half of a short one."""
        life = self.expires_at - self.got_at
        return self.expires_at - max(life // 4, min(300, life // 2))


class KeyUnusable(Exception):
    """The private key cannot be used; the message says why, and nothing of the key."""


def form(source: TokenSettings, now_s: int) -> bytes:
    """The body that asks for a token. Raises KeyUnusable. Takes milliseconds: a signature is made."""
    if source.grant == "service-account":
        return urlencode({"grant_type": _JWT_GRANT, "assertion": _assertion(source, now_s)}).encode()
    asked = {"client_id": source.client, "client_secret": source.secret.reveal()}
    if source.grant == "refresh":
        asked |= {"grant_type": "refresh_token", "refresh_token": source.refresh_token.reveal()}
    else:
        asked |= {"grant_type": "client_credentials", "scope": source.scope}
    return urlencode(asked).encode()


def _assertion(source: TokenSettings, now_s: int) -> str:
    claims: dict[str, object] = {
        "iss": source.client, "scope": source.scope, "aud": source.url, "iat": now_s, "exp": now_s + ASSERTED_S
    }
    jwt = import_module("kilo_gateway.upstreams.jwt")  # heavy, and seldom needed
    try:
        return cast(str, jwt.signed(claims, source.secret.reveal(), source.key_id))
    except ValueError:
        raise KeyUnusable("its private key cannot be read: an RSA key in PEM is needed") from None


class _Answer(Struct):
    access_token: str = ""
    expires_in: int | float | str | None = None
    error: str | None = None
    error_description: str | None = None


_decode = msgspec.json.Decoder(_Answer).decode


def read(status: int, body: bytes, now_s: int) -> Token:
    """Raises BadAnswer, with what the endpoint says of the reason."""
    try:
        told = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = _Answer()
    if status != 200:
        said = ": ".join(_plain(part) for part in (told.error, told.error_description) if part)
        raise BadAnswer(f"the token endpoint answered {status}" + (f" ({said})" if said else ""))
    if not _fits_a_header(told.access_token):
        raise BadAnswer("the token endpoint answered without an access token")
    return Token(told.access_token, now_s, now_s + _life(told.expires_in))


def _life(told: float | str | None) -> int:
    try:
        seconds = UNTOLD_LIFE_S if told is None else int(float(told))
    except (ValueError, OverflowError):
        seconds = UNTOLD_LIFE_S
    return min(max(seconds, 1), MAX_LIFE_S)


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:_MAX_SHOWN]
