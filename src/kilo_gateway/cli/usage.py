"""kilo-gateway usage"""

from typing import Annotated

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load


def usage(
    limit: Annotated[int, typer.Option(help="How many requests, newest first.", min=1, max=1_000_000)] = 100,
    json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Show requests with their tokens and cost."""
    load("work.usage").usage(limit, json, config, data_dir)
