"""Where no connection goes, however the address is written."""

import asyncio
from ipaddress import ip_address

import pytest
from tests.bench import InLoop

from kilo_gateway.core.errors import Unreachable
from kilo_gateway.core.types import Origin
from kilo_gateway.http import guard

METADATA = (
    "169.254.169.254", "169.254.170.2", "169.254.0.1", "100.100.100.200", "168.63.129.16", "0.0.0.0", "0.1.2.3",
    "255.255.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "192.0.0.1", "192.0.0.192", "fe80::1", "fe80::a9fe:a9fe",
    "febf::1", "ff02::1", "ff05::2", "::", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe",
    "::169.254.169.254", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "::ffff:0.0.0.0", "64:ff9b::100.100.100.200",
    "::ffff:224.0.0.1", "64:ff9b:1::169.254.169.254",
)  # fmt: skip
PRIVATE = (
    "127.0.0.1", "127.0.0.2", "127.1.2.3", "127.255.255.254", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255",
    "192.168.0.1", "192.168.255.255", "100.64.0.1", "100.127.255.255", "192.0.2.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.7", "203.0.113.9", "192.88.99.1", "::1", "fc00::1", "fd12:3456:789a::1", "fdff:ffff::1", "2001:db8::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2002:7f00:1::", "2002:a00:1::1",
    "2002:c0a8:101::", "3fff::1", "3fff:fff::1", "100::1", "5f00::1", "4000::1", "8000::1", "::ffff:127.0.0.1",
    "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:192.168.1.1", "::127.0.0.1", "::10.0.0.1", "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::10.0.0.1", "64:ff9b::192.168.0.1", "64:ff9b:1::127.0.0.1", "64:ff9b:1::a00:1",
    "::ffff:0:127.0.0.1", "::ffff:0:a00:1", "fec0::1", "1::1", "::2", "0:0:0:0:0:0:0:1", "0:0:0:0:0:ffff:7f00:0001",
)  # fmt: skip
SPELLED = ("2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.1", "0x7f.1", "017700000001", "0", "localhost", "LOCALHOST")
PUBLIC = ("1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "192.167.0.1", "11.0.0.1", "2606:4700::1111", "2a00:1450:4001::1")


@pytest.mark.parametrize("address", METADATA)
def test_a_metadata_or_unusable_address_is_refused_even_to_the_operator(address: str) -> None:
    assert guard.refusal(ip_address(address), is_trusted=True)
    assert guard.refusal(ip_address(address), is_trusted=False)
    assert guard.is_metadata_literal(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_the_operator_named_it(address: str) -> None:
    assert guard.refusal(ip_address(address), is_trusted=False)
    assert guard.is_private_literal(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.5", "::1", "fd12::1"])
def test_a_private_address_the_operator_named_is_connected_to(address: str) -> None:
    assert guard.refusal(ip_address(address), is_trusted=True) == ""


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_connected_to(address: str) -> None:
    assert guard.refusal(ip_address(address), is_trusted=False) == ""
    assert not guard.is_private_literal(address)


@pytest.mark.parametrize("host", [*SPELLED, *PRIVATE, *METADATA])
def test_a_host_is_judged_by_what_it_resolves_to(in_loop: InLoop, host: str) -> None:
    async def test() -> None:
        with pytest.raises(Unreachable):
            await guard.addresses_of(asyncio.get_running_loop(), Origin(host, 80))

    in_loop(test)


@pytest.mark.parametrize("host", ["", "a..b", "x" * 300, "no such host", "\x00", "host.invalid"])
def test_a_host_that_is_none_is_unreachable(in_loop: InLoop, host: str) -> None:
    async def test() -> None:
        with pytest.raises(Unreachable):
            await guard.addresses_of(asyncio.get_running_loop(), Origin(host, 80))

    in_loop(test)


@pytest.mark.parametrize("address", ["2002:a9fe:a9fe::", "64:ff9b:1:a9fe:a9:fe00::"])
def test_a_metadata_address_wrapped_in_another_way_is_refused_too(address: str) -> None:
    assert guard.refusal(ip_address(address), is_trusted=False)
