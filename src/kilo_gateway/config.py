"""Settings from flags, environment, file and defaults, in that precedence. The only file that reads the environment.

A file is TOML and its schema is closed: an unknown key or a wrong value is an error that names file, line
and what was meant.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from kilo_gateway.catalog.names import is_reserved
from kilo_gateway.configuration.client_headers import betas_of, introduced
from kilo_gateway.configuration.fields import SETTINGS as SETTINGS
from kilo_gateway.configuration.fields import Found, flatten
from kilo_gateway.configuration.media import media_of
from kilo_gateway.configuration.places import line_of, line_of_depth, line_of_long_number
from kilo_gateway.configuration.surroundings import examine
from kilo_gateway.configuration.upstreams import from_environment, from_file, proxy_of
from kilo_gateway.core import crash
from kilo_gateway.core.brand import ENVIRONMENT_PREFIX, PACKAGE
from kilo_gateway.core.settings import ConfigurationError, LocalSettings, ServerSettings, Settings, UpstreamSettings
from kilo_gateway.upstreams.demo import demo_model_path, local_id
from kilo_gateway.upstreams.registry import SERVERS, providers


def load(config: Path | None = None, data_dir: Path | None = None, flags: Mapping[str, object] | None = None) -> Settings:
    """Raises ConfigurationError. `flags`: setting name -> value, as given on the command line."""
    return _load(config, data_dir, flags)[0]


def load_to_start(
    config: Path | None = None, data_dir: Path | None = None, flags: Mapping[str, object] | None = None
) -> Settings:
    """As `load`; what the settings lead to is looked at as well."""
    settings, found = _load(config, data_dir, flags)
    examine(found, settings)
    return settings


def environment_with(libraries: Path) -> dict[str, str] | None:
    """The environment with one more directory of shared libraries; None when it has that already."""
    directories = [each for each in os.environ.get("LD_LIBRARY_PATH", "").split(":") if each]
    if str(libraries) in directories:
        return None
    return {**os.environ, "LD_LIBRARY_PATH": ":".join([*directories, str(libraries)])}


def _load(config: Path | None, data_dir: Path | None, flags: Mapping[str, object] | None) -> tuple[Settings, Found]:
    environment = dict(os.environ)
    path = _config_path(config, environment)
    given = {} if data_dir is None else {"data.dir": str(data_dir)}
    found = flatten(_read(path), path, environment, {**(flags or {}), **given})
    return _settings(found, path, environment), found


def _config_path(config: Path | None, environment: Mapping[str, str]) -> Path | None:
    """The one that was named has to exist; the default one may be missing."""
    named = config or (Path(value) if (value := environment.get(ENVIRONMENT_PREFIX + "CONFIG")) else None)
    if named is not None:
        if not _is_file(named):
            raise ConfigurationError(f"{named}: there is no such configuration file.")
        return named
    default = _xdg(environment, "XDG_CONFIG_HOME", ".config") / "config.toml"
    return default if _is_file(default) else None


def _is_file(path: Path) -> bool:
    """No too where this user may not look: until Python 3.14 that is an error."""
    try:
        return path.is_file()
    except OSError:
        return False


def _read(path: Path | None) -> tuple[dict[str, object], str]:
    if path is None:
        return {}, ""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}.") from error
    try:
        text = data.decode("utf-8-sig")  # an editor's byte order mark is no part of it
        return tomllib.loads(text, parse_float=Decimal), text
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02x}"
        raise ConfigurationError(f"{path}:{line}: this is not UTF-8 ({byte}); save it so.") from error
    except tomllib.TOMLDecodeError as error:
        line, what = line_of(error, text)
        raise ConfigurationError(f"{path}:{line}: this is not TOML: {what}.") from error
    except RecursionError as error:
        raise ConfigurationError(f"{path}:{line_of_depth(text)}: too many brackets in each other.") from error
    except ValueError as error:  # what Python refuses to count
        raise ConfigurationError(f"{path}:{line_of_long_number(text)}: this number is too long.") from error


def _settings(found: Found, path: Path | None, environment: Mapping[str, str]) -> Settings:
    server = ServerSettings(
        found.text("server.host"), found.whole("server.port", 0, 65535), found.whole("server.workers", 0, 256),
        found.origins("server.cors_origins"), found.networks("server.trusted_proxies"), found.seconds("server.drain_s"),
        found.seconds("server.drain_listen_s"), found.flag("server.metrics_public"),
    )  # fmt: skip
    cache = _xdg(environment, "XDG_CACHE_HOME", ".cache")
    own = found.text("local.path")
    local = LocalSettings(
        found.flag("local.enabled"), _path(found, "local.path") if own else demo_model_path(cache), not own,
        found.whole("local.context", 256, 1 << 20), found.flag("local.servers"),
    )  # fmt: skip
    upstreams, notes = from_file(found, environment, server)
    more, more_notes = from_environment(environment, server, {upstream.name for upstream in upstreams})
    crash_at = environment.get(ENVIRONMENT_PREFIX + "CRASH_AT", "")
    try:
        crash.crash_point(crash_at)
    except ValueError as error:
        raise ConfigurationError(f"{ENVIRONMENT_PREFIX}CRASH_AT: {error}") from error
    data = found.text("data.dir")
    known = providers()
    every = tuple(introduced(each, found, environment, known) for each in (*upstreams, *more))
    auto_default = _auto_default(found, every, local)
    return Settings(
        (_path(found, "data.dir") if data else _xdg(environment, "XDG_DATA_HOME", ".local/share")).absolute(),
        server, local, auto_default, _refresh_s(found), every, proxy_of(environment),
        environment.get("SSL_CERT_FILE") or None, path, crash_at, _fingerprint(local, auto_default, every),
        (*notes, *more_notes), media_of(found), betas_of(found),
    )  # fmt: skip


def _auto_default(found: Found, upstreams: tuple[UpstreamSettings, ...], local: LocalSettings) -> str:
    """Checked where all models are known; discovered ones are not yet."""
    wanted = found.text("auto.default")
    if is_reserved(wanted):
        raise found.wrong("auto.default", "the id of a model; this one leads to auto.default itself")
    known = [model.id for upstream in upstreams for model in upstream.models]
    if local.enabled:
        known.append(local_id(local))
    may_turn_up = any(upstream.discovers for upstream in upstreams) or (
        local.servers and wanted.partition("/")[0] in SERVERS
    )
    if wanted and wanted not in known and not may_turn_up:
        raise found.wrong("auto.default", f"the id of a configured model ({', '.join(known) or 'there is none'})")
    return wanted


def _refresh_s(found: Found) -> float:
    seconds = found.seconds("catalog.refresh_s")
    if seconds < 1:
        raise found.wrong("catalog.refresh_s", "a number of seconds, at least 1")
    return seconds


def _path(found: Found, name: str) -> Path:
    if "\0" in found.text(name):
        raise found.wrong(name, "a path")
    try:
        return Path(found.text(name)).expanduser()
    except RuntimeError:
        raise found.wrong(name, "a path; there is no such home directory") from None


def _fingerprint(local: LocalSettings, auto_default: str, upstreams: tuple[UpstreamSettings, ...]) -> str:
    """Of all that is compiled into a snapshot; not of the line at which an upstream stands."""
    facts = repr((local, auto_default, [replace(upstream, source="") for upstream in upstreams]))
    secrets = [upstream.api_key.reveal() for upstream in upstreams]
    return hashlib.sha256("\0".join([facts, *secrets]).encode()).hexdigest()[:32]


def _xdg(environment: Mapping[str, str], name: str, default: str) -> Path:
    base = environment.get(name)
    return (Path(base) if base else Path(environment.get("HOME") or "~").expanduser() / default) / PACKAGE
