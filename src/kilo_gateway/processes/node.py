"""What every process of a node is given when it is started."""

import os
import signal
from dataclasses import dataclass

from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.settings import Settings
from kilo_gateway.processes.board import Board

# What the supervisor tells its children. A terminal, a shell or systemd may signal all of us at once: so the children are
# deaf to what others send, and only the supervisor counts wishes.
DRAIN, DRAIN_HASTILY = signal.SIGUSR1, signal.SIGUSR2
NOT_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Node:
    """`life`: a pipe that ends when the supervisor is gone. `news`: a pipe to tell it that one is ready.

    `local_trouble`: why the local model does not run, in words that a caller may read; nothing while it does or may still.
    """

    settings: Settings
    files: DataDirectory
    keyring: Keyring
    slots: int
    life: int
    news: int
    local_trouble: Board
    crash_at: str

    def tell(self, word: str) -> None:
        os.write(self.news, word.encode() + b"\n")
