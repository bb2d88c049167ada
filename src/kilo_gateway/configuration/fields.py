"""Every setting, with its default and one line of help; a test holds docs/settings.md to this table."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from kilo_gateway.configuration.places import Places
from kilo_gateway.core.brand import ENVIRONMENT_PREFIX
from kilo_gateway.core.settings import ConfigurationError


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: object
    help: str
    also: str = ""  # another variable, which counts where its own is not set

    @property
    def variable(self) -> str:
        section, _, key = self.name.partition(".")
        return f"{ENVIRONMENT_PREFIX}{section.upper()}__{key.upper()}"


# Agents send these. What reaches into the operator's account (files, skills, oauth) or costs beside tokens (code execution,
# fast mode) is not among them.
ANTHROPIC_BETAS = (
    "adaptive-thinking-*", "advanced-tool-use-*", "claude-code-*", "compact-*", "computer-use-*", "context-1m-*",
    "context-management-*", "effort-*", "extended-cache-ttl-*", "fine-grained-tool-streaming-*", "interleaved-thinking-*",
    "mcp-client-*", "model-context-window-exceeded-*", "output-128k-*", "output-300k-*", "pdfs-*", "prompt-caching-*",
    "redact-thinking-*", "structured-outputs-*", "task-budgets-*", "token-counting-*", "token-efficient-tools-*",
    "tool-examples-*", "tool-search-tool-*",
)  # fmt: skip
SETTINGS = (
    Setting("server.host", "127.0.0.1", "address to listen on; beyond loopback every caller who has a key gets in"),
    Setting("server.port", 3000, "port to listen on"),
    Setting("server.workers", 0, "data workers; 0: one for each core, at most four (one on macOS)"),
    Setting("server.cors_origins", [], "origins whose pages may call the gateway; '*' for all"),
    Setting("server.trusted_proxies", [], "networks whose X-Forwarded-For is believed"),
    Setting("server.drain_s", 60.0, "seconds running requests may take to finish after SIGTERM"),
    Setting("server.drain_listen_s", 2.0, "seconds new connections are still served after SIGTERM, while /ready says 503"),
    Setting("server.metrics_public", False, "serve /metrics to other hosts as well"),
    Setting("data.dir", "", "data directory; default $XDG_DATA_HOME/kilo-gateway"),
    Setting("local.enabled", True, "run the local model, when it is installed"),
    Setting("local.path", "", "a GGUF file to run instead of the demo model"),
    Setting("local.context", 8192, "tokens the local model can hold"),
    Setting("local.servers", True, "use Ollama, LM Studio and vLLM when they run on this machine"),
    Setting("catalog.refresh_s", 600.0, "seconds between two readings of an upstream's list of models"),
    Setting("media.fetch", False, "fetch images and files by URL for upstreams that take bytes alone"),
    Setting("media.trusted_hosts", [], "hosts that are fetched from though they are private, or at another port"),
    Setting("attribution.referer", "", "what OpenRouter and Kilo are told instead of callers' HTTP-Referer",
            "KILO_GATEWAY_REFERER"),
    Setting("attribution.title", "", "what they are told instead of callers' X-Title", "KILO_GATEWAY_TITLE"),
    Setting("betas.anthropic", list(ANTHROPIC_BETAS), "names in anthropic-beta that may travel; * for all that begin so"),
    Setting("betas.openai", ["responses=*"], "the same of openai-beta"),
    Setting("auto.default", "", "the model behind kilo/auto; default the first configured one"),
)
UPSTREAM_FIELDS = (
    Setting("name", "", "how the upstream is called in headers, usage and logs"),
    Setting("dialect", "openai-chat", "what it speaks"),
    Setting("base_url", "", "where it is; requests go to base_url + /chat/completions"),
    Setting("api_key", "", "its key; or { env = \"NAME\" } or { file = \"PATH\" }"),
    Setting("models", [], "its models; without it they are discovered from base_url + /models"),
    Setting("listing", "", "how its list is read: openai, anthropic, gemini or ollama; default: as its dialect has it"),
    Setting("private", False, "base_url's name may resolve to a private address"),
    Setting("discover", None, "read its list of models as well; default: when it declares none"),
    Setting("prefix", "", "put before the ids of discovered models, instead of its name"),
    Setting("free", False, "its models cost nothing, whatever anybody says"),
    Setting("reports_cost", False, "its usage.cost is what it charged, in USD, and is booked as it is"),
    Setting("client_headers", None, "what it is told of callers' clients; default: as the provider at that host"),
    Setting("region", "", "of AWS: its requests are signed with an api_key that is ACCESS:SECRET or ACCESS:SECRET:TOKEN"),
    Setting("platform", "", "where its dialect has other paths and credentials: azure or vertex"),
    Setting("api_version", "", "of Azure: a date, for deployments by path; without it the v1 API"),
    Setting("tenant", "", "of Azure: whose Entra ID gives access tokens to client_id, whose secret is the api_key"),
    Setting("client_id", "", "of Azure: see tenant"),
    Setting("project", "", "of Vertex; default: the service account's"),
    Setting("token_url", "", "where access tokens are got; default: Entra ID's or Google's own"),
    Setting("cap_field", "", "in which field it takes how long an answer may be; default: as callers write it"),
    Setting("strict", None, "it refuses unknown members and values out of range; default: as the provider at that host"),
    Setting("tool_ids", "", "ids of tool calls that it takes: 40, 64, 64-plain or 9-alphanumeric; default: any"),
    Setting("takes_urls", None, "it fetches images and files shown by URL; default: true, but of Ollama"),
    Setting("connect_s", 5.0, "seconds a connection may take"),
    Setting("write_s", 30.0, "seconds it may take to accept a request"),
    Setting("first_byte_s", 600.0, "seconds to the first byte of a JSON answer"),
    Setting("first_event_s", 300.0, "seconds to the first payload event of a stream"),
    Setting("idle_s", 60.0, "seconds between payload events, or between the bytes of a JSON answer"),
)
MODEL_FIELDS = (
    Setting("id", "", "the id callers use"),
    Setting("upstream_id", "", "the upstream's own id; default the same"),
    Setting("input_usd_per_mtok", None, "USD per million prompt tokens; unknown without it"),
    Setting("output_usd_per_mtok", None, "USD per million completion tokens; unknown without it"),
    Setting("cache_read_usd_per_mtok", None, "USD per million prompt tokens read from a cache; default: as others"),
    Setting("cache_write_usd_per_mtok", None, "USD per million prompt tokens written to a cache; default: as others"),
    Setting("audio_usd_per_hour", None, "USD per hour of audio, of a model that transcribes and is paid by time"),
    Setting("request_usd", None, "USD for each request, besides its tokens"),
    Setting("name", None, "how it is called where people read"),
    Setting("context", None, "tokens it can hold"),
    Setting("max_output", None, "tokens an answer may have"),
    Setting("input_modalities", None, "what it takes: text, image, file, audio, video"),
    Setting("output_modalities", None, "what it gives: text, image, audio, embeddings, transcription"),
    Setting("parameters", None, "which request parameters it knows: tools, reasoning, response_format ..."),
    Setting("services", None, "what it does besides chat: fim (fill in the middle), edit (next edits)"),
    Setting("anonymous", False, "may be used without a key"),
)
OTHER_VARIABLES = ("CONFIG", "CRASH_AT")  # besides those of settings
_PORTS = {"http": 80, "https": 443}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


class Found:
    """Values by setting name, each with the place it came from."""

    def __init__(self, values: dict[str, object], sources: dict[str, str], upstreams: list[object], places: Places) -> None:
        self.values = values
        self.upstreams = upstreams
        self.places = places
        self._sources = sources

    def source(self, name: str) -> str:
        """`file:line`, a variable, or the command line."""
        return self._sources.get(name, name)

    def text(self, name: str) -> str:
        value = self.values[name]
        if not isinstance(value, str):
            raise self.wrong(name, "a text")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values[name]
        if isinstance(value, str) and self._is_from_environment(name):
            value = [part.strip() for part in value.split(",") if part.strip()]
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "a list of texts")
        return tuple(value)

    def networks(self, name: str) -> tuple[str, ...]:
        found = self.texts(name)
        try:
            return tuple(str(ip_network(each, strict=False)) for each in found)
        except ValueError:
            raise self.wrong(name, "a list of addresses or networks such as 10.0.0.0/8") from None

    def origins(self, name: str) -> tuple[str, ...]:
        """As browsers send them: one spelled in another way would never be met."""
        found = self.texts(name)
        for each in found:
            meant = each if each in ("*", "null") else _origin_of(each)
            if not meant:
                raise self.wrong(name, "a list of origins such as 'https://app.example', or '*'")
            if meant != each:
                raise self.wrong(name, f"a list of origins as browsers send them ({meant!r} for {each!r})")
        return found

    def whole(self, name: str, low: int, high: int) -> int:
        value = self.values[name]
        if isinstance(value, str) and self._is_from_environment(name) and re.fullmatch(r"\d{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self.wrong(name, f"a whole number from {low} to {high}")
        return value

    def seconds(self, name: str) -> float:
        value = self.values[name]
        is_number = isinstance(value, int | float | Decimal) or self._is_from_environment(name)
        try:
            number = Decimal(str(value)) if is_number else Decimal("NaN")
        except ArithmeticError:
            number = Decimal("NaN")
        if isinstance(value, bool) or not number.is_finite() or not 0 <= number <= 86_400:
            raise self.wrong(name, "a number of seconds, at most 86400")
        return float(number)

    def flag(self, name: str) -> bool:
        value = self.values[name]
        if isinstance(value, str) and self._is_from_environment(name) and value.lower() in _TRUE + _FALSE:
            value = value.lower() in _TRUE
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value

    def _is_from_environment(self, name: str) -> bool:
        """There every value is a text."""
        return self._sources.get(name, "").startswith(ENVIRONMENT_PREFIX)

    def wrong(self, name: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{self.source(name)}: {name} must be {wanted}, not {as_written(self.values[name])}.")


def as_written(value: object) -> str:
    """A value of the file for an error about it, as it could stand there."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return str(value).lower()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, list):
        return f"[{', '.join(map(as_written, value))}]"
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {as_written(each)}' for key, each in value.items())} }}"
    return repr(value)


