"""kilo-gateway journal replay"""

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load

app = typer.Typer(help="What workers have written down.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...


@app.command()
def replay(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Book what stands in the journals and is not in the usage table."""
    load("work.journal").replay(json, config, data_dir)
