"""local fetch"""

import sys
from pathlib import Path

from kilo_gateway.cli.options import Failure
from kilo_gateway.cli.work import show
from kilo_gateway.cli.work.settings import settings_for
from kilo_gateway.core.settings import LocalSettings
from kilo_gateway.upstreams import demo


def fetch(json: bool, config: Path | None, data_dir: Path | None) -> None:
    local = settings_for(config, data_dir).local
    is_fetched = local.enabled and not demo.has_file(local)
    if is_fetched:
        _fetch(local)
    if json:
        show.as_json({"path": str(local.path) if local.enabled else None, "fetched": is_fetched})
    elif local.enabled:
        print(local.path)


def _fetch(local: LocalSettings) -> None:
    if not local.is_demo_model:
        raise Failure(f"{local.path} does not exist; local.path names a file of your own")
    try:
        demo.fetch(local.path, lambda line: print(line, file=sys.stderr, flush=True))
    except demo.FetchError as error:
        raise Failure(f"the local model cannot be fetched: {error}") from error
