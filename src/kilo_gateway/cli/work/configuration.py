"""config check | show"""

from dataclasses import asdict, fields
from pathlib import Path

from kilo_gateway.cli.work import show as printing
from kilo_gateway.cli.work.settings import settings_for, settings_to_start
from kilo_gateway.core import crash
from kilo_gateway.core.money import PICO_PER_USD
from kilo_gateway.core.settings import ModelSettings, Settings, UpstreamSettings

_MTOK = 1_000_000


def check(json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_to_start(config, data_dir)
    if json:
        printing.as_json({"ok": True, "file": settings.config_file and str(settings.config_file), "notes": settings.notes})
        return
    for note in settings.notes:
        print(note)
    print(f"{settings.config_file or 'no configuration file'}: ok, {len(settings.upstreams)} upstreams.")


def show(json: bool, config: Path | None, data_dir: Path | None) -> None:
    settings = settings_for(config, data_dir)
    view = _view(settings)
    if json:
        printing.as_json(view)
        return
    rows = [(name, value) for name, value in view.items() if not isinstance(value, list | dict)]
    printing.as_table(("setting", "value"), rows, "")
    for upstream in settings.upstreams:
        print(f"upstream {upstream.name}: {upstream.origin.host}:{upstream.origin.port}{upstream.path} ({upstream.source})")
        for model in upstream.models:
            print(f"  model {model.id}")


def _view(settings: Settings) -> dict[str, object]:
    server = {f"server.{field.name}": getattr(settings.server, field.name) for field in fields(settings.server)}
    flat = {name: list(value) if isinstance(value, tuple) else value for name, value in server.items()}
    return {
        "config_file": settings.config_file and str(settings.config_file), "data.dir": str(settings.data_dir), **flat,
        "local.enabled": settings.local.enabled, "local.path": str(settings.local.path),
        "local.context": settings.local.context, "local.servers": settings.local.servers,
        "catalog.refresh_s": settings.refresh_s, "auto.default": settings.auto_default,
        "upstreams": [_upstream(upstream) for upstream in settings.upstreams], "notes": list(settings.notes),
        "crash_points": list(crash.POINTS),
    }  # fmt: skip


def _upstream(upstream: UpstreamSettings) -> dict[str, object]:
    scheme = "https" if upstream.origin.is_tls else "http"
    return {
        "name": upstream.name, "dialect": upstream.dialect, "source": upstream.source,
        "base_url": f"{scheme}://{upstream.origin.host}:{upstream.origin.port}{upstream.path}",
        "api_key": "set" if upstream.api_key else "none", "models": [_model(model) for model in upstream.models],
        "private": upstream.origin.is_trusted, "prefix": upstream.prefix, "reports_cost": upstream.is_cost_reported,
        "discover": upstream.discovers, "free": upstream.is_free,
        "cap_field": upstream.cap_field, "strict": upstream.is_strict, "tool_ids": upstream.tool_ids,
        "region": upstream.region, "takes_urls": upstream.takes_urls,
        **{name: getattr(upstream.patience, name) for name in upstream.patience.__struct_fields__},
    }  # fmt: skip


def _model(model: ModelSettings) -> dict[str, object]:
    row = asdict(model) | {"price": None}
    if model.price is not None:
        row["price"] = {
            "input_usd_per_mtok": model.price.input * _MTOK / PICO_PER_USD,
            "output_usd_per_mtok": model.price.output * _MTOK / PICO_PER_USD,
        }
    return row
