"""kilo-gateway version"""

import typer

from kilo_gateway.cli.options import Json
from kilo_gateway.core.brand import DISCLAIMER, PRODUCT, VERSION


def version(json: Json = False) -> None:
    """Show the version."""
    typer.echo(f'{{"version":"{VERSION}"}}' if json else f"{PRODUCT} {VERSION}. {DISCLAIMER}")
