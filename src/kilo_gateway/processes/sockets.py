"""The listening sockets: made and owned by the supervisor, so that what waits in them outlives a worker."""

import errno
import socket
import sys
from pathlib import Path

from kilo_gateway.configuration.listener import family_of
from kilo_gateway.core.settings import ConfigurationError, ServerSettings

DEFER_ACCEPT_S = 30
BACKLOG = 8192
_LISTENS = "0A"  # a state in /proc/net/tcp


def listeners(server: ServerSettings, count: int) -> list[socket.socket]:
    """One for each worker, all on the same port. Raises ConfigurationError when it is taken."""
    family = family_of(server.host)
    port = _check_free(family, server)
    return [_listener(family, server.host, port, shares=count > 1) for _ in range(count)]


def _check_free(family: socket.AddressFamily, server: ServerSettings) -> int:
    """SO_REUSEPORT would let us share the port with a stranger of the same user: so it is tried without first."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((server.host, server.port))
            probe.listen(1)
        except OSError as error:
            raise _explained(server, error) from error
        return int(probe.getsockname()[1])


def _listener(family: socket.AddressFamily, host: str, port: int, *, shares: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shares:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sys.platform == "linux":
        # A connection that has sent nothing stays with the kernel: the death of a worker does not touch it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_ACCEPT_S)
    listener.bind((host, port))
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def _explained(server: ServerSettings, error: OSError) -> ConfigurationError:
    where = f"{server.host}:{server.port}"
    if error.errno == errno.EADDRINUSE:
        holder = _holder(server.port)
        another = server.port + 1 if server.port < 65535 else server.port - 1
        by = f" by {holder}" if holder else ""
        return ConfigurationError(f"{where} is in use{by}. Choose another port: --port {another}")
    if error.errno == errno.EACCES:
        return ConfigurationError(f"{where}: ports below 1024 need root. Choose another: --port 3000")
    return ConfigurationError(f"{where} cannot be listened on: {error.strerror}. See server.host.")


def _holder(port: int) -> str:
    """The process that listens there, or has a connection from there, as far as this user may see it. Linux only."""
    inodes: dict[str, set[str]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        fields = [line.split() for line in lines]
        for each in fields:
            if int(each[1].rpartition(":")[2], 16) == port:
                inodes.setdefault(each[3], set()).add(each[9])
    wanted = {f"socket:[{inode}]" for inode in inodes.get(_LISTENS) or set().union(*inodes.values())}
    for process in Path("/proc").iterdir() if wanted else ():
        if process.name.isdigit() and _has_open(process, wanted):
            name = (process / "comm").read_text().strip()
            return f"{name} (process {process.name})" + ("" if _LISTENS in inodes else ", for a connection")
    return ""


def _has_open(process: Path, wanted: set[str]) -> bool:
    try:
        return any(str(file.readlink()) in wanted for file in (process / "fd").iterdir())
    except OSError:
        return False
