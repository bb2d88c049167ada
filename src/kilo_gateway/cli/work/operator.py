"""The operator's way to control: its socket when a gateway runs, else the data directory's lock and the database itself.

Both give the same values, for both end in control/service.py.
"""

import asyncio
import http.client
import json
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import msgspec

from kilo_gateway.catalog.files import DataDirectory, write_privately
from kilo_gateway.cli.options import Failure
from kilo_gateway.control.service import Service
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.core.settings import ConfigurationError, Settings
from kilo_gateway.processes import serve
from kilo_gateway.processes.log import Log
from kilo_gateway.processes.premises import examine_database

PATIENCE_S = 10.0  # for a control process that is being restarted
ANSWER_S = 20.0  # beyond what workers may take to confirm a change
_RETRY_S = 0.1

Value = object


def ask(
    settings: Settings, method: str, path: str, body: object, offline: Callable[[Service], Awaitable[Value]],
    answer_s: float = ANSWER_S,
) -> Value:  # fmt: skip
    """Raises Failure with what control says, or when neither way is open. `answer_s`: how long it may think."""
    try:
        return _answer(settings, method, path, body, offline, answer_s)
    except GatewayError as error:
        raise Failure(str(error)) from error
    except ConfigurationError as error:
        raise Failure(str(error), is_configuration=True) from error


def _answer(
    settings: Settings, method: str, path: str, body: object, offline: Callable[[Service], Awaitable[Value]], answer_s: float
) -> Value:
    files = serve.prepare(settings)
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            return _over_socket(_UnixConnection(files.control_socket, answer_s), method, path, body)
        except (ConnectionError, FileNotFoundError):
            lock = serve.take_lock(files)
        if lock is not None:
            return _offline(settings, files, offline)
        if time.monotonic() > ends_at:
            raise Failure(f"a gateway (process {serve.holder(files)}) uses {files.root}, but its control process is silent")
        time.sleep(_RETRY_S)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, answer_s: float) -> None:
        super().__init__("localhost", timeout=answer_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _over_socket(connection: _UnixConnection, method: str, path: str, body: object) -> Value:
    try:
        connection.request(method, path, None if body is None else msgspec.json.encode(body))
        answer = connection.getresponse()
        text = answer.read()
    except TimeoutError as error:
        raise Failure("the control process does not answer") from error
    except ConnectionResetError as error:
        if method == "GET":
            raise  # asked again
        raise Failure("the control process ended meanwhile; look whether it is done before you repeat it") from error
    finally:
        connection.close()
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Failure(f"the control process answered {answer.status} and no reason; its log may have one") from error
    if answer.status >= 400:
        raise Failure(str(value["error"]["message"]))
    return cast(Value, value)


def _offline(settings: Settings, files: DataDirectory, work: Callable[[Service], Awaitable[Value]]) -> Value:
    from kilo_gateway.app.control import build_service

    async def run() -> Value:
        service = await build_service(settings, files, serve.keyring(files), None, Log("command"))
        try:
            owner_key = files.owner_key
            if not await service.keys.ensure_owner(lambda key: write_privately(owner_key, key.encode())):
                await service.publisher.renew()
            return await work(service)
        finally:
            service.pool.close()
            await service.database.close()

    examine_database(files.database)
    return asyncio.run(run())
