"""What control shows, as plain values: the same for HTTP, for the CLI with a server and for the CLI without."""

from collections.abc import Mapping

from msgspec import to_builtins
from msgspec.json import decode

from kilo_gateway.control.changes import Changes
from kilo_gateway.control.lists import Status
from kilo_gateway.control.replay import Replayed
from kilo_gateway.core.money import usd, usd_per_mtok_text
from kilo_gateway.core.price import Price
from kilo_gateway.store.keys import KeyRow
from kilo_gateway.store.usage import UsageRow

View = dict[str, object]


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
        "cost_usd": None if row.cost_nanos is None else usd(row.cost_nanos), "pricing": _pricing(row),
        "attempts": row.attempts, "duration_ms": round(row.duration_us / 1000, 3),
        "first_event_ms": None if row.first_us < 0 else round(row.first_us / 1000, 3),
        "cache_read_tokens": row.cache_read_tokens, "cache_write_tokens": row.cache_write_tokens,
        "reasoning_tokens": row.reasoning_tokens, "audio_s": row.audio_ms / 1000, "finish_reason": row.finish or None,
        "client": _client(row), "repairs": _repairs(row),
    }  # fmt: skip


def _pricing(row: UsageRow) -> str:
    if row.cost_nanos is None:
        return "unpriced"
    return "known" if row.repriced_ms is None else "repriced"


def _client(row: UsageRow) -> dict[str, str]:
    return decode(row.client, type=dict[str, str]) if row.client else {}


def _repairs(row: UsageRow) -> dict[str, int]:
    """How often each kind."""
    return {kind: int(count) for kind, _, count in (each.partition("=") for each in row.repairs.split())}


def replay_view(done: Replayed) -> View:
    return {name: getattr(done, name) for name in done.__struct_fields__}


def generation_view(row: UsageRow) -> View:
    """As OpenRouter's /generation words it; `client` and `repairs` besides."""
    client = _client(row)
    return {
        "id": row.id, "upstream_id": row.upstream_id, "model": row.model, "provider_name": row.provider,
        "created_at": row.at_ms // 1000, "total_cost": None if row.cost_nanos is None else usd(row.cost_nanos),
        "usage": None if row.cost_nanos is None else usd(row.cost_nanos), "tokens_prompt": row.prompt_tokens,
        "tokens_completion": row.completion_tokens, "native_tokens_prompt": row.prompt_tokens,
        "native_tokens_completion": row.completion_tokens, "native_tokens_reasoning": row.reasoning_tokens,
        "native_tokens_cached": row.cache_read_tokens, "latency": None if row.first_us < 0 else row.first_us // 1000,
        "num_search_results": row.web_searches or None, "streamed": row.first_us >= 0,
        "finish_reason": row.finish or None, "native_finish_reason": row.native_finish or None,
        "generation_time": row.duration_us // 1000, "status": row.status,
        "estimated": row.is_estimated, "cancelled": row.status == "client_gone",
        "http_referer": client.get("referer"), "session_id": client.get("session"), "client": client,
        "repairs": _repairs(row),
    }  # fmt: skip


def changes_view(changes: Changes, lists: Mapping[str, Status]) -> View:
    """Prices in USD per million tokens; null: unknown. Times in Unix seconds, 0: never. `lists` by upstream."""
    refreshed_at = max((each.fetched_at for each in lists.values()), default=0)
    return {
        "lists": [{"upstream": name, **to_builtins(each)} for name, each in sorted(lists.items())],
        "refreshed_at": refreshed_at, "changed_at": changes.at, "new": list(changes.new), "gone": list(changes.gone),
        "price": [
            {"id": each.id, "upstream": each.upstream, "before": per_mtok(each.before), "after": per_mtok(each.after)}
            for each in changes.price
        ],
    }  # fmt: skip


def per_mtok(price: Price | None) -> View | None:
    """Exact decimals, as text."""
    if price is None:
        return None
    return {"input": usd_per_mtok_text(price.input), "output": usd_per_mtok_text(price.output)}
