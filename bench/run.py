"""The speed harness: nothing, nginx, nginx + Lua and this gateway under the same load, in one run and one table.

python bench/run.py [--rounds N] [--quick] [--only measure,...] [--gateways name,...] [--out FILE.json]

Ends with 1 when an answer was bad or is missing from the usage table. README.md says what each measure means.
"""

import argparse
import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import certificates
import gateways
import machine
import measures
import results
import table
import tools
from gateways import Recipe, Running
from results import DIRECT, KILO, NGINX, NGINX_LUA, Results

TLS = "tls"


@dataclass(frozen=True, slots=True)
class Plan:
    rounds: int
    is_quick: bool
    measures: tuple[str, ...]
    gateways: tuple[str, ...]
    out: Path
    command: tuple[str, ...]
    first_port: int
    directory: Path

    @property
    def upstream_port(self) -> int:
        return self.first_port + 1000

    @property
    def tls_port(self) -> int:
        return self.first_port + 1343


def main() -> int:
    plan = _read_arguments()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    found = Results()
    try:
        tools.require(set(plan.gateways), with_tls=TLS in plan.measures)
        tools.build()
        os.sched_setaffinity(0, {machine.LOAD_CORE})
        with contextlib.ExitStack() as stack:
            _measure(plan, found, stack)
    except (tools.Unavailable, gateways.DidNotStart, measures.LoadFailed) as error:
        found.failures.append(str(error))
    except (KeyboardInterrupt, SystemExit):
        shutil.rmtree(plan.directory, ignore_errors=True)
        raise
    print(_heading(plan), table.render(found), sep="\n\n", flush=True)
    if found.surplus_rows:
        print(f"\nThe usage table has {found.surplus_rows} rows more than answers were given.")
    found.write(plan.out, _machine())
    for failure in found.failures:
        print(f"FAILED: {failure}", file=sys.stderr)
    if found.failures:
        print(f"FAILED: logs are in {plan.directory}", file=sys.stderr)
        return 1
    shutil.rmtree(plan.directory, ignore_errors=True)
    return 0


def _measure(plan: Plan, found: Results, stack: contextlib.ExitStack) -> None:
    """All rounds; the stack stops what was started."""
    running = _start_all(plan, found, stack)
    used_before = {name: _cpu_s(gateway) for name, gateway in running.items()}
    for number in range(plan.rounds):
        for measure in plan.measures:
            # Every other round goes backwards: nobody is always the one after the heaviest.
            for name in plan.gateways if number % 2 == 0 else reversed(plan.gateways):
                _one(plan, found, running, name, measure, number)
            print(f"round {number + 1} of {plan.rounds}: {measure}", file=sys.stderr, flush=True)
    _account(found, running, used_before)


def _one(plan: Plan, found: Results, running: dict[str, Running], name: str, measure: str, number: int) -> None:
    if measure == measures.START:
        if name != DIRECT:
            recipe = _recipe(plan, name, plan.directory / f"start-{number}" / name, port_step=5)
            found.add_start(name, measures.run_start(recipe))
        return
    chosen = measures.MEASURES[measure]
    if name == DIRECT and not chosen.with_direct:
        return
    gateway = running.get(_twin(name) if measure == TLS else name)
    if gateway:
        found.add(name, measure, measures.run(gateway, chosen, quick=plan.is_quick))


def _start_all(plan: Plan, found: Results, stack: contextlib.ExitStack) -> dict[str, Running]:
    """The upstreams and, beside each other, every gateway; each has carried a little load when this is done."""
    _upstream(stack, gateways.mock_upstream(plan.upstream_port, plan.directory / "mock_upstream"))
    recipes = [_recipe(plan, name, plan.directory / name) for name in plan.gateways if name != DIRECT]
    if TLS in plan.measures:
        ca = certificates.make(plan.directory / "certificates")
        terminator = plan.directory / "tls_upstream"
        _upstream(stack, gateways.nginx("tls_upstream", plan.tls_port, plan.upstream_port, terminator, ca.parent))
        recipes += [_tls_recipe(plan, name, ca) for name in plan.gateways if name in (NGINX, KILO)]
    running = {DIRECT: Running(DIRECT, plan.upstream_port, None)}
    for recipe in recipes:
        gateway = running[recipe.name] = gateways.start(recipe)
        stack.callback(gateways.stop, gateway)
        found.check(recipe.name, "warm-up", measures.warm(gateway))
    return running


