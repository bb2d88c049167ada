"""Gateways as processes: one for all tests that only ask, or a fresh one."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.chaos import Chaos
from tests.node import Node, config, upstream


@pytest.fixture(scope="module")
def chaos() -> Iterator[Chaos]:
    with upstream() as found:
        yield found


@pytest.fixture(scope="module")
def node(chaos: Chaos) -> Iterator[Node]:
    """Two workers and control, shared by a file's tests."""
    root = Path(tempfile.mkdtemp(prefix="kg-"))
    found = Node(root, config(chaos.port))
    try:
        yield found.start()
    finally:
        found.close()
        shutil.rmtree(root)


NewNode = Callable[..., Node]


@pytest.fixture
def new_node(chaos: Chaos, short_path: Path) -> Iterator[NewNode]:
    """Makes one that is not started yet; `more` goes into [server]."""
    made: list[Node] = []

    def make(more: str = "", **variables: str) -> Node:
        root = short_path / f"n{len(made)}"
        root.mkdir()
        made.append(Node(root, config(chaos.port, more), **variables))
        return made[-1]

    yield make
    for each in made:
        each.close()
