"""One JSON line for each refusal and failure, to standard error. Facts only; never a prompt, never a credential."""

import logging
import os
import time
from collections.abc import Callable

import msgspec

MAX_LINES_PER_S = 200

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Log:
    """Above MAX_LINES_PER_S lines are dropped and counted: a flood of refusals must not become a flood of writes."""

    def __init__(self, process: str, clock: Callable[[], float] = time.time, file: int = 2) -> None:
        self._process = process
        self._clock = clock
        self._file = file
        self._second = 0
        self._lines = self._dropped = 0

    def __call__(self, event: str, **facts: object) -> None:
        now = self._clock()
        if int(now) != self._second:
            dropped, self._second, self._lines, self._dropped = self._dropped, int(now), 0, 0
            if dropped:
                self._write(now, "log.dropped", {"lines": dropped})
        self._lines += 1
        if self._lines > MAX_LINES_PER_S:
            self._dropped += 1
        else:
            self._write(now, event, facts)

    def _write(self, now: float, event: str, facts: dict[str, object]) -> None:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
        line = _encode({"at": at, "event": event, "process": self._process, **facts})
        try:
            os.write(self._file, line + b"\n")
        except OSError:  # nobody reads it; the gateway goes on
            self._dropped += 1


class Defects(logging.Handler):
    """What libraries report in words and tracebacks, as lines of ours: what it was and where, none of the words."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        where = where_of(error) if error is not None else f"{record.pathname}:{record.lineno}"
        reason = type(error).__name__ if error is not None else ""
        self._log("process.defect", library=record.name, reason=reason, where=where)


def where_of(error: BaseException) -> str:
    """File and line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
