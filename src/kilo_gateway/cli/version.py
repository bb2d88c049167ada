"""kilo-gateway version"""

import typer

from kilo_gateway.cli.options import Config, DataDir, Json
from kilo_gateway.core.brand import DISCLAIMER, PRODUCT, VERSION


def version(json: Json = False, config: Config = None, data_dir: DataDir = None) -> None:
    """Show the version."""  # takes what every command takes, and has no use for it
    typer.echo(f'{{"version":"{VERSION}"}}' if json else f"{PRODUCT} {VERSION}. {DISCLAIMER}")
