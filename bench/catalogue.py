"""What the catalogue costs: memory of 2,500 models in a worker, a lookup, and a list through a running gateway.

python bench/catalogue.py     prints one table; starts a gateway of its own on loopback, about ten seconds
"""

import gzip
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kilo_gateway.catalog.files import snapshot_bytes, snapshot_of
from kilo_gateway.catalog.snapshot import Snapshot
from kilo_gateway.core.errors import UnknownModel
from kilo_gateway.core.price import Price
from kilo_gateway.core.types import Endpoint, Model, Origin, SnapshotData
from kilo_gateway.upstreams.compile import request_head

MODELS, LISTED = 2_500, 1_000
PARAMETERS = (
    "tools", "tool_choice", "max_tokens", "temperature", "top_p", "top_k", "stop", "seed", "response_format",
    "structured_outputs", "reasoning", "include_reasoning", "frequency_penalty", "presence_penalty", "logit_bias",
)  # fmt: skip
ROUNDS = 300
STARTS_S = 30.0


def main() -> None:
    rows = [*in_a_worker(), *through_a_gateway()]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"| {name.ljust(width)} | {value} |")


def in_a_worker() -> list[tuple[str, str]]:
    data = snapshot_bytes(_data())
    before = _resident_mb()
    began = time.perf_counter()
    decoded = snapshot_of(data)
    read_ms = (time.perf_counter() - began) * 1e3
    snapshot = Snapshot(decoded, b"p" * 32)
    ready_ms = (time.perf_counter() - began) * 1e3
    grown = _resident_mb() - before
    name = _id(MODELS - 3)

    def unknown() -> None:
        try:
            snapshot.resolve("author7/modle-2000")
        except UnknownModel:
            return

    return [
        (f"{MODELS:,} models in a worker, MB", f"{grown:.1f}"),
        ("their snapshot, MB; read, ms; in force, ms", f"{len(data) / 1e6:.1f}; {read_ms:.1f}; {ready_ms:.1f}"),
        ("a lookup by id, ns", f"{_ns(lambda: snapshot.resolve(name), 100_000):.0f}"),
        ("with the prefix kilocode/, ns", f"{_ns(lambda: snapshot.resolve('kilocode/' + name), 20_000):.0f}"),
        ("an unknown id, with the nearest names, ms", f"{_ns(unknown, 20) / 1e6:.1f}"),
    ]


def through_a_gateway() -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "gateway.toml"
        rows = "\n".join(
            f'  {{ id = "author{n % 40}/model-{n}", input_usd_per_mtok = 1, output_usd_per_mtok = 2, context = 128000 }},'
            for n in range(LISTED)
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        file.write_text(
            f"[server]\nport = {port}\nworkers = 1\n[local]\nenabled = false\nservers = false\n"
            f'[[upstreams]]\nname = "house"\nbase_url = "http://127.0.0.1:9/v1"\nmodels = [\n{rows}\n]\n'
        )
        command = [sys.executable, "-m", "kilo_gateway", "serve", "--config", str(file), "--data-dir", f"{directory}/data"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            times, plain, packed = _ask(port)
        finally:
            process.terminate()
            process.wait(30)
    times_ms = [seconds * 1e3 for seconds in times[10:]]
    spread = f"{statistics.median(times_ms):.2f}; {statistics.quantiles(times_ms, n=100)[98]:.2f}"
    return [
        (f"GET /v1/models, {LISTED:,} rows, gzip, p50 and p99, ms", spread),
        ("the first, not from the cache, ms", f"{times[0] * 1e3:.1f}"),
        ("its body, and as gzip, KB", f"{plain / 1e3:.0f}; {packed / 1e3:.0f}"),
    ]


def _id(number: int) -> str:
    return f"author{number % 40}/model-{number}"


def _data() -> SnapshotData:
    origin = Origin("openrouter.ai", 443, is_tls=True)
    credential = f"Authorization: Bearer sk-or-v1-{'0' * 64}\r\n"
    head = request_head(origin, "/api/v1/chat/completions", credential, "0123456789abcdef")
    head += b"Content-Type: application/json\r\nContent-Length: "

    def endpoint(id: str) -> Endpoint:
        name = id.encode()
        answer_head = b"x-kilo-provider: openrouter\r\nx-kilo-model: %b\r\n" % name
        quoted = b'"%b"' % name
        price = Price(1_000, 2_000, 100, 1_250)
        return Endpoint(
            "openrouter", id, origin, "openai-chat", quoted, head, answer_head, b'"openrouter"', quoted, price,
            parameters=PARAMETERS,
        )  # fmt: skip

    ids = [_id(number) for number in range(MODELS)]
    return SnapshotData(1, "bench", (), tuple(Model(id, (endpoint(id),)) for id in ids))


def _ns(work: Callable[[], object], times: int) -> float:
    """The best of five."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter_ns()
        for _ in range(times):
            work()
        best = min(best, (time.perf_counter_ns() - began) / times)
    return best


def _ask(port: int) -> tuple[list[float], int, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    times = []
    body = b""
    for _ in range(ROUNDS):
        began = time.perf_counter()
        connection.request("GET", "/v1/models", headers={"Accept-Encoding": "gzip"})
        body = connection.getresponse().read()
        times.append(time.perf_counter() - began)
    connection.close()
    text = gzip.decompress(body)
    assert len(json.loads(text)["data"]) >= LISTED
    return times, len(text), len(body)


def _wait(port: int) -> None:
    ends_at = time.monotonic() + STARTS_S
    while time.monotonic() < ends_at:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
            connection.request("GET", "/ready")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit("the gateway did not start")


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
