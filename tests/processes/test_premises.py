"""A data directory that cannot be used is told in one line, with exit code 78, before anything runs."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.node import ENDS_S, Node, config, upstream
from tests.until import until

from kilo_gateway.core.settings import ConfigurationError
from kilo_gateway.processes.premises import examine_database

# Root may do everything; without its capabilities it is a user like any other.
POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
needs_powerless = pytest.mark.skipif(bool(POWERLESS) and shutil.which("setpriv") is None, reason="setpriv is needed where root runs the tests")
needs_mount = pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="a small disk is mounted: Linux, as root")

SERVE = ("serve", "--port", "0")
COMMANDS = (SERVE, ("keys", "list"), ("usage",))


@pytest.fixture
def used(short_path: Path) -> Iterator[Node]:
    """A stopped gateway that has a database."""
    found = Node(short_path, config(1))
    assert found.cli("keys", "list").returncode == 0
    yield found
    found.close()
    for path in (found.file, found.data, *found.data.rglob("*")):
        path.chmod(0o700)


def refusal(node: Node, *arguments: str) -> str:
    """The one line it ends with."""
    command = [*POWERLESS, sys.executable, "-m", "kilo_gateway", *arguments, *node.options()]
    done = subprocess.run(command, capture_output=True, text=True, env=node.environment, timeout=ENDS_S, check=False)
    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert done.stderr.startswith("kilo-gateway: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


@needs_powerless
@pytest.mark.parametrize(
    ("name", "mode"),
    [(".", 0o500), (".", 0o000), ("journal", 0o500), ("journal", 0o000), ("gateway.db", 0o400), ("gateway.db", 0o000),
     ("lock", 0o400), ("secret.key", 0o000)],
)  # fmt: skip
def test_what_may_not_be_used_is_named(used: Node, name: str, mode: int) -> None:
    path = used.data / name
    path.chmod(mode)
    for command in COMMANDS:
        assert str(path) in refusal(used, *command)


@needs_powerless
def test_a_configuration_that_may_not_be_read_is_named(used: Node) -> None:
    used.file.chmod(0)
    for command in (*COMMANDS, ("config", "check")):
        assert refusal(used, *command) == f"kilo-gateway: {used.file}: cannot be read: Permission denied.\n"


@pytest.mark.parametrize("name", ["lock", "gateway.db"])
def test_a_directory_in_the_place_of_a_file_is_named(used: Node, name: str) -> None:
    (used.data / name).unlink()
    (used.data / name).mkdir()
    for command in COMMANDS:
        assert f"{used.data / name}: is no file" in refusal(used, *command)


def test_a_directory_among_the_journals_is_passed_over(used: Node) -> None:
    (used.data / "journal" / "0.1.1-1").mkdir()
    assert used.json("journal", "replay")["lines"] == 0


def test_a_directory_that_is_new_or_empty_becomes_private_and_another_is_told(used: Node) -> None:
    empty = used.root / "empty"
    empty.mkdir(mode=0o755)
    used.data, data = empty, used.data
    assert used.cli("keys", "list").returncode == 0
    assert empty.stat().st_mode & 0o777 == 0o700
    data.chmod(0o755)
    used.data = data
    used.start()
    assert f"others on this machine may look into {data} (mode 0755)" in (used.root / "out").read_text()
    assert data.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("")])
def test_without_the_owners_key_the_start_says_how_to_make_another(used: Node, change: Callable[[Path], object]) -> None:
    key = used.data / "owner.key"
    for _ in range(2):  # without a snapshot on disk, and with one
        change(key)
        told = used.start() and (used.root / "out").read_text()
        [line] = [line for line in told.splitlines() if f"{key} is missing or empty; make another: " in line]
        subprocess.run(["sh", "-c", line.partition("make another: ")[2]], env=used.environment, check=True, timeout=ENDS_S)
        assert used.ask("GET", "/v1/generation?id=x")[0] == 404  # it is a key
        assert key.stat().st_mode & 0o777 == 0o600
        used.stop()
        used.port = 0


def test_a_start_can_be_told_in_one_line_of_json(used: Node) -> None:
    used.begin("--json")
    line = until(lambda: (used.root / "out").read_text())
    told = json.loads(line)
    assert told["url"].startswith("http://localhost:")
    assert (told["owner_key"], told["data_dir"]) == (str(used.data / "owner.key"), str(used.data))
    assert told["upstreams"] == [{"name": "mock", "models": ["mock/model"], "source": f"{used.file}:9"}]
    assert told["local_model"] is None
    used.stop()
    assert (used.root / "out").read_text() == line


# The database


def damage(path: Path) -> None:
    path.write_bytes(b"garbage" * 10_000)


def overtake(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0099'")


@pytest.mark.parametrize(
    ("change", "told"), [(damage, "file is not a database"), (overtake, "a newer version has made this database (schema 0099;")]
)
def test_a_database_that_cannot_be_used_is_told(used: Node, change: Callable[[Path], None], told: str) -> None:
    change(used.data / "gateway.db")
    for command in (*COMMANDS, ("keys", "create", "--name", "x"), ("models", "list")):
        said = refusal(used, *command)
        assert told in said
        assert str(used.data / "gateway.db") in said


def test_a_look_at_the_database_takes_no_time_and_changes_nothing(used: Node) -> None:
    path = used.data / "gateway.db"
    before = path.read_bytes()
    started = time.perf_counter()
    examine_database(path)
    assert time.perf_counter() - started < 0.1
    assert path.read_bytes() == before


def test_an_empty_database_is_one_that_is_yet_to_be_made(tmp_path: Path) -> None:
    examine_database(tmp_path / "none.db")
    (tmp_path / "empty.db").touch()
    examine_database(tmp_path / "empty.db")
    (tmp_path / "cut.db").write_bytes(b"SQLite format 3\0" + bytes(50))
    with pytest.raises(ConfigurationError):
        examine_database(tmp_path / "cut.db")


# The disk


@pytest.fixture
def small_disk(short_path: Path) -> Iterator[Callable[[str], Node]]:
    """Makes a gateway whose data directory is a disk of that size; not started yet."""
    with upstream() as chaos:
        found = Node(short_path, config(chaos.port).replace("workers = 2", "workers = 1"))

        def make(size: str) -> Node:
            found.data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", found.data], check=True)
            return found

        yield make
        found.close()
        subprocess.run(["umount", "--lazy", found.data], check=True)


def fill(directory: Path) -> Path:
    path = directory / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


@needs_mount
@pytest.mark.parametrize("size", ["8k", "1m", "9m"])
def test_a_disk_without_room_for_a_start_is_told(small_disk: Callable[[str], Node], size: str) -> None:
    said = refusal(small_disk(size), *SERVE)
    assert "10 MB are needed to start" in said


@needs_mount
def test_a_disk_that_fills_while_it_runs_is_told_by_commands_and_by_ready(small_disk: Callable[[str], Node]) -> None:
    node = small_disk("24m").start()
    filler = fill(node.data)
    while node.cli("keys", "create", "--name", "x").returncode == 0:
        pass  # what the database had reserved
    done = node.cli("keys", "create", "--name", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "kilo-gateway: The database cannot be used: database or disk is full.\n"
    for _ in range(300):
        assert node.chat()[0] == 200
    trouble = "usage is not booked: The database cannot be used: database or disk is full"
    until(lambda: trouble in node.ask("GET", "/ready", key="")[1]["reasons"])
    time.sleep(1.0)  # four more imports
    failures = [line for line in node.said().splitlines() if json.loads(line)["event"] == "import.failed"]
    assert len(failures) == len({json.loads(line)["reason"] for line in failures})
    filler.unlink()
    until(lambda: node.ask("GET", "/ready", key="")[1] == {"status": "ok", "reasons": []})
    assert len(node.usage()) == 300


@needs_mount
def test_a_worker_that_comes_back_on_a_full_disk_serves(small_disk: Callable[[str], Node]) -> None:
    node = small_disk("24m").start()
    filler = fill(node.data)
    [worker] = node.workers()
    os.kill(worker, 9)
    until(lambda: not node.is_running(worker))
    assert node.chat()[0] == 200
    assert "the journal cannot be written" in node.ask("GET", "/ready", key="")[1]["reasons"]
    filler.unlink()
    until(lambda: node.ask("GET", "/ready", key="")[1]["status"] == "ok")
    assert len(node.usage()) == 1
