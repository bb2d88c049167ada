"""kilo-gateway keys create | list | revoke"""

from typing import Annotated

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load

app = typer.Typer(help="Keys that callers use.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key. It is shown once. Returns when every worker knows it."""
    load("work.keys").create(name, json, config, data_dir)


@app.command("list")
def every(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """List the keys, revoked ones included; never the keys themselves."""
    load("work.keys").every(json, config, data_dir)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Its id, or its name where that is unique.", metavar="KEY")],
    json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key invalid. Returns when no worker takes it any more."""
    load("work.keys").revoke(key, json, config, data_dir)
