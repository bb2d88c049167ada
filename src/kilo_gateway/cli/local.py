"""kilo-gateway local fetch"""

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load

app = typer.Typer(help="The local model.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...


@app.command()
def fetch(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Fetch the demo model, unless it is there. Print where it is."""
    load("work.local").fetch(json, config, data_dir)
