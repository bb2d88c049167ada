"""The first thing that runs: which command is meant, and what a signal does until there is a gateway to stop.

Imports nothing of ours: the libraries of a command take longer to load than an operator takes to change his mind.
"""

import importlib
import os
import signal
import sys
from types import FrameType

_OWN_OPTIONS = ("--help", "-h", "--install-completion", "--show-completion")


def main() -> None:
    """`kilo-gateway` and `kilo-gateway --port 3001` mean serve."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        arguments = ["version"]
    if not arguments or (arguments[0].startswith("-") and not arguments[0].startswith(_OWN_OPTIONS)):
        arguments = ["serve", *arguments]
    if arguments[0] == "serve":
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)
    importlib.import_module("kilo_gateway.cli.application").run(arguments)


def _end(number: int, frame: FrameType | None) -> None:
    """Nothing runs yet, so nothing has to be stopped. No exception: one that is raised inside an import can get lost."""
    os._exit(0)
