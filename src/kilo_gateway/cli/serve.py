"""kilo-gateway serve"""

from typing import Annotated

import typer

from kilo_gateway.cli.options import Config, DataDir, Json, load


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=0, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Data workers; 0: one for each core.", min=0)] = None,
    json: Json = False,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Run the gateway."""
    flags = {"server.host": host, "server.port": port, "server.workers": workers}
    load("work.serving").serve(
        config, data_dir, {name: value for name, value in flags.items() if value is not None}, as_json=json
    )
