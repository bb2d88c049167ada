"""The address that the gateway listens on: what it means on this machine, and whether an upstream leads back to it."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

from kilo_gateway.core.settings import ServerSettings
from kilo_gateway.core.types import Origin

Address = IPv4Address | IPv6Address


def family_of(host: str) -> socket.AddressFamily:
    """A name means its IPv4 address."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def obstacle(host: str) -> str:
    """Why nothing can listen there; nothing when it can. Whether a port is free there is another question."""
    try:
        with socket.socket(family_of(host), socket.SOCK_STREAM) as probe:
            probe.bind((host, 0))
    except OSError as error:
        return error.strerror or str(error)
    except (ValueError, TypeError):  # not to be encoded; a zero in it
        return "this is no name"
    return "" if host else "it is empty"  # which would be all addresses


def leads_back(origin: Origin, server: ServerSettings) -> bool:
    """Whether requests sent there would arrive here. A name is looked up only where the port is the same."""
    if origin.port != server.port or not server.port:
        return False
    own = _addresses(server.host, family_of(server.host))
    return any(_arrives(address, own) for address in _addresses(origin.host, socket.AF_UNSPEC))


def _arrives(address: Address, own: set[Address]) -> bool:
    """A socket on `0.0.0.0` takes what is sent to any IPv4 address of this machine, one on `::` to any address at all."""
    if address in own:
        return True
    takes_all = any(each.is_unspecified and each.version >= address.version for each in own)
    return takes_all and (address.is_loopback or _is_of_this_machine(address))


def _is_of_this_machine(address: Address) -> bool:
    """Only such an address can be bound to."""
    try:
        with socket.socket(family_of(str(address)), socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _addresses(host: str, family: socket.AddressFamily) -> set[Address]:
    try:
        found = socket.getaddrinfo(host, None, family, socket.SOCK_STREAM)
    except (OSError, ValueError, TypeError):
        return set()
    return {_unmapped(ip_address(str(info[4][0]))) for info in found}


def _unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address
