"""What a worker owes, as JSON lines in its own file, memory-mapped.

A line is in the kernel's page cache when `append` returns, so it survives kill -9 of the worker; control fsyncs the file.
A line torn by a death in the middle of the copy belongs to a request whose caller has not seen its end. The file is
reserved on the disk before it is mapped: a full disk is an error then, not a signal later. It is locked for as long as its
worker lives: whoever gets the lock knows that no more will be written.
"""

import fcntl
import mmap
import os
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from kilo_gateway.core.crash import CrashPoint
from kilo_gateway.core.types import JournalLine, Progressed, Started

FILE_BYTES = 8 * 1024 * 1024
MAX_WAITING_BYTES = 4 * 1024 * 1024  # some ten thousand requests
_READ_BYTES = 256 * 1024


class Journal:
    """`worker` must be new for each process; files are `<worker>-<n>`, n from 1. Where none can be made, lines wait.

    `is_full`: as much waits for room on the disk as may; who admits requests is to refuse them. Those that run are still
    noted, so the bound is passed by what they have to say.
    """

    def __init__(
        self, directory: Path, worker: str, crash: CrashPoint | None = None, file_bytes: int = FILE_BYTES,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:  # fmt: skip
        self._directory = directory
        self._worker = worker
        self._crash = crash
        self._file_bytes = file_bytes
        self._max_waiting_bytes = max_waiting_bytes
        self._encode = msgspec.json.Encoder().encode
        self._number = 0
        self._at = 0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self.is_full = False
        self._file = -1
        self._map = _nowhere()
        try:
            self._map = self._open_next()
        except OSError:
            self._at = file_bytes  # as if it were full

    def append(self, line: JournalLine) -> None:
        if self._crash is not None:
            self._crash("journal.start" if type(line) is Started else "journal.end")
        data = self._encode(line) + b"\n"
        at = self._at
        end = at + len(data)
        if end > self._file_bytes or self._waiting:
            self._append_in_turn(data, type(line) is Progressed)
        else:
            self._map[at:end] = data
            self._at = end

    @property
    def backlog(self) -> int:
        """Lines for which the disk had no room."""
        return len(self._waiting)

    @property
    def is_writing(self) -> bool:
        """Whether lines go into a file, and not behind others that wait for one."""
        return self._file >= 0 and not self._waiting

    def retry(self) -> None:
        """Writes what there was no room for. Called a few times a second."""
        if self._file < 0:
            self._has_room(1)
        while self._waiting and self._has_room(len(self._waiting[0])):
            data = self._waiting.popleft()
            self._waiting_bytes -= len(data)
            self._write(data)
        self.is_full = self._waiting_bytes >= self._max_waiting_bytes

    def close(self) -> None:
        """No more will be written; the lock is let go."""
        self._map.close()
        if self._file >= 0:
            os.close(self._file)

    def _append_in_turn(self, data: bytes, is_progress: bool) -> None:
        """Behind what waits. Progress does not wait: it is for the death of this process, which memory does not survive."""
        if not self._waiting and self._has_room(len(data)):
            self._write(data)
        elif not is_progress:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            self.is_full = self._waiting_bytes >= self._max_waiting_bytes

    def _has_room(self, size: int) -> bool:
        """In this file, or in the next one, which is begun then."""
        if self._at + size > self._file_bytes:
            try:
                self._map = self._open_next()
            except OSError:
                return False
        return True

    def _write(self, data: bytes) -> None:
        self._map[self._at : self._at + len(data)] = data
        self._at += len(data)

    def _open_next(self) -> mmap.mmap:
        if self._number and self._crash is not None:
            self._crash("journal.rotate")
        path = self._directory / f"{self._worker}-{self._number + 1}"
        # Under its own name it would look like a dead worker's until it is locked.
        scratch = path.with_name(path.name + ".new")
        file = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            _reserve(file, self._file_bytes)
            mapped = mmap.mmap(file, self._file_bytes)
        except OSError:
            os.close(file)
            with suppress(OSError):
                scratch.unlink()
            raise
        scratch.rename(path)
        self._map.close()
        if self._file >= 0:  # the new one is there and locked before the old one is let go
            os.close(self._file)
        self._number += 1
        self._file = file
        self._at = 0
        return mapped


def _nowhere() -> mmap.mmap:
    """For the time when there is no file."""
    return mmap.mmap(-1, 1)


def _reserve(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.write(file, bytes(size))


def files_of(directory: Path) -> dict[str, list[tuple[int, Path]]]:
    """Every worker's files in the order they were written."""
    found: dict[str, list[tuple[int, Path]]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            worker, _, number = entry.name.rpartition("-")
            if worker and number.isdigit() and entry.is_file():
                found.setdefault(worker, []).append((int(number), directory / entry.name))
    return {worker: sorted(files) for worker, files in sorted(found.items())}


def is_writer_alive(directory: Path, worker: str, newest: Path) -> bool:
    """Whether this worker still runs. `newest`: its last file, as far as it is known."""
    if _is_locked(newest):
        return True
    return files_of(directory)[worker][-1][1] != newest  # it had just gone on to the next


def _is_locked(path: Path) -> bool:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def read(path: Path, offset: int, limit: int) -> bytes:
    """What is written from `offset` on, about `limit` bytes of it, and by then on the disk: a power cut takes no more."""
    pieces: list[bytes] = []
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        while sum(map(len, pieces)) < limit:
            piece = file.read(_READ_BYTES)
            end = piece.find(b"\0")
            pieces.append(piece if end < 0 else piece[:end])
            if end >= 0 or not piece:
                break
        if pieces[0]:
            _sync(file.fileno())
    return b"".join(pieces)


def shrink(path: Path) -> None:
    """Gives back what was reserved and not used. For files whose worker is dead."""
    with path.open("r+b", buffering=0) as file:
        used = 0
        while piece := file.read(_READ_BYTES):
            end = piece.find(b"\0")
            if end >= 0:
                used += end
                break
            used += len(piece)
        file.truncate(used)


_decoder: msgspec.json.Decoder[JournalLine] = msgspec.json.Decoder(JournalLine)


# How a line begins, told without decoding: most starts are followed by their end, and then nobody looks into them.
# Behind it comes the request's id, in quotes.
START, PROGRESS = b'["s"', b'["p"'


def lines(data: bytes) -> list[bytes]:
    """The whole ones."""
    return data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]


def decode(line: bytes) -> JournalLine | None:
    """None for a line that cannot be read."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _sync(file: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(file)
    else:
        os.fsync(file)
