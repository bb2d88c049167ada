"""The worst honest request: 300 KB of a coding agent's Messages to Gemini, streamed. CPU of the gateway and of LiteLLM.

    python bench/worst.py [--batches N] [--without-litellm]

README.md says what is measured and how. `bench/pairs.py` is the same for every pair of dialects, in one process.
"""

import argparse
import contextlib
import http.client
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import agent
import gateways
import litellm_proxy
import machine
import tools
from gateways import Recipe, Running

UPSTREAM_ID = "gemini-3-pro-preview"
FEW, MANY = 1, 201
KINDS = {("alone", FEW): 4, ("alone", MANY): 32, ("burst", MANY): 4}  # how chunks come, how many; streams at once
GOAL_MS, GOAL_CHUNK_US, GOAL_RATIO = 4.0, 15.0, 20.0
BATCH = 32
STARTS_S = 120.0
ANSWERS_S = 60.0
_KILO_TOML = """[server]
port = {port}
workers = 1
[local]
enabled = false
servers = false
"""
_KILO_UPSTREAM = """[[upstreams]]
name = "{name}"
dialect = "gemini"
base_url = "{url}"
api_key = "sk-upstream"
models = [ {{ id = "worst/{name}", upstream_id = "{model}", input_usd_per_mtok = 2, output_usd_per_mtok = 12 }} ]
"""


class Cost(NamedTuple):
    """CPU ms of a request: of the process that serves, and of all."""

    worker_ms: float
    all_ms: float


@dataclass(slots=True)
class Subject:
    """One gateway under test. `models`: what to ask for, by pace and number of pieces. `costs`: of each batch."""

    name: str
    running: Running
    models: dict[tuple[str, int], str]
    costs: dict[tuple[str, int], list[Cost]]
    arrived: dict[str, int]

    def least(self, pace: str, pieces: int) -> Cost:
        """What others do on the machine meanwhile only adds to it."""
        of = self.costs[pace, pieces]
        return Cost(min(each.worker_ms for each in of), min(each.all_ms for each in of))


