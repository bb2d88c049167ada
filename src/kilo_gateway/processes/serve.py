"""From settings to running processes: the data directory, its lock and secret, the sockets, the supervisor."""

import fcntl
import os
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from kilo_gateway.catalog.files import DataDirectory, write_privately
from kilo_gateway.core.keyring import SECRET_BYTES, Keyring
from kilo_gateway.core.settings import ConfigurationError, Settings
from kilo_gateway.processes.banner import Banner
from kilo_gateway.processes.premises import examine_access, examine_database, examine_room, notes_on
from kilo_gateway.processes.sockets import listeners
from kilo_gateway.processes.supervisor import Supervisor

MAX_DEFAULT_WORKERS = 4
ORPHANS_S = 90.0


def serve(settings: Settings, *, as_json: bool = False) -> int:
    """Runs until told to end. Raises ConfigurationError before anything is started. `as_json`: what is told then."""
    files = prepare(settings)
    lock = _lock_or_wait(files)
    if lock is None:
        raise ConfigurationError(
            f"{files.root} is used by another gateway (process {holder(files)}). Choose another with --data-dir."
        )
    count = settings.server.workers or _default_workers()
    examine_room(files, count)
    examine_database(files.database)
    try:
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
    except OSError as error:
        raise ConfigurationError(f"{files.lock}: cannot be written: {error.strerror}.") from error
    sockets = listeners(settings.server, count)
    settings = replace(settings, notes=(*settings.notes, *notes_on(files)))
    banner = Banner(settings, sockets[0].getsockname()[1], _stdout_for_json() if as_json else None)
    return Supervisor(settings, keyring(files), sockets, banner).run()


def _stdout_for_json() -> TextIO:
    """Standard output for one who writes JSON to it; what others print there from now on is lost."""
    sys.stdout.flush()
    own, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return os.fdopen(own, "w")


def prepare(settings: Settings) -> DataDirectory:
    files = DataDirectory(settings.data_dir)
    try:
        files.create()
    except OSError as error:
        where = error.filename or files.root
        raise ConfigurationError(f"{where}: the data directory cannot be made: {error.strerror}.") from error
    examine_access(files)
    if len(os.fsencode(files.control_socket)) > 100:  # sun_path has 108 bytes, 104 on macOS
        raise ConfigurationError(f"{files.root}: this path is too long for a Unix socket in it. Choose another: --data-dir.")
    return files


def take_lock(files: DataDirectory) -> int | None:
    """The lock's file descriptor, to be kept open; None when another process has it."""
    try:
        lock = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{files.lock}: cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def _lock_or_wait(files: DataDirectory) -> int | None:
    """A supervisor that was killed leaves children that end by themselves: they are waited for."""
    ends_at = time.monotonic() + ORPHANS_S
    while (lock := take_lock(files)) is None and not _is_alive(holder(files)) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return lock


def _is_alive(process: str) -> bool:
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def holder(files: DataDirectory) -> str:
    try:
        return files.lock.read_text() or "?"
    except OSError:
        return "?"


def keyring(files: DataDirectory) -> Keyring:
    """Made at the first start. The caller holds the lock."""
    path: Path = files.secret_key
    if not path.exists() and files.database.exists():
        raise ConfigurationError(f"{path} is missing: without it no key in {files.database} can be used. Restore it.")
    try:
        if not path.exists():
            write_privately(path, secrets.token_bytes(SECRET_BYTES))
        return Keyring(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}.") from error


def _default_workers() -> int:
    if sys.platform != "linux":
        return 1
    return min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)
