"""Named points at which a process may be told to die, so that tests can prove what survives.

`KILO_GATEWAY_CRASH_AT=journal.end` kills at the first passage, `journal.end:3` at the third. Not set, nothing is called.
"""

import os
import signal
from collections.abc import Callable

POINTS = (
    "journal.start", "journal.end", "journal.rotate",
    "import.before_commit", "import.after_commit",
    "snapshot.write", "snapshot.rename", "snapshot.push", "snapshot.ack",
)  # fmt: skip

CrashPoint = Callable[[str], None]


def crash_point(setting: str) -> CrashPoint | None:
    """None when nothing is to crash. Raises ValueError for a name that is no point."""
    if not setting:
        return None
    name, _, nth = setting.partition(":")
    if name not in POINTS or not (nth or "1").isdigit():
        raise ValueError(f"no crash point {setting!r}; points: {', '.join(POINTS)}, each with an optional :N")
    left = int(nth or "1")

    def pass_by(point: str) -> None:
        nonlocal left
        if point == name:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    return pass_by
