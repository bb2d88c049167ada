"""models show"""

from pathlib import Path
from typing import cast
from urllib.parse import quote

from kilo_gateway.cli.work import show as printing
from kilo_gateway.cli.work.models import per_mtok
from kilo_gateway.cli.work.operator import ask
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.control.service import Service
from kilo_gateway.control.views import View

_FACTS = (
    "name", "description", "context_length", "max_completion_tokens", "supported_parameters", "knowledge_cutoff",
    "expiration_date", "tokens_per_s",
)  # fmt: skip
_FACT_OF = {
    "context_length": "context", "max_completion_tokens": "max_output", "supported_parameters": "parameters",
    "expiration_date": "expires",
}  # fmt: skip
_COLUMNS = (
    "endpoint", "context", "max output", "$/M in", "$/M out", "$/M cached", "uptime 1d %", "latency p50 ms", "tokens/s p50",
)  # fmt: skip


def show(id: str, json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)

    async def found(service: Service) -> View:
        return service.model(id)

    row = cast(View, ask(settings, "GET", f"/api/admin/models/{quote(id, safe='')}", None, found))
    if json:
        printing.as_json(row)
        return
    told = cast(View, row["kilo"])
    origins = cast(dict[str, View], told["origins"])
    print(" ".join([str(row["id"]), *(f"[{tag}]" for tag in cast(list[str], row["tags"]))]))
    if "reason" in told:
        print(f"cannot be asked: {told['reason']}")
    if routes := cast(View, row.get("autoRouting", {})).get("models"):
        print(f"leads to {', '.join(cast(list[str], routes))}")
    facts = [(name, _text(row[name]), *_said(origins.get(_FACT_OF.get(name, name)))) for name in _FACTS if row[name]]
    takes = cast(dict[str, list[str]], row["architecture"])
    facts += [(name, _text(takes[name]), *_said(origins.get(name))) for name in ("input_modalities", "output_modalities")]
    printing.as_table(("fact", "value", "who says so", "when"), facts, "")
    printing.as_table(_COLUMNS, [_endpoint(each) for each in cast(list[View], row["endpoints"])], "It has no endpoint.")


def _endpoint(endpoint: View) -> tuple[object, ...]:
    pricing = cast(dict[str, str], endpoint["pricing"])
    latency, speed = (cast(View | None, endpoint[name]) for name in ("latency_last_30m", "throughput_last_30m"))
    return (
        endpoint["provider_name"], endpoint["context_length"], endpoint["max_completion_tokens"],
        per_mtok(pricing["prompt"]), per_mtok(pricing["completion"]), per_mtok(pricing.get("input_cache_read")),
        endpoint["uptime_last_1d"], latency and latency["p50"], speed and speed["p50"],
    )  # fmt: skip


def _said(origin: View | None) -> tuple[str, str]:
    return ("", "") if origin is None else (str(origin["source"]), str(origin["date"] or ""))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
