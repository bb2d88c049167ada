"""models list"""

from decimal import Decimal
from pathlib import Path
from typing import cast

from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.service import Service
from kilo_gateway.control.views import View


def every(json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    found = cast(View, ask(settings, "GET", "/v1/models", None, _models))
    rows = cast(list[View], found["data"])
    if json:
        show.as_json(rows)
        return
    columns = ("id", "providers", "context", "input $/M", "output $/M")
    show.as_table(columns, [_row(row) for row in rows], "No models yet. Set a provider's key such as OPENAI_API_KEY.")


async def _models(service: Service) -> View:
    return service.models()


def _row(row: View) -> tuple[object, ...]:
    pricing = cast(dict[str, str | None], row["pricing"])
    providers = ", ".join(cast(list[str], row["providers"]))
    return row["id"], providers, row["context_length"], _per_mtok(pricing["prompt"]), _per_mtok(pricing["completion"])


def _per_mtok(price: str | None) -> str:
    return "unknown" if price is None else f"{(Decimal(price) * 1_000_000).normalize():f}"
