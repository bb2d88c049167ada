"""What the operator decided, validated: flags, environment, file and defaults made one value. Read by config.py only."""

from dataclasses import dataclass, field
from pathlib import Path

from kilo_gateway.core.secret import Secret
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Origin, Patience


@dataclass(frozen=True, slots=True)
class ServerSettings:
    host: str
    port: int
    workers: int
    cors_origins: tuple[str, ...]
    trusted_proxies: tuple[str, ...]
    drain_s: float
    drain_listen_s: float
    metrics_public: bool


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """`path`: the GGUF file; `is_demo_model`: it is the one the gateway fetched."""

    enabled: bool
    path: Path
    is_demo_model: bool
    context: int


@dataclass(frozen=True, slots=True)
class ModelSettings:
    id: str
    upstream_id: str
    price: Price | None
    context: int | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """`models` empty: discovered. `source` says where it was found, for the operator."""

    name: str
    dialect: str
    origin: Origin
    path: str  # of the base URL, without a trailing slash
    api_key: Secret
    models: tuple[ModelSettings, ...]
    patience: Patience
    prefix: str  # of discovered models' ids
    is_cost_reported: bool
    source: str


@dataclass(frozen=True, slots=True)
class ProxySettings:
    origin: Origin
    credential: Secret
    spared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """`fingerprint` changes with whatever changes the snapshot."""

    data_dir: Path
    server: ServerSettings
    local: LocalSettings
    auto_default: str
    upstreams: tuple[UpstreamSettings, ...]
    proxy: ProxySettings | None
    ca_file: str | None
    config_file: Path | None
    crash_at: str
    fingerprint: str
    notes: tuple[str, ...] = field(default=())  # what was found, and what was skipped, in sentences


class ConfigurationError(Exception):
    """Ends the start with exit code 78. The message says where, what, and what was meant."""
