"""kilo-gateway models list"""

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load

app = typer.Typer(help="Models that can be asked for.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...


@app.command("list")
def every(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """List the models with prices and providers."""
    load("work.models").every(json, config, data_dir)
