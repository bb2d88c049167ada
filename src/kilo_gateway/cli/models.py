"""kilo-gateway models list|show|refresh|diff"""

from typing import Annotated

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load

app = typer.Typer(help="Models that can be asked for.", no_args_is_help=True)

Provider = Annotated[str | None, typer.Option("--provider", help="Those that this upstream serves.", metavar="NAME")]
Free = Annotated[bool, typer.Option("--free", help="Those that cost nothing.")]
Force = Annotated[bool, typer.Option("--force", help="Take a list that has shrunk to less than half, too.")]


@app.callback()
def _group() -> None: ...


@app.command("list")
def every(
    provider: Provider = None, free: Free = False, json: Json = False, config: Config = None, data_dir: DataDir = None
) -> None:
    """List the models with prices and providers."""
    load("work.models").every(provider, free, json, config, data_dir)


@app.command()
def show(
    id: Annotated[str, typer.Argument(help="A model by any of its names.", metavar="ID")], json: Json = False,
    config: Config = None, data_dir: DataDir = None,
) -> None:  # fmt: skip
    """Show one model: what is known, who says so, and its endpoints side by side."""
    load("work.model").show(id, json, config, data_dir)


@app.command()
def refresh(force: Force = False, json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Read the upstreams' lists of models now."""
    load("work.model_lists").refresh(force, json, config, data_dir)


@app.command()
def diff(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Show what the last refresh that changed anything has changed."""
    load("work.model_lists").diff(json, config, data_dir)
