"""Where connections may go. Every upstream connection gets its addresses from here, and connects to just those.

Addresses on this machine, in private networks, wrapped in IPv6 or of no use are refused unless the operator named the
address himself (`Origin.is_trusted`). Cloud metadata services are refused even then.
The table is our own: `ipaddress.is_global` of Python 3.11 takes NAT64- and 6to4-wrapped loopback for global.
https://www.iana.org/assignments/iana-ipv4-special-registry https://www.iana.org/assignments/iana-ipv6-special-registry
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from kilo_gateway.core.errors import Unreachable
from kilo_gateway.core.types import Origin

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Iterable[str]]]  # host and port -> addresses; raises OSError or UnicodeError

_NEVER_4 = tuple(map(IPv4Network, (
    "0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "100.100.100.200/32", "168.63.129.16/32",
    "224.0.0.0/4", "240.0.0.0/4",
)))  # fmt: skip
_PRIVATE_4 = tuple(map(IPv4Network, (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
)))  # fmt: skip
_NEVER_6 = tuple(map(IPv6Network, ("::/128", "fe80::/10", "ff00::/8", "fd00:ec2::/32", "fd20:ce::/32")))
_PUBLIC_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_WRAPS_4 = tuple(map(IPv6Network, ("::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


def refusal(address: Address, *, is_trusted: bool) -> str:
    """Why a connection to this address is not made, or nothing."""
    inner = _unwrapped(address)
    if inner is not None and inner != IPv4Address("0.0.0.1"):  # ::1 is not a wrapped 0.0.0.1
        return refusal(inner, is_trusted=is_trusted)
    never = _NEVER_4 if isinstance(address, IPv4Address) else _NEVER_6
    if any(address in network for network in never):
        return f"{address} is a metadata, link-local or unusable address"
    if is_trusted or _is_public(address):
        return ""
    return f"{address} is not a public address"


async def addresses_of(loop: asyncio.AbstractEventLoop, origin: Origin, resolve: Resolve | None = None) -> list[str]:
    """The addresses to connect to, all of them checked. Raises Unreachable when one is not allowed or there is none.

    `resolve` looks a name up, instead of the loop.
    """
    literal = _literal(origin.host)
    found = [literal] if literal is not None else await _resolve(origin, resolve or partial(_looked_up, loop))
    for address in found:
        problem = refusal(address, is_trusted=origin.is_trusted)
        if problem:
            raise Unreachable(
                f"{origin.host}:{origin.port} is not connected to: {problem}."
                " An upstream in a private network has to be configured with `private = true`."
            )
    return [str(address) for address in found]


def is_private_literal(host: str) -> bool:
    """Whether a host was written as an address of this machine or a private network: then it was meant."""
    address = _literal(host)
    return host.lower() == "localhost" or (address is not None and not _is_public(address))


def is_metadata_literal(host: str) -> bool:
    """Whether a host was written as an address that is refused even to the operator."""
    address = _literal(host)
    return address is not None and bool(refusal(address, is_trusted=True))


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def resolver_in(threads: Executor) -> Resolve:
    """For names that callers choose: one that takes long to look up then holds up none of the names of upstreams.

    The loop has four threads for all that it looks up.
    """

    async def resolve(host: str, port: int) -> list[str]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(threads, look_up)
        return [str(info[4][0]) for info in found]

    return resolve


async def _looked_up(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _resolve(origin: Origin, resolve: Resolve) -> list[Address]:
    try:
        found = await resolve(origin.host, origin.port)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{origin.host} cannot be resolved: {error}.") from error
    return list(dict.fromkeys(ip_address(each.partition("%")[0]) for each in found))


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in (*_PRIVATE_4, *_NEVER_4))
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def _unwrapped(address: Address) -> IPv4Address | None:
    """The IPv4 address inside an IPv6 one: v4-mapped, v4-compatible, NAT64."""
    if isinstance(address, IPv6Address) and any(address in network for network in _WRAPS_4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
