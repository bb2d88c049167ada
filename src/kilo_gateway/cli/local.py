"""kilo-gateway local fetch"""

import typer

from kilo_gateway.cli.options import Config, DataDir, load

app = typer.Typer(help="The local model.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...


@app.command()
def fetch(config: Config = None, data_dir: DataDir = None) -> None:
    """Fetch the demo model, unless it is there."""
    load("work.local").fetch(config, data_dir)
