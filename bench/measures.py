"""The measures: what load a gateway gets, and what is read off meanwhile. Judges nothing."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import machine
from gateways import MODEL, Recipe, Running, start, stop
from tools import BUILD, executable

USAGE_WAIT_S = 60.0
LOAD_LIMIT_S = 120.0
QUICK = 0.4  # of the usual warm-up and window
IDLE_STREAMS = 1000
IDLE_EVENT_S = 2.0


class LoadFailed(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Measure:
    """One run of the load generator; `on_idle_core` where waking a halted core would drown the latency."""

    mode: str
    warm_up_s: float
    window_s: float
    options: Mapping[str, int]
    on_idle_core: bool = False
    with_direct: bool = True


MEASURES: Mapping[str, Measure] = {
    "requests": Measure("saturate", 0.3, 2.0, {"c": 64}),
    "latency": Measure("rate", 0.5, 3.0, {"r": 100}, on_idle_core=True),
    "burst": Measure("stream", 0.3, 2.0, {"c": 100, "n": 200}),
    "paced": Measure("stream", 1.0, 1.5, {"c": 500, "n": 200, "us": 10_000}),
    "first_token": Measure("stream", 0.5, 2.5, {"c": 10, "n": 40, "us": 20_000}, on_idle_core=True),
    "body_100k": Measure("saturate", 0.3, 1.5, {"c": 16, "body": 100_000}, with_direct=False),
    "body_500k": Measure("saturate", 0.3, 1.5, {"c": 16, "body": 500_000}, with_direct=False),
    "tls": Measure("saturate", 0.3, 2.0, {"c": 64}, with_direct=False),
}
START = "start"
NAMES = (*MEASURES, START)
_WARM_UP = Measure("saturate", 0.0, 0.3, {"c": 64})
_IDLE = Measure("stream", 0.0, 0.5, {"c": IDLE_STREAMS, "n": 1, "us": int(IDLE_EVENT_S * 1e6)})


@dataclass(frozen=True, slots=True)
class Load:
    """What load.c prints. Rates and latencies are of the window; the totals are of all."""

    total: int
    errors: int
    unfinished: int
    backlog: int
    first_bad_status: int
    answers_per_s: float
    p50_us: float
    p99_us: float
    total_chunks: int
    chunks_per_s: float
    ttft_p50_us: float
    ttft_p99_us: float
    chunk_p50_us: float
    chunk_p99_us: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One measure of one gateway in one round. CPU is of its whole process tree, from before the load began."""

    load: Load
    wall_s: float
    cpu_load_s: float
    """Until the load was over."""
    cpu_s: float
    """Until every answer was in the usage table."""
    usage_wait_s: float
    missing: int
    """Answers given and not found in the usage table."""

    @property
    def us_per_answer(self) -> float:
        return self.cpu_s / max(self.load.total, 1) * 1e6

    @property
    def us_per_answer_load_only(self) -> float:
        return self.cpu_load_s / max(self.load.total, 1) * 1e6

    @property
    def us_per_chunk(self) -> float:
        return self.cpu_s / max(self.load.total_chunks, 1) * 1e6

    @property
    def busy(self) -> float:
        """Share of the core used while the load lasted."""
        return self.cpu_load_s / self.wall_s


@dataclass(frozen=True, slots=True)
class StartSample:
    """A gateway of its own for one round: begun twice, looked at while idle, then given streams that say nothing."""

    first_start_s: float
    second_start_s: float
    worker_rss_mb: float
    worker_pss_mb: float
    tree_pss_mb: float
    kb_per_stream: float
    errors: int
    missing: int


def run(running: Running, measure: Measure, *, quick: bool = False) -> Sample:
    """One measure; waits until its answers are booked."""
    with idle_cores_awake() if measure.on_idle_core else contextlib.nullcontext():
        before, begun = _cpu_s(running), time.monotonic()
        load = _finish(_begin(running, measure, QUICK if quick else 1.0))
        cpu_load_s, wall_s = _cpu_s(running) - before, time.monotonic() - begun
    missing = _book(running, load)
    waited_s = time.monotonic() - begun - wall_s
    return Sample(load, wall_s, cpu_load_s, _cpu_s(running) - before, waited_s, missing)


