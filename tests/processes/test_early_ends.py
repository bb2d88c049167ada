"""A gateway that is told to end while it still starts: quietly, and with 0."""

import json
import signal
import sys
import time
from pathlib import Path

import pytest
from tests.node import Node
from tests.processes.conftest import NewNode
from tests.until import until

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
ENDS_S = 10.0


def listens_to(node: Node, number: signal.Signals) -> bool:
    """Whether the process has its own answer to the signal; before that, Python itself has not started."""
    assert node.process is not None
    status = Path(f"/proc/{node.process.pid}/status").read_text()
    return bool(int(status.partition("SigCgt:\t")[2].split()[0], 16) >> (number - 1) & 1)


def ended_quietly(node: Node) -> None:
    assert node.process is not None
    assert node.process.wait(ENDS_S) == 0
    node.ended()
    strange = [line for line in node.said().splitlines() if not line.startswith("{") or "event" not in json.loads(line)]
    assert strange == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says which signals a process listens to")
@SIGNALS
@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 1.0])
def test_a_signal_at_any_moment_of_the_start_ends_it_quietly(
    new_node: NewNode, number: signal.Signals, delay_s: float
) -> None:
    found = new_node()
    for _ in range(2):  # the second start has a snapshot and a database, if the first came that far
        found.begin()
        until(lambda: listens_to(found, signal.SIGTERM))
        time.sleep(delay_s)  # the moment is what is tested
        found.signal(number)
        ended_quietly(found)


@SIGNALS
def test_workers_that_wait_for_their_first_snapshot_can_be_ended(new_node: NewNode, number: signal.Signals) -> None:
    found = new_node()
    (found.data / "workers.sock").mkdir(parents=True)  # control cannot listen there
    found.begin()
    until(lambda: '"event":"process.failed","process":"control"' in found.said())
    found.signal(number)
    assert found.ended() == 0
