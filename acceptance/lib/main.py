"""Runs the acceptance checks of issue 1. `main.py [filter-regex]`; `--list` names them."""

import atexit
import os
import re
import resource
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness
import checks_cli  # noqa: F401  each registers its checks; this is their order
import checks_access  # noqa: F401
import checks_relay  # noqa: F401
import checks_faults  # noqa: F401
import checks_bytes  # noqa: F401
import checks_upstream  # noqa: F401
import checks_ops  # noqa: F401
import checks_clients  # noqa: F401
import checks_life  # noqa: F401


def main() -> int:
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    if pattern == "--list":
        chosen = [one for one in harness.CHECKS if re.search(sys.argv[2] if len(sys.argv) > 2 else "", one.id)]
        for one in chosen:
            print(f"{one.id:40} {one.what}")
        print(f"{len(chosen)} checks")
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 16384), hard), hard))
    harness.adopt_orphans()
    atexit.register(harness.stop_everything)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    duplicates = {one.id for one in harness.CHECKS if [other.id for other in harness.CHECKS].count(one.id) > 1}
    assert not duplicates, f"two checks of the same id: {duplicates}"
    return harness.run(pattern)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # threads of checks that were not done in time do not hold the end up
