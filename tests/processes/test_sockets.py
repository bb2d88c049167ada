"""The listening sockets."""

import dataclasses
import os
import socket
import sys
from contextlib import closing

import pytest

from kilo_gateway import config
from kilo_gateway.core.settings import ConfigurationError, ServerSettings
from kilo_gateway.processes.sockets import listeners


def server(host: str = "127.0.0.1", port: int = 0) -> ServerSettings:
    return dataclasses.replace(config.load().server, host=host, port=port)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_all_workers_listen_on_one_port(count: int) -> None:
    found = listeners(server(), count)
    assert len({each.getsockname() for each in found}) == 1
    for each in found:
        each.close()


def test_a_port_of_somebody_else_is_refused_and_named() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"127.0.0.1:{port} is in use.*--port {port + 1}"):
            listeners(server(port=port), 2)


def test_a_port_shared_by_somebody_else_is_refused_too() -> None:
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigurationError, match="in use"):
            listeners(server(port=taken.getsockname()[1]), 2)


def test_the_last_port_is_followed_by_none() -> None:
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.2", 65535))
        taken.listen()
        with pytest.raises(ConfigurationError, match="--port 65534"):
            listeners(server("127.0.0.2", 65535), 1)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says who has a connection")
def test_a_port_that_a_connection_has_is_told_with_its_process() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other, closing(socket.socket()) as connection:
        connection.bind(("127.0.0.3", 0))
        connection.connect(other.getsockname())
        with pytest.raises(ConfigurationError, match=rf"\(process {os.getpid()}\), for a connection"):
            listeners(server("127.0.0.3", connection.getsockname()[1]), 1)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_told(host: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be listened on"):
        listeners(server(host), 1)
