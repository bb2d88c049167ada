"""serve"""

import sys
from collections.abc import Mapping
from pathlib import Path

from kilo_gateway.cli.options import Failure
from kilo_gateway.cli.work.settings import settings_to_start
from kilo_gateway.config import environment_with
from kilo_gateway.core.settings import ConfigurationError
from kilo_gateway.processes import openmp
from kilo_gateway.processes.serve import serve as run
from kilo_gateway.upstreams import demo


def serve(config: Path | None, data_dir: Path | None, flags: Mapping[str, object], *, as_json: bool) -> None:
    settings = settings_to_start(config, data_dir, flags)
    if settings.local.enabled and demo.can_run():
        openmp.ensure(environment_with)
    try:
        code = run(settings, as_json=as_json)
    except ConfigurationError as error:
        raise Failure(str(error), is_configuration=True) from error
    sys.exit(code)
