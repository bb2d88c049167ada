"""The gateway's usage table, read from outside: an answer that is not in it has not been given properly."""

import sqlite3
import time
from pathlib import Path

POLL_S = 0.05


class UsageTable:
    """Holds what the callers were answered against the rows of DATA_DIR/gateway.db."""

    def __init__(self, data_directory: Path) -> None:
        self._database = data_directory / "gateway.db"
        self.answered = 0
        self.surplus = 0
        """Rows beyond the answers given, up to the last settlement."""

    def rows(self) -> int:
        """-1 while there is no table."""
        try:
            connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=5)
        except sqlite3.OperationalError:
            return -1
        try:
            count: int = connection.execute("select count(*) from usage").fetchone()[0]
        except sqlite3.OperationalError:
            return -1
        finally:
            connection.close()
        return count

    def settle(self, wait_s: float) -> int:
        """Waits until every answer is booked, at most `wait_s`; how many are not. The next settlement starts even."""
        deadline = time.monotonic() + wait_s
        while (rows := self.rows()) < self.answered and time.monotonic() < deadline:
            time.sleep(POLL_S)
        difference, self.answered = rows - self.answered, rows
        self.surplus += max(difference, 0)
        return max(-difference, 0)
