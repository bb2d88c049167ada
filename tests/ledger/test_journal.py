"""What a worker owes is on paper when `append` returns."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from kilo_gateway.core.types import Ended, JournalLine, Progressed, Started
from kilo_gateway.ledger import journal
from kilo_gateway.ledger.journal import Journal

STARTED = Started("a", 1, "k", "m", "p", 3, (1, 2))
ENDED = Ended("a", "u", 1, "k", "m", "p", "ok", 1, 2, False, None, 1, 5)


def lines_in(directory: Path) -> list[JournalLine]:
    data = b"".join(path.read_bytes().partition(b"\0")[0] for files in journal.files_of(directory).values() for _, path in files)
    return [msgspec.json.decode(line, type=JournalLine) for line in data.splitlines()]


@pytest.mark.parametrize("line", [STARTED, Progressed("a", 7), ENDED])
def test_a_line_is_read_as_it_was_written(tmp_path: Path, line: JournalLine) -> None:
    writer = Journal(tmp_path, "w")
    writer.append(line)
    assert lines_in(tmp_path) == [line]
    writer.close()


def test_a_full_file_is_followed_by_another_and_no_line_is_torn(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "w", file_bytes=1000)
    for n in range(200):
        writer.append(Progressed("a", n))
    assert [line.completion_tokens for line in lines_in(tmp_path) if isinstance(line, Progressed)] == list(range(200))
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())
    writer.close()


def test_a_writer_is_known_to_live_until_it_ends(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "w")
    [(_, path)] = journal.files_of(tmp_path)["w"]
    assert journal.is_writer_alive(tmp_path, "w", path)
    writer.close()
    assert not journal.is_writer_alive(tmp_path, "w", path)


def ended(n: int, upstream_id: str = "") -> Ended:
    return msgspec.structs.replace(ENDED, id=str(n), upstream_id=upstream_id)


class NoRoom:
    """A journal whose disk is full from now on: no further file can be made."""

    def __init__(self, root: Path, **more: int) -> None:
        self.directory = root / "journal"
        self.directory.mkdir()
        self.writer = Journal(self.directory, "w", **more)
        shutil.rmtree(self.directory)

    def end(self) -> list[str]:
        """There is room again: the ids that have been written since."""
        self.directory.mkdir()
        self.writer.retry()
        assert self.writer.backlog == 0
        return [line.id for line in lines_in(self.directory)]


def test_what_the_disk_does_not_take_is_kept_and_written_later(tmp_path: Path) -> None:
    disk = NoRoom(tmp_path, file_bytes=200)
    for n in range(50):
        disk.writer.append(ended(n))
    waiting = disk.writer.backlog
    assert waiting > 40
    disk.writer.retry()
    assert disk.writer.backlog == waiting
    assert disk.end() == [str(n) for n in range(50 - waiting, 50)]
    disk.writer.close()


def test_no_line_overtakes_those_that_wait(tmp_path: Path) -> None:
    disk = NoRoom(tmp_path, file_bytes=480)
    disk.writer.append(ended(0))
    disk.writer.append(ended(1, "long" * 80))  # no room for it in this file
    disk.writer.append(ended(2))  # for this there would be
    assert disk.writer.backlog == 2
    disk.directory.mkdir()
    disk.writer.append(ended(3))
    assert disk.writer.backlog == 3
    disk.directory.rmdir()
    assert disk.end() == ["1", "2", "3"]
    disk.writer.close()


def test_what_waits_is_bounded_by_saying_when_it_is_too_much(tmp_path: Path) -> None:
    disk = NoRoom(tmp_path, file_bytes=200, max_waiting_bytes=1000)
    n = 0
    while not disk.writer.is_full:
        disk.writer.append(ended(n))
        n += 1
    assert 10 < n < 40
    disk.writer.append(ended(n))  # of a request that had been admitted before
    assert disk.end()[-2:] == [str(n - 1), str(n)]
    assert not disk.writer.is_full
    disk.writer.close()


def test_progress_does_not_wait(tmp_path: Path) -> None:
    """It serves who comes after this process has died, and by then it is gone with it."""
    disk = NoRoom(tmp_path, file_bytes=200)
    disk.writer.append(ended(0, "long" * 80))
    for n in range(1000):
        disk.writer.append(Progressed("a", n))
    assert disk.writer.backlog == 1
    disk.writer.close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    Journal(tmp_path, "w").close()
    assert (tmp_path / "w-1").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_lines_outlive_their_writer(tmp_path: Path, number: signal.Signals) -> None:
    program = (
        "import os, sys; from pathlib import Path; from kilo_gateway.ledger.journal import Journal;"
        "from kilo_gateway.core.types import Progressed; writer = Journal(Path(sys.argv[1]), 'w');"
        "[writer.append(Progressed('a', n)) for n in range(1000)]; os.kill(os.getpid(), int(sys.argv[2]))"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path, str(int(number))], check=False, timeout=30)
    assert done.returncode == -number
    assert len(lines_in(tmp_path)) == 1000


def test_nothing_is_lost_by_a_death_between_two_files(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from kilo_gateway.core.crash import crash_point;"
        "from kilo_gateway.ledger.journal import Journal; from kilo_gateway.core.types import Progressed;"
        "writer = Journal(Path(sys.argv[1]), 'w', crash_point('journal.rotate:3'), file_bytes=1000);"
        "[writer.append(Progressed('a', n)) for n in range(1000)]"
    )
    done = subprocess.run([sys.executable, "-c", program, tmp_path], check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    written = [line.completion_tokens for line in lines_in(tmp_path) if isinstance(line, Progressed)]
    assert written == list(range(len(written)))
    assert len(written) > 100


def test_a_dead_writers_file_is_shrunk_to_what_is_in_it(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "w")
    writer.append(ENDED)
    writer.close()
    path = tmp_path / "w-1"
    before = path.read_bytes().partition(b"\0")[0]
    journal.shrink(path)
    assert path.read_bytes() == before


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    writer = Journal(tmp_path, "w")
    read = b""
    for n in range(300):
        writer.append(Progressed("a" * (n * 10), n))
        read += journal.read(tmp_path / "w-1", len(read), 4096)
    read += journal.read(tmp_path / "w-1", len(read), 1 << 30)
    assert read == (tmp_path / "w-1").read_bytes().partition(b"\0")[0]
    assert (tmp_path / "w-1").stat().st_size > len(read)
    writer.close()


def test_a_journal_that_finds_no_room_at_its_start_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "w-1.new").mkdir()  # in the way
    found = Journal(tmp_path, "w")
    assert not found.is_writing
    found.append(ENDED)
    assert (found.backlog, journal.files_of(tmp_path)) == (1, {})
    (tmp_path / "w-1.new").rmdir()
    found.retry()
    assert (found.backlog, found.is_writing) == (0, True)
    assert lines_in(tmp_path) == [ENDED]
    found.close()
