"""What upstreams are told of callers' clients: which words, whose, and the names of betas that may travel."""

import re
from collections.abc import Mapping
from dataclasses import replace

from kilo_gateway.configuration.fields import Found
from kilo_gateway.configuration.rows import Row
from kilo_gateway.core.client import HEADERS
from kilo_gateway.core.settings import ConfigurationError, UpstreamSettings
from kilo_gateway.upstreams.registry import Provider

OWN_WORDS = ("referer", "title")  # that may be put in place of the clients'
MAX_OWN = 256
_is_beta = re.compile(r"[0-9A-Za-z._=:/-]{1,64}\*?|\*").fullmatch


def words_of(row: Row) -> tuple[str, ...] | None:
    """Of one of [[upstreams]]; None where it does not say."""
    given = row.values["client_headers"]
    if given is None:
        return None
    if not isinstance(given, list) or any(not isinstance(word, str) or word not in HEADERS for word in given):
        raise row.wrong("client_headers", f"a list of {', '.join(HEADERS)}")
    return tuple(dict.fromkeys(given))


def introduced(
    upstream: UpstreamSettings, found: Found, environment: Mapping[str, str], known: Mapping[str, Provider]
) -> UpstreamSettings:
    """With what it is told: where nobody said, as the provider at its host is, or the one whose key it has."""
    provider = _provider(upstream, known)
    words = upstream.client_headers
    if words is None:
        words = provider.client_headers if provider is not None else ()
    variables = provider.own_headers if provider is not None else {}
    own: list[tuple[str, str]] = []
    for word in OWN_WORDS:
        text, place = found.text(f"attribution.{word}"), found.source(f"attribution.{word}")
        variable = variables.get(word, "")
        if environment.get(variable, "").strip():
            text, place = environment[variable], variable
        if not (text.isascii() and text.isprintable() and len(text) <= MAX_OWN):
            raise ConfigurationError(f"{place}: {word} must be at most {MAX_OWN} printable ASCII characters.")
        if text.strip() and word in words:
            own.append((word, text.strip()))
    return replace(upstream, client_headers=words, own_headers=tuple(own))


def betas_of(found: Found) -> dict[str, tuple[str, ...]]:
    """By header."""
    return {f"{each}-beta": _betas(found, f"betas.{each}") for each in ("anthropic", "openai")}


def _betas(found: Found, name: str) -> tuple[str, ...]:
    names = found.texts(name)
    if not all(map(_is_beta, names)):
        raise found.wrong(name, "a list of names such as 'interleaved-thinking-2025-05-14' or 'interleaved-thinking-*'")
    return names


def _provider(upstream: UpstreamSettings, known: Mapping[str, Provider]) -> Provider | None:
    for name, provider in known.items():
        is_from_key = upstream.name == name and upstream.source in provider.env
        if is_from_key or upstream.origin.host == provider.host:
            return provider
    return None
