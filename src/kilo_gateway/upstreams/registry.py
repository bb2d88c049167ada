"""The table of plain providers, `registry.toml`, as values."""

import tomllib
from collections.abc import Callable
from importlib import resources
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

SERVERS = {"ollama": "Ollama", "lmstudio": "LM Studio", "vllm": "vLLM"}  # found on this machine: their names as upstreams
WITHOUT_URLS = frozenset({"ollama"})  # those that take images as bytes alone


class Provider(Struct, frozen=True, forbid_unknown_fields=True):
    dialect: str
    base_url: str
    env: tuple[str, ...]
    base_env: str
    version: str = ""
    public_models: bool = False
    cost: bool = False
    prices: str = ""
    cap_field: str = ""
    strict: bool = False
    tool_ids: str = ""
    models_query: str = ""
    services: dict[str, str] = {}
    categories: bool = False
    client_headers: tuple[str, ...] = ()
    own_headers: dict[str, str] = {}

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""


def providers() -> dict[str, Provider]:
    """By name, in the order of the table."""
    text = resources.files("kilo_gateway.upstreams").joinpath("registry.toml").read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, Provider])


def provider_at(host: str) -> Provider | None:
    """The one who is there, whatever an upstream is called."""
    return next((each for each in providers().values() if urlsplit(each.base_url).hostname == host), None)


def models_queries() -> dict[str, str]:
    """By name and host of the providers whose whole list has to be asked for."""
    asked = {name: provider for name, provider in providers().items() if provider.models_query}
    hosts = {provider.host: provider.models_query for provider in asked.values()}
    return {name: provider.models_query for name, provider in asked.items()} | hosts


def open_lists() -> frozenset[str]:
    """Names and hosts of providers whose list of models is for everybody: it is asked for without a credential."""
    return _names_and_hosts(lambda provider: provider.public_models)


def categorised_lists() -> frozenset[str]:
    """Names and hosts of providers whose list of models can be asked for by category."""
    return _names_and_hosts(lambda provider: provider.categories)


def _names_and_hosts(is_meant: Callable[[Provider], bool]) -> frozenset[str]:
    found = {name: provider for name, provider in providers().items() if is_meant(provider)}
    return frozenset(found) | {provider.host for provider in found.values()}
