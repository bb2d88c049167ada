"""A short text that one process of a node writes and all can read: shared memory, made before the first fork."""

import mmap

_BYTES = 512


class Board:
    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _BYTES)

    def read(self) -> str:
        """Nothing before something is written."""
        return self._memory[:_BYTES].rstrip(b"\0").decode("utf-8", "ignore")

    def write(self, text: str) -> None:
        self._memory[:_BYTES] = text.encode()[:_BYTES].ljust(_BYTES, b"\0")
