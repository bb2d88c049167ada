"""kilo-gateway: one command a file, each imported as a thin shell; what it does is loaded when it is called.

Exit codes: 0, 1 failure, 2 usage, 78 configuration.
"""

from kilo_gateway.cli.entry import main

__all__ = ["main"]
