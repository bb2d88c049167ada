"""Settings for a command, with errors as a command tells them."""

from collections.abc import Mapping
from pathlib import Path

from kilo_gateway import config
from kilo_gateway.cli.options import Failure
from kilo_gateway.core.settings import ConfigurationError, Settings


def settings_for(file: Path | None, data_dir: Path | None, flags: Mapping[str, object] | None = None) -> Settings:
    try:
        return config.load(file, data_dir, flags)
    except ConfigurationError as error:
        raise Failure(str(error), is_configuration=True) from error