def flatten(
    file: tuple[dict[str, object], str], path: Path | None, environment: Mapping[str, str], flags: Mapping[str, object]
) -> Found:
    """Flags over environment over file over defaults. Raises ConfigurationError for a name that is no setting."""
    tables, text = file
    places = Places(path, text)
    values = {setting.name: setting.default for setting in SETTINGS}
    sources: dict[str, str] = {}
    upstreams = tables.pop("upstreams", [])
    if not isinstance(upstreams, list):
        raise ConfigurationError(f"{places.of('upstreams')}: upstreams are declared with [[upstreams]].")
    _add_file(tables, places, values, sources)
    for setting in SETTINGS:
        for variable in (setting.also, setting.variable):
            if variable in environment:
                values[setting.name] = environment[variable]
                sources[setting.name] = variable
    _refuse_unknown_variables(environment)
    for name, value in flags.items():
        values[name] = value
        sources[name] = "command line"
    return Found(values, sources, upstreams, places)


def _origin_of(url: str) -> str:
    """Scheme, host, and the port unless it is the scheme's own; nothing for what is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not parts.scheme or not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}" + (f":{port}" if port and port != _PORTS.get(parts.scheme) else "")


def unknown(place: str, name: str, known: Iterable[str]) -> ConfigurationError:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    meant = f" Did you mean '{near[0]}'?" if near else f" Known: {', '.join(known)}."
    return ConfigurationError(f"{place}: unknown setting '{name}'.{meant}")


def _add_file(tables: dict[str, object], places: Places, values: dict[str, object], sources: dict[str, str]) -> None:
    sections = list(dict.fromkeys(name.partition(".")[0] for name in values))
    for section, table in tables.items():
        if section not in sections:
            raise unknown(places.of(section), section, [*sections, "upstreams"])
        if not isinstance(table, dict):
            raise ConfigurationError(f"{places.of(section)}: {section} is a table: write [{section}].")
        for key, value in table.items():
            name = f"{section}.{key}"
            if name not in values:
                known = [each.partition(".")[2] for each in values if each.startswith(section + ".")]
                raise unknown(places.of(section, key), key, known)
            values[name] = value
            sources[name] = places.of(section, key)


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    known = [variable for setting in SETTINGS for variable in (setting.variable, setting.also) if variable]
    known += [ENVIRONMENT_PREFIX + name for name in OTHER_VARIABLES]
    for name in environment:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            raise unknown("environment", name, known)
