"""The catalogue, settings and keys made into a snapshot for workers: what does not change per request is rendered here."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec.structs import replace

from kilo_gateway.catalog.catalogue import Catalogue, Entry, Place
from kilo_gateway.catalog.facts import Reasoning
from kilo_gateway.core.brand import HOP_HEADER, VERSION
from kilo_gateway.core.client import lines_of
from kilo_gateway.core.settings import Settings, UpstreamSettings
from kilo_gateway.core.types import Aws, Endpoint, Key, Model, Origin, Patience, SnapshotData
from kilo_gateway.upstreams.demo import LOCAL_PROVIDER
from kilo_gateway.upstreams.doors import DOORS
from kilo_gateway.upstreams.platforms import door_of, services_of

LOCAL_CURE = (
    "It is a small demo model. Configure a real one: set a provider's key such as OPENAI_API_KEY, or declare [[upstreams]]."
)
_OUTPUTS = ("embeddings", "transcription")  # services that are known by what a model puts out
CAP_FIELDS = ("", "max_tokens", "max_completion_tokens")


def compile_snapshot(
    catalogue: Catalogue, settings: Settings, upstreams: Mapping[str, UpstreamSettings],
    keys: Iterable[tuple[bytes, Key]], *, version: int, hop: str, local_key: str, tokens: Mapping[str, str] | None = None,
) -> SnapshotData:  # fmt: skip
    """`upstreams` by name: those of the settings and those found. `local_key` is the local model's.

    `tokens`: by upstream, those that hold; where one is needed and missing there is no endpoint.
    """
    held = tokens or {}

    def endpoint(entry: Entry, place: Place) -> Endpoint:
        if place.upstream == LOCAL_PROVIDER:
            return _local_endpoint(settings, entry, place, local_key)
        return endpoint_of(upstreams[place.upstream], entry.id, place, hop, held.get(place.upstream, ""))

    def waits(place: Place) -> bool:
        found = upstreams.get(place.upstream)
        return found is not None and found.tokens is not None and place.upstream not in held

    models = {}
    for entry in catalogue.entries.values():
        if not entry.routes:
            endpoints = tuple(endpoint(entry, place) for place in entry.places if not waits(place))
            waiting = [place.upstream for place in entry.places if waits(place)]
            reason = f"the gateway has no access token for {', '.join(waiting)}." if waiting else entry.reason
            models[entry.id] = Model(entry.id, endpoints, "" if endpoints else reason or "no upstream serves it.")
    routed = [(entry, entry.routes[0]) for entry in catalogue.entries.values() if entry.routes]
    routes = {entry.id: _routed(entry, models[target]) for entry, target in routed}
    names = catalogue.names
    return SnapshotData(
        version, settings.fingerprint, tuple(keys), tuple(models.values()), routes, dict(names.aliases),
        dict(names.successors), tuple(names.known),
    )  # fmt: skip


def _routed(entry: Entry, target: Model) -> Model:
    endpoints = tuple(endpoint for endpoint in target.endpoints if endpoint.provider in entry.through)
    return Model(target.id, endpoints, "" if endpoints else target.reason or "no upstream serves it.")


def endpoint_of(upstream: UpstreamSettings, id: str, place: Place, hop: str, token: str = "") -> Endpoint:
    is_cost_reported = upstream.is_cost_reported and not upstream.is_free
    door = door_of(upstream)
    path, stream_path = door.paths(upstream.path, place.upstream_id)
    secret = upstream.api_key.reveal() if upstream.tokens is None else token
    is_aws = upstream.region and upstream.platform == "" and ":" in secret
    aws = _aws(upstream.region, secret) if is_aws else None
    own = dict(upstream.own_headers)
    lines = door.credential_lines("" if aws is not None else secret)
    lines += "".join(lines_of(word, text) for word, text in own.items())
    endpoint = _endpoint(
        upstream.name, upstream.origin, upstream.dialect, path, id, place, lines, hop, upstream.patience,
        is_cost_reported=is_cost_reported, cap_field=upstream.cap_field, services=_services(place, upstream),
        client_headers=tuple(word for word in upstream.client_headers or () if word not in own),
    )  # fmt: skip
    stream_head = _head(upstream.origin, stream_path, lines, hop) if stream_path else b""
    services = services_of(upstream, endpoint.services, place.upstream_id)
    return replace(
        endpoint, stream_head=stream_head, aws=aws, services=services, platform=upstream.platform,
        is_strict=upstream.is_strict, tool_ids=upstream.tool_ids, takes_urls=upstream.takes_urls,
    )  # fmt: skip


def _aws(region: str, secret: str) -> Aws:
    """ACCESS:SECRET, and a session's token behind a second colon."""
    access_key, secret_key, *token = secret.split(":", 2)
    return Aws(region, access_key, secret_key, token[0] if token else "")


