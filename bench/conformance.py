"""Recorded answers of providers, replayed as upstreams of a running gateway and given out again in every caller's dialect.

    python bench/conformance.py --recorded FILE --emit DIR [--json]

FILE holds one exchange a line (bench/recordings.py says how). Every answer that comes out is
written as DIR/<line>.<caller>.<json|sse>, is parsed by the official SDK, and its text, calls (name, arguments), finish and
usage are held against the recording. Exit 1 when one differs.
"""

import argparse
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from callers import CALLERS, CallerKind, Told
from providers import CUT, Said
from recordings import DIALECTS, Recording, recordings

STARTS_S = 30.0
BAD_REQUEST, BAD_ANSWER = 400, 502
_HALF = re.compile("[\ud800-\udfff]").sub  # a character's; it comes out as one that says so
_FAILURE = re.compile(rb'"error": ?[{"]|^event: (?:error|response.failed)', re.MULTILINE).search
ANSWERS_S = 30.0
MODELS = {dialect: f"recorded/{dialect}" for dialect in dict.fromkeys(DIALECTS.values())}
BASES = {"gemini": "/v1beta", "bedrock-converse": "", "cohere": "/v2"}


class Replaying(BaseHTTPRequestHandler):
    """An upstream that gives the recording that is on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: without this each answer waits 40 ms
    recording: Recording

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        now = type(self).recording
        self.send_response(now.status)
        self.send_header("Content-Type", now.content_type)
        self.send_header("Content-Length", str(len(now.body)))
        self.end_headers()
        self.wfile.write(now.body)

    def log_message(self, format: str, *args: object) -> None: ...


class Gateway:
    """A running one, and one connection to it."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWERS_S)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, caller: CallerKind, model: str, *, is_stream: bool) -> tuple[int, bytes]:
        """Status 0 when there is no whole answer."""
        body = json.dumps(caller.request(model, is_stream))
        try:
            self._connection.request("POST", f"/v1{caller.path}", body, self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return 0, getattr(error, "partial", b"")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recorded", type=Path, required=True, help="exchanges, one JSON object a line (.gz is unpacked)")
    parser.add_argument("--emit", type=Path, required=True, help="a directory for the answers")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    wanted = parser.parse_args()
    try:
        next(recordings(wanted.recorded), None)
        wanted.emit.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        print(f"conformance: {wanted.recorded}: {error}", file=sys.stderr)
        return 2
    tally = Tally()
    with upstream() as port, gateway(port) as running:
        for recording in recordings(wanted.recorded):
            tally.add(running, recording, wanted.emit)
    report(tally, as_json=wanted.json)
    return 1 if tally.failures else 0


class Tally:
    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.total: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.failures: list[str] = []

    def add(self, running: Gateway, recording: Recording, directory: Path) -> None:
        if recording.skipped:
            self.skipped[recording.skipped] += 1
            return
        for caller in CALLERS:
            cell = f"{caller.name} <- {recording.dialect}"
            self.total[cell] += 1
            difference = replayed(running, recording, caller, directory)
            if difference:
                self.failures.append(f"{recording.number} {cell} ({recording.name}): {difference}")
            else:
                self.passed[cell] += 1


def replayed(running: Gateway, recording: Recording, caller: CallerKind, directory: Path) -> str:
    """What is wrong with it; empty: nothing."""
    Replaying.recording = recording
    status, body = running.ask(caller, MODELS[recording.dialect], is_stream=recording.is_stream)
    (directory / f"{recording.number}.{caller.name}.{'sse' if recording.is_stream else 'json'}").write_bytes(body)
    if recording.status != 200:
        kept = recording.status in (status, _upstream_status(body)) or recording.status < BAD_REQUEST <= status
        return "" if kept else f"the error became {status}: {body[:300]!r}"
    try:
        expected = recording.said()
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        return f"the recording is no answer: {type(error).__name__} {error}"
    if expected.is_broken or expected.finish not in caller.finishes:
        return "" if status != 200 or _FAILURE(body) else f"a broken answer became {status}: {body[-300:]!r}"
    if status == BAD_ANSWER and expected.is_empty:
        return ""  # what is empty is no success
    if status != 200:
        return f"status {status}: {body[:300]!r}"
    try:
        told = caller.parse(body, is_stream=recording.is_stream)
    except Exception as error:  # whatever the SDK raises, it did not parse
        return f"the SDK does not parse it: {type(error).__name__}: {error}"
    return compared(told, expected, caller)


def _upstream_status(body: bytes) -> object:
    try:
        return json.loads(body)["error"]["metadata"]["upstream_status"]
    except (ValueError, LookupError, TypeError):
        return None


def compared(told: Told, expected: Said, caller: CallerKind) -> str:
    refused = caller.refused if expected.has_refused and expected.finish == "stop" else ""
    finish = refused or caller.finishes.get(expected.finish)
    if (told.finish or "") == expected.native:
        finish = told.finish  # it spoke the caller's dialect
    calls = told.calls
    if len(calls) == len(expected.calls):  # what was cut off is whatever the SDK makes of it
        calls = [
            (name, CUT if wanted == CUT else found)
            for (name, found), (_, wanted) in zip(calls, expected.calls, strict=True)
        ]  # fmt: skip
    text = _HALF("\ufffd", expected.text)
    pairs = [("text", told.text, text), ("calls", calls, expected.calls), ("finish", told.finish, finish)]
    if expected.usage is not None:
        pairs.append(("usage", told.usage, expected.usage))
    return "; ".join(f"{name} {found!r:.200}, not {wanted!r:.200}" for name, found, wanted in pairs if found != wanted)


@contextmanager
def upstream() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replaying)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


