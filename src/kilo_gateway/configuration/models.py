"""The models that an upstream declares: rows of `models`, or [[upstreams.models]]."""

from decimal import Decimal

from kilo_gateway.configuration.fields import MODEL_FIELDS
from kilo_gateway.configuration.rows import Row
from kilo_gateway.core.money import pico_per_token
from kilo_gateway.core.settings import ConfigurationError, ModelSettings
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import MAX_CONTEXT
from kilo_gateway.upstreams.compile import AUTO_IDS

_SHAPE = 'a model is a table such as { id = "author/model" }'
_PRICES = ("input_usd_per_mtok", "output_usd_per_mtok")


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
    if id in AUTO_IDS:
        raise row.wrong("id", "another id; this one is reserved for the model of auto.default")
    context = row.values["context"]
    if context is not None and (isinstance(context, bool) or not isinstance(context, int) or not 0 < context <= MAX_CONTEXT):
        raise row.wrong("context", "a whole number of tokens")
    return ModelSettings(id, row.text("upstream_id") or id, _price(row), context, row.flag("anonymous"))


def _price(row: Row) -> Price | None:
    given = [key for key in _PRICES if row.values[key] is not None]
    if not given:
        return None
    if len(given) == 1:
        [missing] = set(_PRICES) - set(given)
        raise ConfigurationError(f"{row.place(given[0])}: {given[0]} is given without {missing}: give both prices or none.")
    prompt, completion = (_pico(row, key) for key in _PRICES)
    return Price(prompt, completion)


def _pico(row: Row, key: str) -> int:
    value = row.values[key]
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise row.wrong(key, "a number (USD per million tokens)")
    try:
        return pico_per_token(Decimal(value))
    except ValueError as error:
        raise ConfigurationError(f"{row.place(key)}: {key}: {error}.") from error
