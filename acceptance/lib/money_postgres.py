"""A PostgreSQL cluster of our own on a free port, as the user postgres when we are root. Skip where there is none."""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from harness import Skip, at_end, environment, free_port, spawn

_lock = threading.Lock()
_one: list["Postgres"] = []


def binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    if found and (found[-1] / "initdb").exists():
        return found[-1]
    other = shutil.which("initdb")
    if other is None or not Path(os.path.realpath(other)).with_name("postgres").exists():
        raise Skip("no PostgreSQL here (apt-get install postgresql)")
    return Path(os.path.realpath(other)).parent


def _as_postgres() -> list[str]:
    if os.getuid():
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        raise Skip("no user postgres, and PostgreSQL does not run as root") from None
    return ["runuser", "-u", "postgres", "--"]


class Postgres:
    def __init__(self) -> None:
        self.bin, self.port = binaries(), free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="kilo-postgres-", dir="/tmp"))
        at_end.append(lambda: shutil.rmtree(self.directory, True))
        if not os.getuid():
            shutil.chown(self.directory, "postgres")
        self.data = self.directory / "data"
        self._run("initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
        self.process: subprocess.Popen | None = None
        self.start()

    def _run(self, program: str, *args: str, timeout: float = 40.0) -> str:
        done = subprocess.run([*_as_postgres(), str(self.bin / program), *args], capture_output=True, text=True, timeout=timeout,
                              env=environment(PGCONNECT_TIMEOUT="5"), stdin=subprocess.DEVNULL, cwd="/")  # fmt: skip
        if done.returncode:
            raise AssertionError(f"{program}: {done.stderr[-200:]}")
        return done.stdout

    def start(self) -> None:
        options = ["-c", f"port={self.port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.directory}", "-c", "fsync=on"]
        with (self.directory / "log").open("ab") as log:
            self.process = spawn([*_as_postgres(), str(self.bin / "postgres"), "-D", str(self.data), *options], stdin=subprocess.DEVNULL, stdout=log,
                                 stderr=log, env=environment(), cwd="/")  # fmt: skip
        end = time.monotonic() + 15
        while True:
            try:
                self.sql("SELECT 1", "postgres")
                return
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "stop", "-D", str(self.data), "-m", mode, "-w", "-t", "10")

    def sql(self, statement: str, database: str = "postgres") -> list[list[str]]:
        text = self._run("psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database, "-At", "-F", "\t", "-c", statement)
        return [line.split("\t") for line in text.splitlines()]

    def database(self, name: str) -> str:
        """Makes one; its URL."""
        name = name.replace("-", "_")
        self.sql(f'CREATE DATABASE "{name}"')
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


def postgres() -> Postgres:
    with _lock:
        if not _one:
            _one.append(Postgres())
        return _one[0]
