"""Runs a set of acceptance checks. `main.py [--set 01|02|03|04] [filter-regex]`; `--list` names them."""

import atexit
import importlib
import os
import re
import resource
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import harness

SETS = {  # modules that register checks, in their order
    "01": ("checks_cli", "checks_access", "checks_relay", "checks_faults", "checks_bytes", "checks_upstream", "checks_ops", "checks_clients",
           "checks_life"),
    "02": ("checks_models_rows", "checks_models_http", "checks_models_cost", "checks_models_clients", "checks_models_life"),
    "03": ("checks_dialects_fakes", "checks_dialects_pairs", "checks_dialects_streams", "checks_dialects_cost", "checks_dialects_reasoning",
           "checks_dialects_repair", "checks_dialects_fields", "checks_dialects_heads", "checks_dialects_paths", "checks_dialects_clients",
           "checks_dialects_agents", "checks_dialects_fetch", "checks_dialects_clouds", "checks_dialects_bench"),
    "04": ("checks_money_ledger", "checks_money_verify", "checks_money_reconcile", "checks_money_lease", "checks_money_stream",
           "checks_money_budget", "checks_money_limit", "checks_money_user", "checks_money_key", "checks_money_token", "checks_money_admin",
           "checks_money_audit", "checks_money_store", "checks_money_bad", "checks_money_crash", "checks_money_shown"),
}  # fmt: skip


def main(args: list[str]) -> int:
    name = "01"
    if args[:1] == ["--set"]:
        name, args = args[1], args[2:]
    for module in SETS[name]:
        importlib.import_module(module)
    pattern = args[0] if args else ""
    if pattern == "--list":
        chosen = [one for one in harness.CHECKS if re.search(args[1] if len(args) > 1 else "", one.id)]
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
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)  # threads of checks that were not done in time do not hold the end up
