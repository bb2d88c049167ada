"""A listing behind a real port of this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address

import uvicorn
from tests.control.listing.asking import Listing
from tests.until import until

HOST = str(IPv4Address("127.0.0.1"))


@contextmanager
def served(listing: Listing) -> Iterator[str]:
    """The URL it is at, without a path. As control serves it: httptools, on asyncio."""
    config = uvicorn.Config(listing.app, HOST, 0, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        until(lambda: server.started)
        yield f"http://{HOST}:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
