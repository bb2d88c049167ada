"""Settings, keys and discovered models made into a snapshot: what does not change per request is rendered here."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kilo_gateway.core.brand import HOP_HEADER, VERSION
from kilo_gateway.core.settings import LocalSettings, ModelSettings, Settings, UpstreamSettings
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Endpoint, Key, Model, Origin, Patience, SnapshotData

AUTO_IDS = ("kilo/auto", "kilo-auto/balanced")
LOCAL_PROVIDER = "local"
LOCAL_MODEL = "local/smollm2-135m-instruct"
LOCAL_CURE = (
    "It is a small demo model. Configure a real one: set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]]."
)
_PATHS = {"openai-chat": "/chat/completions"}
DIALECTS = tuple(_PATHS)

Discovered = Mapping[str, Sequence[ModelSettings]]  # by upstream name


def compile_snapshot(
    settings: Settings, keys: Iterable[tuple[bytes, Key]], discovered: Discovered, *, version: int, hop: str, local_key: str,
    created: int,
) -> SnapshotData:  # fmt: skip
    """`local_key` empty: there is no local model."""
    endpoints: dict[str, list[Endpoint]] = {}
    rows: dict[str, ModelSettings] = {}
    for upstream in settings.upstreams:
        for row in upstream.models or discovered.get(upstream.name, ()):
            rows.setdefault(row.id, row)
            endpoints.setdefault(row.id, []).append(endpoint_of(upstream, row, hop))
    if local_key:
        id = local_id(settings.local)
        row = ModelSettings(id, id, Price(0, 0), settings.local.context, is_open=False)
        rows.setdefault(row.id, row)
        endpoints.setdefault(row.id, []).append(_local_endpoint(settings, row, local_key))
    models = tuple(
        Model(id, tuple(places), rows[id].context, rows[id].is_open, created) for id, places in endpoints.items()
    )
    aliases = dict.fromkeys(AUTO_IDS, settings.auto_default or models[0].id) if models else {}
    return SnapshotData(version, settings.fingerprint, tuple(keys), models, aliases)


def local_id(local: LocalSettings) -> str:
    return LOCAL_MODEL if local.is_demo_model else f"{LOCAL_PROVIDER}/{local.path.stem.lower()}"


def endpoint_of(upstream: UpstreamSettings, row: ModelSettings, hop: str) -> Endpoint:
    return _endpoint(
        upstream.name, upstream.origin, upstream.dialect, upstream.path + _PATHS[upstream.dialect], row,
        upstream.api_key.reveal(), hop, upstream.patience, is_cost_reported=upstream.is_cost_reported,
    )  # fmt: skip


def request_head(origin: Origin, path: str, credential: str, hop: str, method: str = "POST") -> bytes:
    """The head of a request to an upstream, without what ends it. Nothing of the caller's own headers is in it."""
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    is_default = origin.port == (443 if origin.is_tls else 80)
    authorization = f"Authorization: Bearer {credential}\r\n" if credential else ""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {host}{'' if is_default else f':{origin.port}'}\r\n{authorization}"
        f"Accept: application/json, text/event-stream\r\nAccept-Encoding: identity\r\nUser-Agent: kilo-gateway/{VERSION}\r\n"
        f"{HOP_HEADER}: {hop}\r\n"
    ).encode()


def _local_endpoint(settings: Settings, row: ModelSettings, key: str) -> Endpoint:
    """Over a Unix socket in the data directory, so that nobody else on the machine can use it."""
    origin = Origin("local", 80, unix_path=str(settings.data_dir / "local.sock"))
    return _endpoint(
        LOCAL_PROVIDER, origin, "openai-chat", "/v1/chat/completions", row, key, "local", Patience(), is_demo=True
    )  # fmt: skip


def _endpoint(
    provider: str, origin: Origin, dialect: str, path: str, row: ModelSettings, credential: str, hop: str,
    patience: Patience, *, is_cost_reported: bool = False, is_demo: bool = False,
) -> Endpoint:  # fmt: skip
    head = request_head(origin, path, credential, hop) + b"Content-Type: application/json\r\nContent-Length: "
    label = provider + (" (demo model)" if is_demo else "")
    return Endpoint(
        provider, row.id, origin, dialect, msgspec.json.encode(row.upstream_id), head,
        f"x-kilo-provider: {_plain(provider)}\r\nx-kilo-model: {_plain(row.id)}\r\n".encode(),
        msgspec.json.encode(label), msgspec.json.encode(row.id),
        row.price, patience, row.context, is_cost_reported, is_demo, LOCAL_CURE if is_demo else "",
    )  # fmt: skip


def _plain(text: str) -> str:
    """What may stand in a header."""
    return "".join(character if " " < character < "\x7f" else "?" for character in text)