def _upstream(stack: contextlib.ExitStack, recipe: Recipe) -> None:
    stack.callback(gateways.stop, gateways.start_upstream(recipe))


def _recipe(plan: Plan, name: str, directory: Path, *, port_step: int = 0) -> Recipe:
    if name == KILO:
        url = f"http://127.0.0.1:{plan.upstream_port}/v1"
        return gateways.kilo(name, plan.command, plan.first_port + port_step, url, directory)
    port = plan.first_port + {NGINX: 10, NGINX_LUA: 20}[name] + port_step
    return gateways.nginx(name, port, plan.upstream_port, directory)


def _tls_recipe(plan: Plan, name: str, ca: Path) -> Recipe:
    directory = plan.directory / _twin(name)
    if name == KILO:
        url = f"https://127.0.0.1:{plan.tls_port}/v1"
        return gateways.kilo(_twin(name), plan.command, plan.first_port + 30, url, directory, ca)
    return gateways.nginx(_twin(name), plan.first_port + 40, plan.tls_port, directory, ca.parent)


def _twin(name: str) -> str:
    """The same gateway with TLS to the upstream."""
    return f"{name}_tls"


def _account(found: Results, running: dict[str, Running], used_before: dict[str, float]) -> None:
    """What is left to say when all is measured: CPU no measure saw, rows too many, processes off their core."""
    for name, gateway in running.items():
        if gateway.pid is None:
            continue
        base, is_twin = name.removesuffix(f"_{TLS}"), name.endswith(f"_{TLS}")
        seen = [
            sample.cpu_s for measure, samples in found.samples.get(base, {}).items() if (measure == TLS) == is_twin
            for sample in samples
        ]  # fmt: skip
        unseen = _cpu_s(gateway) - used_before[name] - sum(seen)
        found.cpu_between_s[base] = found.cpu_between_s.get(base, 0.0) + unseen
        if gateway.usage:
            found.surplus_rows += gateway.usage.surplus + gateway.usage.rows() - gateway.usage.answered
        if strays := machine.strays(gateway.pid, machine.GATEWAY_CORE):
            found.failures.append(f"{name}: processes {strays} are not held to core {machine.GATEWAY_CORE}")


def _cpu_s(gateway: Running) -> float:
    return machine.total_cpu_s(gateway.pid) if gateway.pid else 0.0


def _read_arguments() -> Plan:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, help="default 3; ratios are medians over the rounds")
    parser.add_argument("--quick", action="store_true", help="one round, short windows: shows that it works, proves nothing")
    for option, known in (("--only", measures.NAMES), ("--gateways", results.GATEWAYS)):
        parser.add_argument(option, type=_names(known), default=known, metavar="NAME,...", help=", ".join(known))
    parser.add_argument("--out", type=Path, default=tools.BUILD / "results.json", help="every sample, as JSON")
    parser.add_argument("--command", help="the gateway's executable; default: kilo-gateway of this Python")
    parser.add_argument("--first-port", type=int, default=8100, help="ports up to 1,343 above it are used")
    given = parser.parse_args()
    return Plan(
        rounds=given.rounds or (1 if given.quick else 3),
        is_quick=given.quick,
        measures=given.only,
        gateways=given.gateways,
        out=given.out.resolve(),
        command=tools.gateway_command(given.command),
        first_port=given.first_port,
        directory=tools.BUILD / f"run-{os.getpid()}",
    )


def _names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        given = text.split(",")
        if unknown := set(given) - set(known):
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return tuple(name for name in known if name in given)

    return parse


def _heading(plan: Plan) -> str:
    facts = ", ".join(f"{name} {value}" for name, value in _machine().items())
    kind = "quick, " if plan.is_quick else ""
    return f"{kind}{plan.rounds} round(s), medians; ratios with their range. {facts}"


def _machine() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    facts = {"date": time.strftime("%Y-%m-%d"), "CPU": f"{model} x {os.cpu_count()}", "Linux": platform.release()}
    facts["Python"] = platform.python_version()
    with contextlib.suppress(tools.Unavailable):
        printed = subprocess.run([tools.executable("nginx"), "-v"], capture_output=True, text=True, timeout=10).stderr
        facts["nginx"] = printed.strip().rpartition("/")[2]
    return facts


if __name__ == "__main__":
    sys.exit(main())
