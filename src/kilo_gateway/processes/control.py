"""The control process: database, imports, snapshot, and everything that is not inference, on a Unix socket."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop

from kilo_gateway.app.control import build_neighbours, build_service
from kilo_gateway.app.worker import routes
from kilo_gateway.catalog.files import write_privately
from kilo_gateway.control import application
from kilo_gateway.control.metrics import Meters
from kilo_gateway.control.service import Service
from kilo_gateway.control.workers import Workers
from kilo_gateway.core.errors import GatewayError
from kilo_gateway.processes.log import Log
from kilo_gateway.processes.node import DRAIN, Node

LOCAL_MODEL_LOOK_S = 0.5
TIDYING_S = 3600.0
LAST_IMPORT_S = 30.0
SAME_REASON_S = 60.0


def run(node: Node) -> None:
    uvloop.run(_Control(node).serve())


class _Server(uvicorn.Server):
    """Ends when it is told to; signals are ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Imports:
    """How imports go: /ready says so while they fail, the log once a minute for each reason."""

    def __init__(self, log: Log, workers: Workers) -> None:
        self._log = log
        self._workers = workers
        self._logged: dict[str, float] = {}

    def told(self, error: Exception | None) -> None:
        if error is None:
            self._workers.trouble = ""
            return
        reason = str(error).rstrip(".") if isinstance(error, GatewayError) else type(error).__name__
        self._workers.trouble = f"usage is not booked: {reason}"
        self.failed(error)

    def failed(self, error: Exception) -> None:
        reason, now = f"{type(error).__name__}: {error}", time.monotonic()
        if now - self._logged.get(reason, -SAME_REASON_S) >= SAME_REASON_S:
            self._logged = {each: at for each, at in self._logged.items() if now - at < SAME_REASON_S} | {reason: now}
            self._log("import.failed", reason=reason)


class _Control:
    def __init__(self, node: Node) -> None:
        self._node = node
        self._log = Log("control")
        self._workers = Workers(node.slots)
        self._tasks: list[asyncio.Task[None]] = []
        self._server: _Server | None = None

    async def serve(self) -> None:
        node = self._node
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(DRAIN, self._end)
        loop.add_reader(node.life, self._orphaned)
        service = await build_service(
            node.settings, node.files, node.keyring, self._workers, self._log, crash_at=node.crash_at,
            is_local_awaited=lambda: not node.local_trouble.read(),
        )
        await self._workers.listen(node.files.workers_socket)
        await self._first_snapshot(service)
        self._start_tasks(service)
        self._server = _Server(self._config(service))
        await self._listen_and_serve()
        for task in self._tasks:
            task.cancel()
        async with asyncio.timeout(LAST_IMPORT_S):
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await service.importer.import_new()
        await self._workers.close()
        node.files.control_socket.unlink(missing_ok=True)
        node.files.workers_socket.unlink(missing_ok=True)
        await service.database.close()

    async def _first_snapshot(self, service: Service) -> None:
        """Does not wait for workers: they may be waiting for us. The owner's key is made at the very first start."""
        owner_key = self._node.files.owner_key
        if not await service.keys.ensure_owner(lambda key: write_privately(owner_key, key.encode())):
            await service.publisher.renew()

    def _start_tasks(self, service: Service) -> None:
        node = self._node
        imports = _Imports(self._log, self._workers)
        jobs = [service.importer.run(imports.told), self._look_for_local_model(service), self._tidy(service, imports.failed)]
        jobs += [service.discovery.run(upstream) for upstream in node.settings.upstreams if upstream.discovers]
        jobs += [service.tokens.run(upstream) for upstream in node.settings.upstreams if upstream.tokens is not None]
        if node.settings.local.servers:
            neighbours = build_neighbours(service, node.keyring, self._log, lambda line: print(line, flush=True))
            jobs.append(neighbours.run(node.settings.refresh_s))
        self._tasks = [asyncio.create_task(job) for job in jobs]

    async def _look_for_local_model(self, service: Service) -> None:
        """It is being fetched while the gateway already runs, and is no model any more when that fails."""
        had = service.stock.has_local_model()
        while self._node.settings.local.enabled:
            await asyncio.sleep(LOCAL_MODEL_LOOK_S)
            has = service.stock.has_local_model()
            if has != had:
                had = has
                await service.renewal()

    async def _tidy(self, service: Service, failed: Callable[[Exception], None]) -> None:
        while True:
            try:
                await service.importer.import_new()
                if service.stock.is_outdated():
                    await service.renewal()
                await service.renewal.reprice()
                await service.importer.remove_old()
            except Exception as error:  # a background task's door: the next round may do
                failed(error)
            await asyncio.sleep(TIDYING_S)

    def _config(self, service: Service) -> uvicorn.Config:
        meters = Meters(self._workers, service.importer)
        is_public = self._node.settings.server.metrics_public
        asgi = application.build(service, meters, routes(), self._log, metrics_public=is_public)
        return uvicorn.Config(
            asgi, loop="none", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, date_header=False, timeout_graceful_shutdown=5, timeout_keep_alive=75,
        )  # fmt: skip

    async def _listen_and_serve(self) -> None:
        path = self._node.files.control_socket
        path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            path.chmod(0o600)
            assert self._server is not None
            self._node.tell("control")
            await self._server.serve([listener])

    def _end(self) -> None:
        if self._server is not None:
            self._server.should_exit = True
        else:
            os._exit(0)

    def _orphaned(self) -> None:
        asyncio.get_running_loop().remove_reader(self._node.life)
        # The workers finish what they have, at most as long as a drain takes; their journals wait for the next start.
        self._end()
