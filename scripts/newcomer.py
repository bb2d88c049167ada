"""Does what the README tells a newcomer, with a clock: clone, ./run, paste the printed command, again, ./run test.

    newcomer.py REPOSITORY [--directory DIR] [--first-s 90] [--second-s 3] [-- arguments for ./run]

Exit 0 when both answers name Paris in time and are found in the usage, both stops are clean and the tests pass.
Nothing but the standard library: scripts/fresh runs it in a bare system.
"""

import argparse
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

COMMAND = re.compile(r"\s*((?:curl|\S*python3?) .+)")
PORT = 3000
PRINT_LIMIT_S, ANSWER_LIMIT_S, USAGE_LIMIT_S, STOP_LIMIT_S, TEST_LIMIT_S = 300, 120, 10, 75, 1800


class Disappointment(Exception):
    """Something the README promises did not happen."""


@dataclass(frozen=True)
class Visit:
    """Seconds since the newcomer began, and what was read."""

    command: str
    command_s: float
    first_token_s: float
    pieces: int
    text: str


def answer_text(answer: bytes) -> str:
    """The words in what the command printed: of server-sent events, of a JSON answer, or the output itself."""
    said = answer.decode(errors="replace")
    events = [line[5:].strip() for line in said.splitlines() if line.startswith("data:")]
    if events:
        return "".join(_words(event) for event in events)
    if said.lstrip()[:1] in ("{", ":"):
        return _words(said)
    return said.strip()


def _words(text: str) -> str:
    with suppress(ValueError, LookupError, TypeError):
        choice = json.loads(text)["choices"][0]
        return (choice.get("delta") or choice.get("message") or {}).get("content") or ""
    return ""


@contextmanager
def running(directory: Path, arguments: list[str]) -> Iterator[tuple["subprocess.Popen[str]", "queue.Queue[str | None]"]]:
    """./run, with its lines in a queue (None at the end); what is left of it is killed on leaving."""
    process = subprocess.Popen(
        ["./run", *arguments],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            print(f"  | {line}", end="", flush=True)
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    try:
        yield process, lines
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def printed_command(lines: "queue.Queue[str | None]") -> str:
    """The first line that looks like a command, with the lines that a backslash joins to it."""
    deadline = time.monotonic() + PRINT_LIMIT_S
    command = ""
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            raise Disappointment(f"./run printed no command within {PRINT_LIMIT_S} s") from None
        if line is None:
            raise Disappointment("./run ended before it printed a command")
        found = COMMAND.match(line)
        if command or found:
            command += line if command or found is None else found[1] + "\n"
            if not command.rstrip("\n").endswith("\\"):
                return command.strip()


def ask(command: str, directory: Path) -> tuple[bytes, float, int]:
    """What `command` printed, when (monotonic) the first word of the answer came, and in how many pieces it came."""
    process = subprocess.Popen(["sh", "-c", command], cwd=directory, stdout=subprocess.PIPE)
    assert process.stdout is not None
    limit = threading.Timer(ANSWER_LIMIT_S, process.kill)
    limit.start()
    answer, first, pieces = b"", 0.0, 0
    while piece := os.read(process.stdout.fileno(), 65536):
        answer += piece
        pieces += 1
        first = first or (time.monotonic() if answer_text(answer) else 0.0)
    limit.cancel()
    if process.wait() != 0:
        raise Disappointment(f"the printed command ended with {process.returncode}; it printed {answer!r}")
    return answer, first, pieces


def wait_for_usage(directory: Path) -> None:
    """Until `kilo-gateway usage` tells of a request with its tokens; it is booked a moment after the answer."""
    deadline = time.monotonic() + USAGE_LIMIT_S
    while time.monotonic() < deadline:
        told = subprocess.run([".venv/bin/kilo-gateway", "usage", "--json"], cwd=directory, capture_output=True, check=False)
        with suppress(ValueError, LookupError, TypeError):
            if json.loads(told.stdout)[0]["completion_tokens"] > 0:
                return
        time.sleep(0.2)
    raise Disappointment(f"kilo-gateway usage does not tell of the request: {told.stdout!r} {told.stderr!r}")


def visit(directory: Path, arguments: list[str], began: float) -> Visit:
    with running(directory, arguments) as (process, lines):
        command = printed_command(lines)
        command_s = time.monotonic() - began
        answer, first, pieces = ask(command, directory)
        text = answer_text(answer)
        print(f"  > {text}", flush=True)
        if "Paris" not in text:
            raise Disappointment(f"the answer does not name Paris: {answer!r}")
        wait_for_usage(directory)
        process.terminate()
        try:
            status = process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise Disappointment(f"./run was still there {STOP_LIMIT_S} s after SIGTERM") from None
        if status != 0:
            raise Disappointment(f"./run ended with {status} after SIGTERM")
    return Visit(command, command_s, first - began, pieces, text)


def clone(repository: str, directory: Path) -> float:
    """When (monotonic) the newcomer began."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", PORT)) == 0:
            raise Disappointment(f"port {PORT} is in use on this machine; stop what listens there")
    began = time.monotonic()
    subprocess.run(["git", "-c", "advice.detachedHead=false", "clone", "--quiet", repository, str(directory)], check=True)
    return began


def run_tests(directory: Path) -> tuple[float, bool]:
    """Seconds, and whether they passed."""
    began = time.monotonic()
    status = subprocess.run(["./run", "test"], cwd=directory, timeout=TEST_LIMIT_S, check=False).returncode
    return time.monotonic() - began, status == 0


def judge(name: str, seen: Visit, limit_s: float) -> list[str]:
    """Prints the figures of one start; gives the promises that were not kept."""
    print(f"{name}: command printed after {seen.command_s:.1f} s, first token after {seen.first_token_s:.1f} s")
    print(f"    (promised: {limit_s:g} s), answer in {seen.pieces} pieces, stopped cleanly")
    late = [f"{name}: first token after {seen.first_token_s:.1f} s, promised {limit_s:g} s"]
    return late * (seen.first_token_s > limit_s) + [f"{name}: the answer was not streamed"] * (seen.pieces < 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("repository")
    parser.add_argument("--directory", type=Path, default=Path.home() / "kilo-gateway")
    parser.add_argument("--first-s", type=float, default=90.0)
    parser.add_argument("--second-s", type=float, default=3.0)
    parser.add_argument("arguments", nargs="*", help="for ./run; none in the README")
    options = parser.parse_args()
    try:
        began = clone(options.repository, options.directory)
        visits = [visit(options.directory, options.arguments, began)]
        visits.append(visit(options.directory, options.arguments, time.monotonic()))
        tests_s, passed = run_tests(options.directory)
        broken = judge("first start, from git clone", visits[0], options.first_s)
        broken += judge("second start", visits[1], options.second_s)
        print(f"tests: {'passed' if passed else 'failed'} in {tests_s:.0f} s, the tools' installation included")
        broken += [] if passed else ["./run test fails"]
    except (Disappointment, subprocess.SubprocessError) as error:
        broken = [str(error)]
    for line in broken:
        print(f"BROKEN: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