class WrongAnswer(Exception):
    pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=3, help="of each kind in each round; default 3")
    parser.add_argument("--rounds", type=int, default=3, help="default 3; figures are of the best batch")
    parser.add_argument("--without-litellm", action="store_true", help="this gateway alone; nothing is installed")
    parser.add_argument("--command", help="the gateway's executable; default: kilo-gateway of this Python")
    parser.add_argument("--first-port", type=int, default=8700, help="three ports from here on are used")
    given = parser.parse_args()
    directory = tools.BUILD / f"worst-{os.getpid()}"
    os.sched_setaffinity(0, {machine.LOAD_CORE})
    try:
        with contextlib.ExitStack() as stack:
            subjects = list(_started(given, directory, stack))
            for number in range(given.rounds):
                for subject in subjects if number % 2 == 0 else reversed(subjects):
                    _measure(subject, given.batches)
                print(f"round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
    except (gateways.DidNotStart, WrongAnswer) as error:
        print(f"FAILED: {error}\nlogs are in {directory}", file=sys.stderr)
        return 1
    print("\n".join(_table(subjects)))
    shutil.rmtree(directory, ignore_errors=True)
    return 0


def _started(given: argparse.Namespace, directory: Path, stack: contextlib.ExitStack) -> Iterator[Subject]:
    port = given.first_port
    command = (sys.executable, str(tools.HERE / "gemini_upstream.py"), str(port))
    stack.callback(gateways.stop, gateways.start_upstream(Recipe("gemini_upstream", port, command, directory / "upstream")))
    names = {f"{pace}-{pieces}": f"http://127.0.0.1:{port}/{pace}/{pieces}/v1beta" for pace, pieces in KINDS}
    recipes = [_kilo(port + 1, names, directory / "kilo", tools.gateway_command(given.command))]
    if not given.without_litellm:
        recipes.append(litellm_proxy.recipe(port + 2, names, UPSTREAM_ID, directory / "litellm"))
    for recipe in recipes:
        running = Running(recipe.name, recipe.port, gateways.spawn(recipe, machine.GATEWAY_CORE))
        stack.callback(gateways.stop, running)
        prefix = "worst/" if recipe.name == "kilo" else ""
        models = {(pace, pieces): f"{prefix}{pace}-{pieces}" for pace, pieces in KINDS}
        subject = Subject(recipe.name, running, models, {key: [] for key in models}, {})
        _wait(subject, recipe)
        subject.arrived = _arrived(port)
        yield subject


def _kilo(port: int, upstreams: dict[str, str], directory: Path, command: tuple[str, ...]) -> Recipe:
    directory.mkdir(parents=True, exist_ok=True)
    tables = [_KILO_UPSTREAM.format(name=name, url=url, model=UPSTREAM_ID) for name, url in upstreams.items()]
    configuration = directory / "kilo.toml"
    configuration.write_text(_KILO_TOML.format(port=port) + "".join(tables))
    data = directory / "data"
    arguments = ("serve", "--config", str(configuration), "--data-dir", str(data))
    return Recipe("kilo", port, command + arguments, directory, data)


def _wait(subject: Subject, recipe: Recipe) -> None:
    """Until the first whole answer; then a warm-up, for the process that works to be known by its use of CPU."""
    ends_at, complaint = time.monotonic() + STARTS_S, ""
    while True:
        if recipe.data_directory is not None and (key := recipe.data_directory / "owner.key").exists():
            subject.running.key = key.read_text().strip()
        try:
            _ask(subject, "burst", MANY, 1)
            break
        except (OSError, http.client.HTTPException, WrongAnswer) as error:
            complaint = repr(error)
        if time.monotonic() > ends_at:
            log = (recipe.directory / "log.txt").read_text(errors="replace")[-2000:]
            raise gateways.DidNotStart(f"{recipe.name} did not start: {complaint}\n{log}")
        time.sleep(0.2)
    for pace, pieces in KINDS:
        _ask(subject, pace, pieces, BATCH)
    pid = subject.running.pid or 0
    used = machine.cpu_s(pid)
    _ask(subject, "burst", MANY, BATCH)
    now = machine.cpu_s(pid)
    subject.running.worker = max(now, key=lambda each: now[each] - used.get(each, 0.0))


def _measure(subject: Subject, batches: int) -> None:
    """As many batches of each gateway: the least of more would be less."""
    pid, worker = subject.running.pid or 0, subject.running.worker
    for (pace, pieces), costs in subject.costs.items():
        for _ in range(batches):
            before = machine.cpu_s(pid)
            _ask(subject, pace, pieces, BATCH)
            after = machine.cpu_s(pid)
            alone, of_all = after[worker] - before[worker], sum(after.values()) - sum(before.values())
            costs.append(Cost(alone / BATCH * 1e3, of_all / BATCH * 1e3))


def _ask(subject: Subject, pace: str, pieces: int, times: int) -> None:
    """On several connections at once; every answer is looked at. Raises WrongAnswer."""
    streams = KINDS[pace, pieces]
    with ThreadPoolExecutor(streams) as callers:
        shares = [times * (number + 1) // streams - times * number // streams for number in range(streams)]
        for done in [callers.submit(_ask_one_by_one, subject, pace, pieces, share) for share in shares if share]:
            done.result()


def _ask_one_by_one(subject: Subject, pace: str, pieces: int, times: int) -> None:
    # With marks for the cache LiteLLM asks Gemini for a cached content before each request, which would cost it more.
    body = agent.body(subject.models[pace, pieces], is_marked=subject.name != litellm_proxy.NAME)
    headers = {
        "Authorization": f"Bearer {subject.running.key}", "Content-Type": "application/json",
        "anthropic-version": "2023-06-01", "Accept": "text/event-stream", "User-Agent": "claude-cli/2.0.0 (external, cli)",
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", subject.running.port, timeout=ANSWERS_S)
    with contextlib.closing(connection):
        for _ in range(times):
            connection.request("POST", "/v1/messages", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200 or not _is_whole(text, pieces):
                raise WrongAnswer(f"{subject.name}: {answer.status} {text[:600]!r} ... {text[-300:]!r}")


def _is_whole(text: bytes, pieces: int) -> bool:
    """All pieces, the call with its arguments, and the end."""
    said = text.count(b'"text_delta"') + text.count(b'"thinking_delta"')
    return said >= pieces and b'"tool_use"' in text and b"input_json_delta" in text and b"event: message_stop" in text


def _arrived(port: int) -> dict[str, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        told: dict[str, int] = json.loads(connection.getresponse().read())
        return told


def _table(subjects: list[Subject]) -> list[str]:
    names = {"kilo": "this gateway", litellm_proxy.NAME: f"LiteLLM {litellm_proxy.VERSION}"}
    rows = [["CPU of all processes", *(names[each.name] for each in subjects), "ratio", "goal"]]
    rows.append(["---"] * len(rows[0]))

    def add(what: str, figures: list[float], digits: int, goal: str = "") -> None:
        ratio = f"{figures[1] / figures[0]:.0f}" if len(figures) > 1 and figures[0] > 0 else "-"
        rows.append([what, *(f"{each:,.{digits}f}" for each in figures), ratio, goal])

    few = [each.least("alone", FEW) for each in subjects]
    add(f"a request, answered in {FEW} chunk, ms", [each.all_ms for each in few], 2, f"≤ {GOAL_MS:.0f}")
    for pace, how in (("alone", "each by itself"), ("burst", "all in one read")):
        many = [each.least(pace, MANY) for each in subjects]
        each_us = [(after.all_ms - before.all_ms) / (MANY - FEW) * 1e3 for before, after in zip(few, many, strict=True)]
        add(f"in {MANY} chunks, {how}, ms", [each.all_ms for each in many], 2, f"ratio ≥ {GOAL_RATIO:.0f}")
        add("a chunk, µs", each_us, 1, f"≤ {GOAL_CHUNK_US:.0f}")
    add("the worker alone: a request, ms", [each.worker_ms for each in few], 2)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    arrived = [f"{each.name}: what reached Gemini: {each.arrived}" for each in subjects]
    asked = f"{len(agent.body('worst/alone-201')):,} bytes of Messages; {time.strftime('%Y-%m-%d')}"
    return [asked, *arrived, "", *lines]


if __name__ == "__main__":
    sys.exit(main())
