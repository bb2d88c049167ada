"""The table of plain providers, `registry.toml`, as values."""

import tomllib
from importlib import resources

import msgspec
from msgspec import Struct


class Provider(Struct, frozen=True, forbid_unknown_fields=True):
    dialect: str
    base_url: str
    env: tuple[str, ...]
    base_env: str
    prefix: str
    cost: bool = False


def providers() -> dict[str, Provider]:
    """By name, in the order of the table."""
    text = resources.files("kilo_gateway.upstreams").joinpath("registry.toml").read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, Provider])