def request_head(origin: Origin, path: str, lines: str, hop: str, method: str = "POST") -> bytes:
    """The head of a request to an upstream, without what ends it. Nothing of the caller's own headers is in it.

    `lines`: those of the credential, each with its end.
    """
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    is_default = origin.port == (443 if origin.is_tls else 80)
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {host}{'' if is_default else f':{origin.port}'}\r\n{lines}"
        f"Accept: application/json, text/event-stream\r\nAccept-Encoding: identity\r\nUser-Agent: kilo-gateway/{VERSION}\r\n"
        f"{HOP_HEADER}: {hop}\r\n"
    ).encode()


def _local_endpoint(settings: Settings, entry: Entry, place: Place, key: str) -> Endpoint:
    """Over a Unix socket in the data directory, so that nobody else on the machine can use it."""
    origin = Origin("local", 80, unix_path=str(settings.data_dir / "local.sock"))
    return _endpoint(
        LOCAL_PROVIDER, origin, "openai-chat", "/v1/chat/completions", entry.id, place,
        DOORS["openai-chat"].credential_lines(key), "local", Patience(),
        is_demo=entry.is_demo, is_local=True,
    )  # fmt: skip


def _endpoint(
    provider: str, origin: Origin, dialect: str, path: str, id: str, place: Place, lines: str, hop: str,
    patience: Patience, *, is_cost_reported: bool = False, is_demo: bool = False, is_local: bool = False,
    cap_field: str = CAP_FIELDS[0], services: dict[str, str] | None = None, client_headers: tuple[str, ...] = (),
) -> Endpoint:  # fmt: skip
    head = _head(origin, path, lines, hop)
    label = provider + (" (demo model)" if is_demo else "")
    return Endpoint(
        provider, id, origin, dialect, msgspec.json.encode(place.upstream_id), head,
        f"x-kilo-provider: {_plain(provider)}\r\nx-kilo-model: {_plain(id)}\r\n".encode(),
        msgspec.json.encode(label), msgspec.json.encode(id), place.facts.price, patience, place.facts.context,
        is_cost_reported, is_demo, is_local, place.is_open, LOCAL_CURE if is_demo else "", place.facts.max_output, cap_field,
        parameters=place.facts.parameters, services=services, efforts=_efforts(place.facts.reasoning),
        client_headers=client_headers,
    )  # fmt: skip


def _efforts(reasoning: Reasoning | None) -> tuple[str, ...]:
    return () if reasoning is None or reasoning.supports_max_tokens else reasoning.efforts


def _services(place: Place, upstream: UpstreamSettings) -> dict[str, str] | None:
    """What its model does besides chat, as far as its upstream has a place for it."""
    outputs, does = place.facts.output_modalities, place.facts.services
    if outputs is None and does is None:
        return None
    offered = upstream.services
    found = {each: "" for each in outputs or () if each in _OUTPUTS}
    return found | {each: (offered or {}).get(each, "") for each in does or () if offered is None or each in offered}


def _head(origin: Origin, path: str, lines: str, hop: str) -> bytes:
    return request_head(origin, path, lines, hop) + b"Content-Type: application/json\r\nContent-Length: "


def _plain(text: str) -> str:
    """What may stand in a header."""
    return "".join(character if " " < character < "\x7f" else "?" for character in text)
