"""What the harness needs from the machine: the C programs, built on demand, and the packages they and nginx come from."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / ".bench"
PROGRAMS = ("load", "mock_upstream", "spin")
NGINX_MODULES = Path("/usr/lib/nginx/modules")
PACKAGE_OF = {"cc": "gcc libc6-dev", "nginx": "nginx", "openssl": "openssl", "taskset": "util-linux", "chrt": "util-linux"}


class Unavailable(Exception):
    """The bench cannot run here; the message says what to do."""


def require(gateways: set[str], *, with_tls: bool) -> None:
    """Raises Unavailable with the Debian packages that are missing."""
    if (os.cpu_count() or 1) < 2:
        raise Unavailable("two cores are needed: one for the gateway, one for the load")
    wanted = {"cc", "taskset", "chrt"}
    if with_tls:
        wanted |= {"nginx", "openssl"}
    if gateways & {"nginx", "nginx_lua"}:
        wanted.add("nginx")
    missing = {PACKAGE_OF[name] for name in wanted if _find(name) is None}
    if "nginx_lua" in gateways:
        if not (NGINX_MODULES / "ngx_http_lua_module.so").exists():
            missing.add("libnginx-mod-http-lua")
        if not list(Path("/usr/lib").glob("*/lua/5.1/cjson.so")):
            missing.add("lua-cjson")
    if missing:
        raise Unavailable(f"missing: apt-get install {' '.join(sorted(missing))}")


def build() -> None:
    """Compiles what is older than its source."""
    BUILD.mkdir(exist_ok=True)
    for name in PROGRAMS:
        source, program = HERE / "c" / f"{name}.c", BUILD / name
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            subprocess.run([executable("cc"), "-O2", "-o", program, source], check=True)


def executable(name: str) -> str:
    found = _find(name)
    if found is None:
        raise Unavailable(f"missing: apt-get install {PACKAGE_OF.get(name, name)}")
    return found


def gateway_command(given: str | None) -> tuple[str, ...]:
    """How the gateway is called: as told, else the script beside this interpreter, else the package as a module."""
    if given:
        return (given,)
    script = Path(sys.executable).parent / "kilo-gateway"
    return (str(script),) if script.exists() else (sys.executable, "-m", "kilo_gateway")


def _find(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
