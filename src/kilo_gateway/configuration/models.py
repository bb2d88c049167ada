"""The models that an upstream declares: rows of `models`, or [[upstreams.models]]."""

import re
from collections.abc import Sequence
from decimal import Decimal

from kilo_gateway.catalog.names import is_reserved
from kilo_gateway.configuration.fields import MODEL_FIELDS
from kilo_gateway.configuration.rows import Row
from kilo_gateway.core.money import pico_of_usd, pico_per_token
from kilo_gateway.core.price import Price
from kilo_gateway.core.settings import ConfigurationError, ModelSettings
from kilo_gateway.core.types import MAX_CONTEXT

_SHAPE = 'a model is a table such as { id = "author/model" }'
_PRICES = ("input_usd_per_mtok", "output_usd_per_mtok")
_HOUR = "audio_usd_per_hour"
_CACHE_PRICES = ("cache_read_usd_per_mtok", "cache_write_usd_per_mtok")
INPUTS = ("text", "image", "file", "audio", "video")
OUTPUTS = ("text", "image", "audio", "embeddings", "transcription")
SERVICES = ("fim", "edit")
_WORD = re.compile(r"[a-z0-9][a-z0-9_-]*").fullmatch


def models_of(upstream: Row) -> tuple[ModelSettings, ...]:
    tables = upstream.values["models"]
    if not isinstance(tables, list):
        raise upstream.wrong("models", 'a list of tables such as { id = "author/model" }')
    found: dict[str, ModelSettings] = {}
    for number, table in enumerate(tables):
        row = Row(upstream.places, (*upstream.at, "models", number), table, MODEL_FIELDS, _SHAPE)
        model = _model(row)
        if model.id in found:
            raise row.wrong("id", "an id of its own; another model of this upstream has it")
        found[model.id] = model
    return tuple(found.values())


def _model(row: Row) -> ModelSettings:
    id = row.text("id", is_needed=True)
    if is_reserved(id):
        raise row.wrong("id", "another id; this one is reserved for the model of auto.default")
    name = row.text("name", is_needed=True) if row.values["name"] is not None else None
    return ModelSettings(
        id, row.text("upstream_id") or id, _price(row), _tokens(row, "context"), row.flag("anonymous"), name,
        _tokens(row, "max_output"), _words(row, "input_modalities", INPUTS), _words(row, "output_modalities", OUTPUTS),
        _words(row, "parameters"), _words(row, "services", SERVICES),
    )  # fmt: skip


def _tokens(row: Row, key: str) -> int | None:
    value = row.values[key]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_CONTEXT:
        raise row.wrong(key, "a whole number of tokens")
    return value


def _words(row: Row, key: str, known: Sequence[str] = ()) -> tuple[str, ...] | None:
    value = row.values[key]
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and _WORD(each) for each in value):
        raise row.wrong(key, "a list of words")
    if known and not set(value) <= set(known):
        raise row.wrong(key, f"a list of {', '.join(known)}")
    return tuple(value)


def _price(row: Row) -> Price | None:
    given = [key for key in _PRICES if row.values[key] is not None]
    hour = 0 if row.values[_HOUR] is None else _pico_of_usd(row, _HOUR)
    if not given and row.values[_HOUR] is not None:
        return Price(0, 0, audio_hour=hour)
    if not given:
        beside = [key for key in (*_CACHE_PRICES, "request_usd") if row.values[key] is not None]
        if beside:
            raise ConfigurationError(f"{row.place(beside[0])}: {beside[0]} is given without {' and '.join(_PRICES)}.")
        return None
    if len(given) == 1:
        [missing] = set(_PRICES) - set(given)
        raise ConfigurationError(f"{row.place(given[0])}: {given[0]} is given without {missing}: give both prices or none.")
    prompt, completion = (_pico(row, key) for key in _PRICES)
    read, write = (None if row.values[key] is None else _pico(row, key) for key in _CACHE_PRICES)
    request = 0 if row.values["request_usd"] is None else _pico_of_usd(row, "request_usd")
    return Price(prompt, completion, read, write, request=request, audio_hour=hour)


def _pico(row: Row, key: str) -> int:
    value = row.values[key]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise row.wrong(key, "a number (USD per million tokens)")
    try:
        return pico_per_token(Decimal(value))
    except ValueError as error:
        raise ConfigurationError(f"{row.place(key)}: {key}: {error}.") from error


def _pico_of_usd(row: Row, key: str) -> int:
    value = row.values[key]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise row.wrong(key, "a number (USD)")
    try:
        return pico_of_usd(Decimal(value))
    except ValueError as error:
        raise ConfigurationError(f"{row.place(key)}: {key}: {error}.") from error