@contextmanager
def gateway(upstream_port: int) -> Iterator[Gateway]:
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        root = Path(name)
        (root / "gateway.toml").write_text(configuration(upstream_port))
        command = [sys.executable, "-m", "kilo_gateway", "serve", "--config", str(root / "gateway.toml"), "--port", "0"]
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "PYTHONPATH", "TMPDIR")}
        with (root / "out").open("w+") as out, (root / "log").open("w") as log:
            command += ["--data-dir", str(root / "data")]
            process = subprocess.Popen(command, stdout=out, stderr=log, env=kept | {"HOME": name})
            try:
                yield Gateway(_port(process, root), (root / "data/owner.key").read_text().strip())
            finally:
                process.terminate()
                process.wait(30)


def _port(process: "subprocess.Popen[bytes]", root: Path) -> int:
    ends_at = time.monotonic() + STARTS_S
    while time.monotonic() < ends_at:
        found = (root / "out").read_text().partition("http://localhost:")[2]
        if found:
            return int(found[: next(at for at, each in enumerate(found) if not each.isdigit())])
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"conformance: the gateway does not start: {(root / 'log').read_text()[-2000:]}")


def configuration(port: int) -> str:
    tables = ["[server]\nworkers = 1\n[local]\nenabled = false\nservers = false\n"]
    for dialect, model in MODELS.items():
        secret = 'api_key = "sk-recorded"'
        if dialect == "bedrock-converse":
            secret = 'region = "us-east-1"\napi_key = "AKIDEXAMPLE:secret"'
        tables.append(
            f'[[upstreams]]\nname = "{dialect}"\ndialect = "{dialect}"\n{secret}\n'
            f'base_url = "http://127.0.0.1:{port}{BASES.get(dialect, "/v1")}"\n'
            f'models = [ {{ id = "{model}", upstream_id = "recorded", input_usd_per_mtok = 1, output_usd_per_mtok = 2 }} ]\n'
        )
    return "".join(tables)


def report(tally: Tally, *, as_json: bool) -> None:
    passed, total, skipped, failures = tally.passed, tally.total, tally.skipped, tally.failures
    cells = {cell: {"passed": passed[cell], "total": count} for cell, count in sorted(total.items())}
    if as_json:
        told = {"passed": passed.total(), "total": total.total(), "cells": cells, "skipped": dict(skipped)}
        print(json.dumps(told | {"failures": failures}, indent=2))
        return
    for failure in failures:
        print(f"FAIL {failure}")
    for cell, counts in cells.items():
        print(f"{cell:<44} {counts['passed']:>4} of {counts['total']}")
    print(f"passed {passed.total()}, total {total.total()}, skipped {skipped.total()}")
    for reason, count in skipped.items():
        print(f"  skipped {count}: {reason}")


if __name__ == "__main__":
    sys.exit(main())
