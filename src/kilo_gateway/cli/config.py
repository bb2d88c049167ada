"""kilo-gateway config check | show"""

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load

app = typer.Typer(help="The configuration.", no_args_is_help=True)


@app.command()
def check(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Check it without starting anything. Exit code 78 when it is wrong."""
    load("work.configuration").check(json, config, data_dir)


@app.command()
def show(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Show what is in force, without secrets."""
    load("work.configuration").show(json, config, data_dir)
