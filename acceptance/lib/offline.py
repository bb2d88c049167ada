"""Runs in a network namespace without a network: starts a gateway there, and prints as JSON what it saw of the start.

offline.py BINARY CONFIG DATA PORT LOG WANTED: until the row WANTED is listed, at most 30 s.
"""

import contextlib
import fcntl
import json
import socket
import struct
import subprocess
import sys
import time
import urllib.request


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up, running


def ask(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return answer.read()


def main() -> None:
    binary, config, data, port, log, wanted = sys.argv[1:7]
    loopback_up()
    with open(log, "ab") as out:
        began = time.monotonic()
        process = subprocess.Popen([binary, "serve", "--config", config, "--data-dir", data, "--port", port, "--workers", "1"],
                                   stdin=subprocess.DEVNULL, stdout=out, stderr=out)  # fmt: skip
    told: dict = {"health_s": None, "listed_s": None, "ids": []}
    while time.monotonic() - began < 30 and process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            if told["health_s"] is None:
                ask(int(port), "/health")
                told["health_s"] = time.monotonic() - began
            told["ids"] = [row["id"] for row in json.loads(ask(int(port), "/v1/models?output_modalities=all"))["data"]]
            if wanted in told["ids"]:
                told["listed_s"] = time.monotonic() - began
                break
        time.sleep(0.01)
    if told["listed_s"] is not None:
        time.sleep(1.5)  # what discovery does meanwhile must not change it
        told["later"] = [row["id"] for row in json.loads(ask(int(port), "/v1/models?output_modalities=all"))["data"]]
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(15)
    process.kill()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
