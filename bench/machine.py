"""What Linux says about processes: who descends from whom, CPU used, memory held, cores allowed. Knows no gateway."""

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

GATEWAY_CORE = 0
LOAD_CORE = 1
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_CPU_CLOCK = 2  # CPUCLOCK_SCHED of linux/posix-timers.h: nanoseconds of a whole process, ended threads included


@dataclass(frozen=True, slots=True)
class Memory:
    rss_kb: int
    pss_kb: int


def tree(pid: int) -> list[int]:
    """`pid` and all who descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def cpu_s(pid: int) -> dict[int, float]:
    """CPU seconds of each living process of the tree, with those of the children it has buried."""
    found = {}
    for process in tree(pid):
        fields = _stat(process)
        if not fields:
            continue
        buried = (int(fields[13]) + int(fields[14])) / _TICKS_PER_S  # cutime, cstime
        try:
            found[process] = time.clock_gettime((~process << 3) | _CPU_CLOCK) + buried
        except OSError:
            continue
    return found


def total_cpu_s(pid: int) -> float:
    return sum(cpu_s(pid).values())


def memory(pid: int) -> Memory:
    """Of this one process."""
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    sizes = {words[0]: int(words[1]) for words in lines}
    return Memory(sizes["Rss:"], sizes["Pss:"])


def tree_memory(pid: int) -> dict[int, Memory]:
    found = {}
    for process in tree(pid):
        try:
            found[process] = memory(process)
        except (OSError, KeyError):  # it has ended meanwhile
            continue
    return found


def strays(pid: int, core: int) -> list[int]:
    """The processes of the tree with a thread that may run elsewhere than on `core`."""
    found = []
    for process in tree(pid):
        try:
            threads = [int(entry.name) for entry in Path(f"/proc/{process}/task").iterdir()]
            if any(os.sched_getaffinity(thread) != {core} for thread in threads):
                found.append(process)
        except OSError:
            continue
    return found


def is_port_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name: [0] is the state, [1] the parent."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rfind(")") + 2 :].split()
