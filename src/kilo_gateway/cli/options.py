"""Options that several commands take, and how a command says that it failed."""

import importlib
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

EXIT_FAILURE = 1
EXIT_CONFIGURATION = 78


class Failure(Exception):
    """Ends the command. `is_configuration`: exit code 78 instead of 1."""

    def __init__(self, message: str, *, is_configuration: bool = False) -> None:
        super().__init__(message)
        self.is_configuration = is_configuration


def _directory(text: str) -> Path:
    """An empty one would be the current directory, which nobody means by it: some variable was not set."""
    if not text:
        raise Failure("command line: --data-dir is empty. Name a directory.", is_configuration=True)
    return Path(text)


Config = Annotated[Path | None, typer.Option("--config", help="Configuration file (TOML).", metavar="FILE", readable=False)]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Data directory.", metavar="DIR", parser=_directory)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(name: str) -> ModuleType:
    """What a command does, imported when it is done: `--help` must not wait for a database library."""
    return importlib.import_module(f"kilo_gateway.cli.{name}")
