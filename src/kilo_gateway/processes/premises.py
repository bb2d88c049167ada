"""Whether a gateway can live in its data directory: looked at before anything is started, so that it is told in one line."""

import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.core.settings import ConfigurationError
from kilo_gateway.ledger.journal import FILE_BYTES
from kilo_gateway.store import revisions

SPARE_BYTES = 2 * 1024 * 1024  # for the database and the snapshot, to begin with
_MB = 1024 * 1024


def examine_access(files: DataDirectory) -> None:
    """Raises ConfigurationError for the first that this user may not use. Files that are missing will be made."""
    for directory in (files.root, files.journal):
        _examine(directory, stat.S_ISDIR, "is no directory", os.R_OK | os.W_OK | os.X_OK)
    beside = [files.database.with_name(files.database.name + suffix) for suffix in ("-wal", "-shm")]
    for file in (files.lock, files.database, *beside):
        _examine(file, stat.S_ISREG, "is no file", os.R_OK | os.W_OK)
    _examine(files.secret_key, stat.S_ISREG, "is no file", os.R_OK)


def examine_database(path: Path) -> None:
    """Raises ConfigurationError for one that cannot be read, or that a newer version has made. Changes nothing."""
    if not path.exists():
        return
    import sqlite3  # 3 ms that a first start does not need

    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            is_ours = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
            revision = database.execute("SELECT version_num FROM alembic_version").fetchone() if is_ours else None
    except sqlite3.Error as error:
        remedy = "Restore it from a backup, or move it away to begin anew"
        raise ConfigurationError(f"{path}: this database cannot be used: {error}. {remedy}.") from error
    newest = revisions.newest()
    if revision is not None and str(revision[0]) > newest:
        raise ConfigurationError(
            f"{path}: a newer version has made this database (schema {revision[0]}; this version knows {newest}). "
            "Install that version again, or restore a backup."
        )


def examine_room(files: DataDirectory, workers: int) -> None:
    """Raises ConfigurationError where the disk has no room for each worker's journal."""
    found = os.statvfs(files.root)
    free = found.f_frsize * (found.f_bfree if os.geteuid() == 0 else found.f_bavail)
    needed = workers * FILE_BYTES + SPARE_BYTES
    if free < needed:
        raise ConfigurationError(
            f"{files.root}: {free / _MB:.0f} MB are free on its disk; {needed // _MB} MB are needed to start, 8 MB of them "
            "for each worker. Make room, or choose another directory: --data-dir."
        )


def notes_on(files: DataDirectory) -> tuple[str, ...]:
    """What does not stop a start, and should be known."""
    mode = stat.S_IMODE(files.root.stat().st_mode)
    if not mode & 0o077:
        return ()
    return (f"others on this machine may look into {files.root} (mode {mode:04o}): chmod 700 it.",)


def _examine(path: Path, is_right: Callable[[int], bool], otherwise: str, access: int) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be looked at: {error.strerror}.") from error
    if not is_right(mode):
        raise ConfigurationError(f"{path}: {otherwise}. Move it away.")
    if not os.access(path, access):
        wanted = "read and write" if access & os.W_OK else "read"
        remedy = "Change its owner, or choose another directory: --data-dir"
        raise ConfigurationError(f"{path}: this user ({os.geteuid()}) may not {wanted} it. {remedy}.")
