"""What lies in the data directory, and the snapshot's file in particular."""

import os
from pathlib import Path

import msgspec

from kilo_gateway.core.crash import CrashPoint
from kilo_gateway.core.types import SnapshotData

_decode = msgspec.msgpack.Decoder(SnapshotData).decode
_encode = msgspec.msgpack.Encoder().encode


class DataDirectory:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "gateway.db"
        self.journal = root / "journal"
        self.snapshot = root / "snapshot"
        self.lists = root / "lists"
        self.tokens = root / "tokens"
        self.changes = root / "changes"
        self.secret_key = root / "secret.key"
        self.control_socket = root / "control.sock"
        self.workers_socket = root / "workers.sock"
        self.local_socket = root / "local.sock"
        self.local_log = root / "local.log"
        self.lock = root / "lock"
        self.owner_key = root / "owner.key"

    def create(self) -> None:
        """Nobody but its owner may look into it; one that holds things already is left as it is."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self.root.stat()
        if found.st_mode & 0o077 and found.st_uid == os.geteuid() and not any(self.root.iterdir()):
            self.root.chmod(0o700)
        self.journal.mkdir(mode=0o700, exist_ok=True)


def write_privately(path: Path, data: bytes, crash: CrashPoint | None = None) -> None:
    """Whole or not at all, readable by its owner only, on the disk when this returns."""
    scratch = path.with_name(path.name + ".new")
    file = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        _write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    if crash is not None:
        crash("snapshot.rename")
    scratch.replace(path)


def read_snapshot(path: Path, fingerprint: str) -> SnapshotData | None:
    """None when there is none, or one that was compiled from another configuration or by another version."""
    try:
        data = _decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return data if data.fingerprint == fingerprint else None


def snapshot_bytes(data: SnapshotData) -> bytes:
    return _encode(data)


def snapshot_of(data: bytes) -> SnapshotData:
    return _decode(data)


def _write_all(file: int, data: bytes) -> None:
    at = 0
    while at < len(data):
        at += os.write(file, data[at : at + (1 << 20)])
