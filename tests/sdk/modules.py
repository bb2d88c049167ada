"""The JavaScript clients of tests/sdk, installed once into the user's cache, outside the repository."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LISTS = ("package.json", "package-lock.json")
INSTALL_S, RUN_S = 300, 60


def run_script(name: str, *arguments: str) -> str:
    """What it prints. Skips the test where node or npm is missing, or nothing can be installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip(f"{'node' if node is None else 'npm'} is not installed")
    script = shutil.copy(HERE / name, _installed(npm))  # modules are looked for beside the script
    done = subprocess.run([node, script, *arguments], capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _installed(npm: str) -> Path:
    """A directory named after the lock, whole or not at all."""
    lists = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in LISTS)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kilo-gateway-tests"
    target = cache / lists
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=cache))
    try:
        for name in LISTS:
            shutil.copy(HERE / name, scratch)
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=INSTALL_S, check=False)
        if done.returncode != 0:
            pytest.skip(f"npm cannot install the clients: {done.stderr.strip()[-300:]}")
        scratch.rename(target)
    except OSError:
        if not target.is_dir():  # else another run was faster
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target
