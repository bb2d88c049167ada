"""models list"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import cast
from urllib.parse import urlencode

from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.service import Service
from kilo_gateway.control.views import View

_COLUMNS = ("ref", "input", "context", "max output", "$/M in", "$/M out", "tokens/s", "tags")


def every(provider: str | None, free: bool, json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    wanted = {"free": str(free).lower()} | ({} if provider is None else {"provider": provider})

    async def listed(service: Service) -> list[View]:
        return service.models(provider, is_free=free)

    rows = cast(list[View], ask(settings, "GET", f"/api/admin/models?{urlencode(wanted)}", None, listed))
    if json:
        show.as_json(rows)
    else:
        show.as_table(_COLUMNS, [_row(row) for row in rows], "No such models. Set a provider's key such as OPENAI_API_KEY.")


def _row(row: View) -> tuple[object, ...]:
    pricing = cast(dict[str, str], row["pricing"])
    is_router = "autoRouting" in row
    takes = cast(dict[str, list[str]], row["architecture"])["input_modalities"]
    return (
        row["id"], "+".join(takes), row["context_length"], row["max_completion_tokens"],
        per_mtok(pricing["prompt"], is_router), per_mtok(pricing["completion"], is_router),
        row["tokens_per_s"], ", ".join(cast(Sequence[str], row["tags"])),
    )  # fmt: skip


def per_mtok(price: str | None, is_router: bool = False) -> str:
    """Of USD a token; below zero it is unknown, or depends on where a router leads."""
    if price is None:
        return ""
    if price.startswith("-"):
        return "depends" if is_router else "unknown"
    return f"{(Decimal(price) * 1_000_000).normalize():f}"
