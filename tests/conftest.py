"""What holds for every test: the plugins, and a gateway to run a coroutine against."""

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from tests.bench import ENDS_S, BenchTest, InLoop, Run, Wishes, bench_in

pytest_plugins = ("tests.skips", "tests.reports")

settings.register_profile("repository", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("repository")


_left_open: list[asyncio.Runner] = []  # of tests that failed


def run_in_loop(coroutine: Coroutine[None, None, None]) -> None:
    """Like uvloop.run; but the loop of a failed test, which may hold what nobody closed, is not closed: that might hang."""
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        runner.run(coroutine)
    except BaseException:
        _left_open.append(runner)
        raise
    runner.close()


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory whose name is short enough for Unix sockets in it."""
    path = Path(tempfile.mkdtemp(prefix="kg-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def run(short_path: Path) -> Run:
    """Runs a test's coroutine against a fresh gateway."""

    def run_it(test: BenchTest, wishes: Wishes | None = None) -> None:
        async def main() -> None:
            async with bench_in(short_path, wishes or Wishes()) as bench:
                await asyncio.wait_for(test(bench), ENDS_S)

        run_in_loop(main())

    return run_it


@pytest.fixture
def in_loop() -> InLoop:
    """Runs a coroutine function in a loop of its own."""

    def run_it(test: Callable[[], Awaitable[None]]) -> None:
        async def main() -> None:
            await asyncio.wait_for(test(), ENDS_S)

        run_in_loop(main())

    return run_it