def run_start(recipe: Recipe) -> StartSample:
    """Starts, memory and idle streams of a gateway made for this alone."""
    first = start(recipe)
    try:
        missing = first.usage.settle(USAGE_WAIT_S) if first.usage else 0
    finally:
        stop(first)
    second = start(recipe)
    try:
        time.sleep(1.0)
        idle = machine.tree_memory(_pid(second))
        warm_up = warm(second)
        kb_per_stream, streams = _idle_streams(second)
        missing += warm_up.missing + _book(second, streams)
    finally:
        stop(second)
    worker = idle[second.worker]
    return StartSample(
        first_start_s=first.start_s,
        second_start_s=second.start_s,
        worker_rss_mb=worker.rss_kb / 1024,
        worker_pss_mb=worker.pss_kb / 1024,
        tree_pss_mb=sum(held.pss_kb for held in idle.values()) / 1024,
        kb_per_stream=kb_per_stream,
        errors=warm_up.load.errors + warm_up.load.unfinished + streams.errors + streams.unfinished,
        missing=missing,
    )


def warm(running: Running) -> Sample:
    """A short load; learns which process of the tree is the worker."""
    before = machine.cpu_s(_pid(running))
    load = _finish(_begin(running, _WARM_UP))
    used = {pid: cpu - before.get(pid, 0.0) for pid, cpu in machine.cpu_s(_pid(running)).items()}
    running.worker = max(used, key=lambda pid: used[pid])
    return Sample(load, _WARM_UP.window_s, sum(used.values()), sum(used.values()), 0.0, _book(running, load))


@contextlib.contextmanager
def idle_cores_awake() -> Iterator[None]:
    """A spinner on each core that yields to everybody (SCHED_IDLE), so that no core halts."""
    spinners = [
        subprocess.Popen([executable("chrt"), "-i", "0", "taskset", "-c", str(core), BUILD / "spin", "60"])
        for core in (machine.GATEWAY_CORE, machine.LOAD_CORE)
    ]
    try:
        time.sleep(0.1)
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def _idle_streams(running: Running) -> tuple[float, Load]:
    """KB that one open stream holds (PSS of the tree), and the load that opened them."""
    before = machine.tree_memory(_pid(running))
    loading = _begin(running, _IDLE)
    time.sleep(IDLE_EVENT_S * 1.5)  # past each stream's first event, before its end
    during = machine.tree_memory(_pid(running))
    load = _finish(loading)
    grown_kb = sum(held.pss_kb for held in during.values()) - sum(held.pss_kb for held in before.values())
    return grown_kb / IDLE_STREAMS, load


def _begin(running: Running, measure: Measure, scale: float = 1.0) -> subprocess.Popen[str]:
    options = {
        "port": running.port, "key": running.key, "model": MODEL,
        "w": measure.warm_up_s * scale, "d": measure.window_s * scale, **measure.options,
    }  # fmt: skip
    words = [f"{name}={value}" for name, value in options.items()]
    command = ["taskset", "-c", str(machine.LOAD_CORE), str(BUILD / "load"), measure.mode, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(loading: subprocess.Popen[str]) -> Load:
    try:
        printed, complaint = loading.communicate(timeout=LOAD_LIMIT_S)
    finally:
        loading.kill()
    if loading.returncode:
        raise LoadFailed(complaint.strip() or f"the load generator ended with {loading.returncode}")
    return Load(**json.loads(printed))


def _book(running: Running, load: Load) -> int:
    """Waits for the usage table; how many answers it lacks."""
    if running.usage is None:
        return 0
    running.usage.answered += load.total
    return running.usage.settle(USAGE_WAIT_S)


def _cpu_s(running: Running) -> float:
    if running.process is None:
        return 0.0
    if running.process.poll() is not None:
        raise LoadFailed(f"{running.name} ended with {running.process.returncode} while it was measured")
    return machine.total_cpu_s(running.process.pid)


def _pid(running: Running) -> int:
    if running.process is None:
        raise LoadFailed(f"{running.name} has no process")
    return running.process.pid
