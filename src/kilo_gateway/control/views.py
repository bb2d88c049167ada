"""What control shows, as plain values: the same for HTTP, for the CLI with a server and for the CLI without."""

from kilo_gateway.control.replay import Replayed
from kilo_gateway.core.money import PICO_PER_USD, usd
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Model, SnapshotData
from kilo_gateway.store.keys import KeyRow
from kilo_gateway.store.usage import UsageRow

View = dict[str, object]
_UNKNOWN_CONTEXT = 32_768  # clients refuse a whole list for a row without this number


def key_view(row: KeyRow) -> View:
    return {
        "id": row.id, "name": row.name, "role": row.role, "hint": f"kilo_...{row.hint}", "created_ms": row.created_ms,
        "revoked_ms": row.revoked_ms,
    }  # fmt: skip


def usage_view(row: UsageRow) -> View:
    return {
        "id": row.id, "upstream_id": row.upstream_id, "at_ms": row.at_ms, "key_id": row.key_id, "model": row.model,
        "provider": row.provider, "status": row.status, "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens, "estimated": row.is_estimated,
        "cost_usd": None if row.cost_nanos is None else usd(row.cost_nanos), "attempts": row.attempts,
        "duration_ms": round(row.duration_us / 1000, 3),
    }  # fmt: skip


def replay_view(done: Replayed) -> View:
    return {name: getattr(done, name) for name in done.__struct_fields__}


def generation_view(row: UsageRow) -> View:
    """As OpenRouter's /generation words it."""
    return {
        "id": row.id, "upstream_id": row.upstream_id, "model": row.model, "provider_name": row.provider,
        "created_at": row.at_ms // 1000, "total_cost": None if row.cost_nanos is None else usd(row.cost_nanos),
        "usage": None if row.cost_nanos is None else usd(row.cost_nanos), "tokens_prompt": row.prompt_tokens,
        "tokens_completion": row.completion_tokens, "native_tokens_prompt": row.prompt_tokens,
        "native_tokens_completion": row.completion_tokens, "generation_time": row.duration_us // 1000, "status": row.status,
        "estimated": row.is_estimated, "cancelled": row.status == "client_gone",
    }  # fmt: skip


def models_view(data: SnapshotData) -> View:
    """OpenAI's list, with the members OpenRouter's SDKs insist on."""
    models = {model.id: model for model in data.models}
    rows = [_model_view(alias, models[id]) for alias, id in data.aliases.items() if id in models and alias not in models]
    rows += [_model_view(model.id, model) for model in data.models]
    return {"object": "list", "data": rows, "links": {"next": None}, "total_count": len(rows)}


def _model_view(id: str, model: Model) -> View:
    prices = [endpoint.price for endpoint in model.endpoints if endpoint.price is not None]
    price = max(prices, key=lambda each: (each.output, each.input)) if prices else None
    context = model.context or _UNKNOWN_CONTEXT
    is_demo = all(endpoint.is_demo for endpoint in model.endpoints)
    parameters = ["max_tokens", "temperature", "top_p", "stop"] + ([] if is_demo else ["tools", "tool_choice"])
    return {
        "id": id, "canonical_slug": model.id, "object": "model", "created": model.created, "owned_by": id.partition("/")[0],
        "name": _name(id) + (" (demo model)" if is_demo else ""),
        "description": "The local demo model." if is_demo else "", "context_length": context,
        "architecture": {
            "modality": "text->text", "input_modalities": ["text"], "output_modalities": ["text"], "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {"prompt": _dollars(price, "input"), "completion": _dollars(price, "output")},
        "top_provider": {"context_length": context, "max_completion_tokens": None, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": parameters,
        "default_parameters": {}, "supported_voices": None, "links": {"details": ""},
        "providers": [endpoint.provider for endpoint in model.endpoints],
    }  # fmt: skip


def _name(id: str) -> str:
    return "Kilo Auto" if id == "kilo/auto" else id


def _dollars(price: Price | None, side: str) -> str | None:
    """USD a token, as decimal text; null when unknown."""
    if price is None:
        return None
    pico = price.input if side == "input" else price.output
    return f"{pico / PICO_PER_USD:.12f}".rstrip("0").rstrip(".") or "0"
