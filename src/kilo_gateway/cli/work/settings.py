"""Settings for a command, with errors as a command tells them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kilo_gateway import config
from kilo_gateway.cli.options import Failure
from kilo_gateway.core.settings import ConfigurationError, Settings


def settings_for(file: Path | None, data_dir: Path | None) -> Settings:
    with _told():
        return config.load(file, data_dir)


def settings_to_start(file: Path | None, data_dir: Path | None, flags: Mapping[str, object] | None = None) -> Settings:
    """Address and files that they name are looked at too."""
    with _told():
        return config.load_to_start(file, data_dir, flags)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise Failure(str(error), is_configuration=True) from error
