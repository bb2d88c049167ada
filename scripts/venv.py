"""Whether .venv was made for this place and this lock, and the last touches that pip does not give.

Called by ./run with the Python of .venv:  venv.py is-current LOCK | is-usable | finish LOCK...
Knows nothing of packages; installing them is pip's work, from requirements/<LOCK>.lock.
"""

import hashlib
import importlib.util
import shlex
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = ROOT / ".venv" / "installed"

# What pip writes for a console script when the path has spaces: /bin/sh and Python both read it.
CONSOLE_SCRIPT = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys

from kilo_gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
"""


def seal(lock: str) -> str:
    """The line that says `lock` is installed: it changes with the lock file and with how ./run installs it."""
    digest = hashlib.sha256()
    for file in (ROOT / "requirements" / f"{lock}.lock", ROOT / "run", Path(__file__)):
        digest.update(file.read_bytes())
    return f"{lock} {digest.hexdigest()}"


def stamped() -> list[str]:
    """The stamp's lines: the place first, then a seal for each lock; none when the last install did not finish."""
    return STAMP.read_text().splitlines() if STAMP.exists() else []


def is_usable() -> bool:
    """A virtual environment cannot be moved: its scripts name the place where it was made."""
    return stamped()[:1] == [str(ROOT)] and importlib.util.find_spec("pip") is not None


def finish(locks: list[str]) -> None:
    """Make the sources importable, write bin/kilo-gateway, and seal what is installed."""
    Path(sysconfig.get_path("purelib"), "kilo-gateway.pth").write_text(f"{ROOT / 'src'}\n")
    script = Path(sysconfig.get_path("scripts"), "kilo-gateway")
    script.unlink(missing_ok=True)
    script.write_text(CONSOLE_SCRIPT.format(python=shlex.quote(sys.executable)))
    script.chmod(0o755)
    new = STAMP.with_suffix(".new")
    new.write_text("\n".join([str(ROOT), *map(seal, locks)]) + "\n")
    new.replace(STAMP)


def main(word: str, *locks: str) -> int:
    if word == "is-current":
        lines = stamped()
        return 0 if lines[:1] == [str(ROOT)] and seal(locks[0]) in lines else 1
    if word == "is-usable":
        return 0 if is_usable() else 1
    finish(list(locks))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
