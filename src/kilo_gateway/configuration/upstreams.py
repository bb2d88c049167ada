"""Upstreams as the operator declares them: [[upstreams]] in the file, and providers' keys in the environment."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from kilo_gateway.configuration import platforms
from kilo_gateway.configuration.addresses import origin_of
from kilo_gateway.configuration.client_headers import words_of
from kilo_gateway.configuration.fields import UPSTREAM_FIELDS, Found
from kilo_gateway.configuration.listener import leads_back
from kilo_gateway.configuration.models import models_of
from kilo_gateway.configuration.rows import Row
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.settings import ConfigurationError, ProxySettings, ServerSettings, UpstreamSettings
from kilo_gateway.core.types import Origin, Patience, Platform
from kilo_gateway.dialects.tool_ids import FORMS
from kilo_gateway.upstreams.compile import CAP_FIELDS
from kilo_gateway.upstreams.doors import DOORS
from kilo_gateway.upstreams.lists.listing import KINDS, OF_DIALECT
from kilo_gateway.upstreams.registry import WITHOUT_URLS, provider_at, providers

_ends_in_version = re.compile(r"/v\d[^/]*\Z").search
Sources = tuple[tuple[UpstreamSettings, ...], tuple[str, ...]]


def from_file(found: Found, environment: Mapping[str, str], server: ServerSettings) -> Sources:
    """Those declared, and what to tell about them. One that leads back here is left out."""
    kept: list[UpstreamSettings] = []
    notes: list[str] = []
    for nth, table in enumerate(found.upstreams):
        row = Row(found.places, ("upstreams", nth), table, UPSTREAM_FIELDS, "an upstream is a table: write [[upstreams]]")
        upstream = _upstream(row, environment)
        if any(upstream.name == other.name for other in kept):
            raise row.wrong("name", "a name of its own; another upstream has it")
        if leads_back(upstream.origin, server):
            where = f"{upstream.origin.host}:{upstream.origin.port}"
            notes.append(f"upstream {upstream.name} is skipped: {where} is this gateway.")
        else:
            kept.append(upstream)
    return tuple(kept), tuple(notes)


def from_environment(environment: Mapping[str, str], server: ServerSettings, taken: set[str]) -> Sources:
    kept: list[UpstreamSettings] = []
    notes: list[str] = []
    for name, provider in providers().items():
        variable = next((each for each in provider.env if environment.get(each, "").strip()), None)
        if variable is None or name in taken:
            continue
        base_url = environment.get(provider.base_env) or provider.base_url
        origin, path = origin_of(base_url, is_trusted=False, place=provider.base_env)
        if provider.version and not _ends_in_version(path):
            path += f"/{provider.version}"
        if leads_back(origin, server):
            notes.append(f"upstream {name} ({variable}) is skipped: {origin.host}:{origin.port} is this gateway.")
            continue
        if not environment[variable].strip().isprintable():
            raise ConfigurationError(f"{variable}: a key must not contain line breaks or control characters.")
        kept.append(
            UpstreamSettings(
                name, provider.dialect, origin, path, Secret(environment[variable].strip()), (), Patience(), "",
                provider.cost, variable, OF_DIALECT.get(provider.dialect, "openai"), discovers=True,
                cap_field=provider.cap_field, services=provider.services, is_strict=provider.strict,
                tool_ids=provider.tool_ids,
            )
        )  # fmt: skip
    return tuple(kept), tuple(notes)


def proxy_of(environment: Mapping[str, str]) -> ProxySettings | None:
    url = next((environment[name] for name in ("HTTPS_PROXY", "https_proxy") if environment.get(name)), None)
    if url is None:
        return None
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    if parts.scheme != "http" or not host:
        raise ConfigurationError("HTTPS_PROXY: must be an http:// URL such as http://proxy:3128.")
    spared = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    names = tuple(name.strip().lstrip("*.").lower() or "*" for name in spared.split(",") if name.strip())
    credential = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""
    return ProxySettings(Origin(host, 80 if port is None else port, is_trusted=True), Secret(credential), names)


def _upstream(row: Row, environment: Mapping[str, str]) -> UpstreamSettings:
    name = row.text("name", is_needed=True)
    platform = platforms.platform_of(row, environment)
    dialect = row.text("dialect")
    if dialect not in DOORS:
        raise row.wrong("dialect", f"one of {', '.join(DOORS)}")
    listing = row.text("listing") or OF_DIALECT.get(dialect, "openai")
    if listing not in KINDS:
        raise row.wrong("listing", f"one of {', '.join(KINDS)}")
    base_url = row.text("base_url", is_needed=True)
    origin, path = origin_of(base_url, is_trusted=row.flag("private"), place=row.place("base_url"))
    cap_field, is_strict, tool_ids = _refusals(row, dialect, origin.host)
    secret = _secret(row, environment, platform)
    tokens = platforms.tokens_of(row, platform, dialect, secret, origin)
    platforms.check(row, platform, dialect)
    models = models_of(row)
    discovers = not models if row.values["discover"] is None else row.flag("discover")
    if not models and not discovers:
        raise row.wrong("discover", "true where no models are declared")
    return UpstreamSettings(
        name, dialect, origin, platforms.path_of(path, platform), secret, models, _patience(row), row.text("prefix"),
        row.flag("reports_cost"), row.place("name"), listing, discovers, row.flag("free"), cap_field, row.text("region"),
        platform=platform, api_version=row.text("api_version"), project=row.text("project"), tokens=tokens,
        client_headers=words_of(row),
        is_strict=is_strict, tool_ids=tool_ids,
        takes_urls=listing not in WITHOUT_URLS if row.values["takes_urls"] is None else row.flag("takes_urls"),
    )  # fmt: skip


def _refusals(row: Row, dialect: str, host: str) -> tuple[str, bool, str]:
    """What it refuses; where nobody says so, as the provider who is at that host."""
    known = provider_at(host)
    theirs = known if known is not None and known.dialect == dialect else None
    cap_field = row.text("cap_field") or (theirs.cap_field if theirs is not None else "")
    if cap_field not in CAP_FIELDS:
        raise row.wrong("cap_field", f"one of {', '.join(each for each in CAP_FIELDS if each)}")
    tool_ids = row.text("tool_ids") or (theirs.tool_ids if theirs is not None else "")
    if tool_ids and tool_ids not in FORMS:
        raise row.wrong("tool_ids", f"one of {', '.join(FORMS)}")
    is_strict = known is not None and known.strict and dialect in (known.dialect, "openai-responses")
    return cap_field, is_strict if row.values["strict"] is None else row.flag("strict"), tool_ids


def _secret(row: Row, environment: Mapping[str, str], platform: Platform) -> Secret:
    """A line break in it would end a header and begin another."""
    secret = _secret_as_given(row, environment)
    if not secret.reveal().isprintable() and not platforms.is_account(platform, secret.reveal()):
        raise ConfigurationError(f"{row.place('api_key')}: api_key must not contain line breaks or control characters.")
    return secret


def _secret_as_given(row: Row, environment: Mapping[str, str]) -> Secret:
    value = row.values["api_key"]
    if isinstance(value, str):
        return Secret(value)
    if isinstance(value, dict) and len(value) == 1:
        [(source, name)] = value.items()
        if source == "env" and isinstance(name, str):
            if not environment.get(name):
                raise ConfigurationError(f"{row.place('api_key')}: the environment variable {name} is not set.")
            return Secret(environment[name])
        if source == "file" and isinstance(name, str):
            try:
                secret = Path(name).expanduser().read_text().strip()
                if not secret:
                    raise ConfigurationError(f"{row.place('api_key')}: {name} is empty; it should hold a key.")
                return Secret(secret)
            except (OSError, UnicodeDecodeError, RuntimeError, ValueError) as error:
                raise ConfigurationError(f"{row.place('api_key')}: {name} cannot be read: {error}.") from error
    shapes = 'a text, or { env = "NAME" }, or { file = "PATH" }'
    raise ConfigurationError(f"{row.place('api_key')}: api_key must be {shapes}.")


def _patience(row: Row) -> Patience:
    seconds: dict[str, float] = {}
    for field in msgspec.structs.fields(Patience):
        value = row.values[field.name]
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not _is_seconds(value):
            raise row.wrong(field.name, "a number of seconds, more than 0 and at most 86400")
        seconds[field.name] = float(value)
    return Patience(**seconds)


def _is_seconds(value: float | Decimal) -> bool:
    return Decimal(str(value)).is_finite() and 0 < value <= 86_400
