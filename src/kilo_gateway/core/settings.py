"""What the operator decided, validated: flags, environment, file and defaults made one value. Read by config.py only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from kilo_gateway.core.price import Price
from kilo_gateway.core.secret import Secret
from kilo_gateway.core.types import Origin, Patience, Platform


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
    servers: bool = True  # look for model servers on this machine


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What the operator says of a model; None: he does not say."""

    id: str
    upstream_id: str
    price: Price | None
    context: int | None
    is_open: bool
    name: str | None = None
    max_output: int | None = None
    input_modalities: tuple[str, ...] | None = None
    output_modalities: tuple[str, ...] | None = None
    parameters: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """How an upstream's access tokens are got: OAuth 2, at `path` of `origin`.

    `client`: who asks, an id or a service account's e-mail address. `secret`: his private key (PEM) or his own secret.
    """

    grant: Literal["service-account", "client", "refresh"]
    url: str
    origin: Origin
    path: str
    client: str
    secret: Secret
    scope: str = ""
    key_id: str = ""  # of the private key
    refresh_token: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True, slots=True)
class UpstreamSettings:
    """`models` are declared; others are found where it `discovers`, from a list of the kind `listing`.

    `source` says where the upstream was found, for the operator. Where there are `tokens`, requests carry these, and
    `api_key` is what they are got for.
    """

    name: str
    dialect: str
    origin: Origin
    path: str  # of the base URL, without a trailing slash
    api_key: Secret
    models: tuple[ModelSettings, ...]
    patience: Patience
    prefix: str  # of discovered models' ids; empty: by the rule of upstreams/assemble.py
    is_cost_reported: bool
    source: str
    listing: str = "openai"
    discovers: bool = False
    is_free: bool = False
    cap_field: str = ""
    region: str = ""
    services: Mapping[str, str] | None = None  # besides chat, with paths that are unusual; None: whatever its models do
    platform: Platform = ""
    api_version: str = ""  # of Azure
    project: str = ""  # of Google's
    tokens: TokenSettings | None = None
    client_headers: tuple[str, ...] | None = None  # what it is told of callers' clients; None: nobody said, so nothing
    own_headers: tuple[tuple[str, str], ...] = ()  # what it is told of them instead of their own words
    is_strict: bool = False  # it refuses what its dialect does not know
    tool_ids: str = ""  # what ids of tool calls it takes, a name in dialects/tool_ids.py
    takes_urls: bool = True  # of images and files

    @property
    def base_url(self) -> str:
        scheme, port = ("https", 443) if self.origin.is_tls else ("http", 80)
        place = self.origin.host if self.origin.port == port else f"{self.origin.host}:{self.origin.port}"
        return f"{scheme}://{place}{self.path}"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    origin: Origin
    credential: Secret
    spared: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """`fetch`: what callers show by URL, for upstreams that take bytes. `trusted`: hosts and ports that may be private."""

    fetch: bool = False
    trusted: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """`fingerprint` changes with whatever changes the snapshot."""

    data_dir: Path
    server: ServerSettings
    local: LocalSettings
    auto_default: str
    refresh_s: float
    upstreams: tuple[UpstreamSettings, ...]
    proxy: ProxySettings | None
    ca_file: str | None
    config_file: Path | None
    crash_at: str
    fingerprint: str
    notes: tuple[str, ...] = field(default=())  # what was found, and what was skipped, in sentences
    media: MediaSettings = field(default_factory=MediaSettings)
    betas: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by header, the names that may travel


class ConfigurationError(Exception):
    """Ends the start with exit code 78. The message says where, what, and what was meant."""
