"""The address to listen on: what can be one, and that an upstream there is recognised, however it is written."""

import socket
from pathlib import Path

import pytest

from kilo_gateway import config
from kilo_gateway.configuration.listener import obstacle


def address_of_this_machine() -> str:
    """That of an interface; where there is none but loopback, one of loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.3"
        return str(probe.getsockname()[0])


def is_skipped(directory: Path, host: str, base_url: str, port: int = 4000) -> bool:
    text = f'[server]\nhost = "{host}"\nport = {port}\n[[upstreams]]\nname = "x"\nbase_url = "{base_url}"\n'
    (directory / "c.toml").write_text(text)
    found = config.load(directory / "c.toml", directory)
    assert len(found.upstreams) + len(found.notes) == 1
    return bool(found.notes)


@pytest.mark.parametrize(
    ("host", "upstream"),
    [
        ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "localhost"), ("127.0.0.1", "LOCALHOST"), ("localhost", "127.0.0.1"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"), ("127.0.0.2", "127.0.0.2"), ("::1", "[::1]"), ("::1", "[0:0::1]"),
        ("0.0.0.0", "127.0.0.1"), ("0.0.0.0", "127.0.0.2"), ("0.0.0.0", "localhost"), ("0.0.0.0", address_of_this_machine()),
        ("0.0.0.0", "[::ffff:127.0.0.9]"), ("::", "[::1]"), ("::", "127.0.0.2"), ("::", address_of_this_machine()),
    ],
)  # fmt: skip
def test_an_upstream_that_leads_back_is_skipped(tmp_path: Path, host: str, upstream: str) -> None:
    assert is_skipped(tmp_path, host, f"http://{upstream}:4000/v1")


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("0.0.0.0", "http://127.0.0.2:4001/v1"), ("0.0.0.0", "http://192.0.2.1:4000/v1"), ("0.0.0.0", "http://[::1]:4000/v1"),
        ("127.0.0.1", "http://127.0.0.2:4000/v1"), ("0.0.0.0", "http://no.such.host.invalid:4000/v1"),
        ("::", "http://[2001:db8::1]:4000/v1"), ("192.0.2.1", "http://127.0.0.1:4000/v1"),
    ],
)  # fmt: skip
def test_any_other_upstream_stays(tmp_path: Path, host: str, base_url: str) -> None:
    assert not is_skipped(tmp_path, host, base_url)


def test_a_port_that_is_not_known_yet_is_nobodys(tmp_path: Path) -> None:
    assert not is_skipped(tmp_path, "0.0.0.0", "http://127.0.0.1:80/v1", port=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "127.0.0.2", address_of_this_machine()])
def test_an_address_of_this_machine_can_be_listened_on(host: str) -> None:
    assert obstacle(host) == ""


@pytest.mark.parametrize(
    "host",
    ["", " ", "*", "http://127.0.0.1", "127.0.0.1:3000", "192.0.2.77", "no.such.host.invalid", "[::1]", "::zz", "a\0b", "x" * 80, "\ud800"],
)
def test_what_is_no_address_of_this_machine_cannot_be_listened_on(host: str) -> None:
    assert obstacle(host)
