"""A data worker, composed. Imports nothing that knows a database or a web framework: it has to be up in no time."""

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_network

from kilo_gateway.catalog.files import DataDirectory
from kilo_gateway.catalog.snapshot import Snapshot, Snapshots
from kilo_gateway.catalog.tokenizer import Tokenizer
from kilo_gateway.core import crash
from kilo_gateway.core.ids import GenerationIds
from kilo_gateway.core.keyring import Keyring
from kilo_gateway.core.meters import Meters
from kilo_gateway.core.pipeline import Pipeline
from kilo_gateway.core.ports import CallerDialect
from kilo_gateway.core.settings import Settings
from kilo_gateway.core.types import Origin
from kilo_gateway.dialects import openai_chat
from kilo_gateway.dialects.bridge import Bridge
from kilo_gateway.dialects.table import COMPLETIONS_CALLER, MESSAGES_CALLER, RESPONSES_CALLER, SERVICES
from kilo_gateway.http.clients import Clients
from kilo_gateway.http.deadlines import Deadlines
from kilo_gateway.http.dialer import GuardedDialer, Proxy
from kilo_gateway.http.gateway import Gateway, Report
from kilo_gateway.http.guard import resolver_in
from kilo_gateway.http.media import Fetcher
from kilo_gateway.http.paths import under_each_prefix
from kilo_gateway.http.tls import upstream_context
from kilo_gateway.http.upstream import Pool
from kilo_gateway.ledger.estimates import Estimates
from kilo_gateway.ledger.journal import Journal
from kilo_gateway.ledger.leases import MeteredLeases
from kilo_gateway.ledger.limits import Limits
from kilo_gateway.routing.preference import Preference
from kilo_gateway.upstreams.doors import readdressed
from kilo_gateway.upstreams.signing import sign

LOOKUPS = 4  # of names that callers chose, at a time


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """A worker's state, for those who run it."""

    gateway: Gateway
    snapshots: Snapshots
    limits: Limits
    meters: Meters
    journal: Journal


def routes() -> dict[bytes, CallerDialect]:
    """Inference: every path and the dialect spoken there. All of them go through Pipeline.enter, which asks for a key."""
    dialects: dict[str, CallerDialect] = {
        openai_chat.PATH: openai_chat, "/messages": MESSAGES_CALLER, "/v1/messages": MESSAGES_CALLER,
        "/responses": RESPONSES_CALLER, "/completions": COMPLETIONS_CALLER, "/embeddings": SERVICES["embeddings"],
        "/messages/count_tokens": SERVICES["count_tokens"], "/v1/messages/count_tokens": SERVICES["count_tokens"],
        "/fim/completions": SERVICES["fim"], "/edit/completions": SERVICES["edit"],
        "/audio/transcriptions": SERVICES["transcription"],
    }  # fmt: skip
    without = {b"/api/fim/completions": SERVICES["fim"], b"/api/edit/completions": SERVICES["edit"]}
    return under_each_prefix(dialects) | without


def build_worker(
    settings: Settings, files: DataDirectory, keyring: Keyring, first: Snapshot, report: Report,
    problems: Callable[[], list[str]], local_trouble: Callable[[], str], *, name: str, crash_at: str,
) -> WorkerParts:  # fmt: skip
    """`name` must be new for each process: it names the journal."""
    journal = Journal(files.journal, name, crash.crash_point(crash_at))
    snapshots, limits, meters, dialects = Snapshots(first), Limits(journal), Meters(), Bridge(fetches=settings.media.fetch)
    pipeline = Pipeline(
        snapshots, limits, dialects, Preference(dialects), MeteredLeases(), journal, Estimates(Tokenizer()), meters,
        time.monotonic, wall_ms, GenerationIds(secrets.randbits(45)).new, sign, readdressed,
    )  # fmt: skip

    def count_and_report(event: str, **facts: object) -> None:
        status = facts.get("status")
        if event == "request.refused" and isinstance(status, int):
            meters.refused(status)
        report(event, **facts)

    gateway = Gateway(
        pipeline, build_pool(settings), Deadlines(time.monotonic), routes(),
        Origin("control", 0, unix_path=str(files.control_socket)), keyring.hop.encode(), count_and_report, problems,
        local_trouble, frozenset(settings.server.cors_origins),
        tuple(ip_network(each) for each in settings.server.trusted_proxies), clients=Clients(settings.betas),
        fetcher=build_fetcher(settings),
    )  # fmt: skip
    return WorkerParts(gateway, snapshots, limits, meters, journal)


def build_pool(settings: Settings) -> Pool:
    found = settings.proxy
    proxy = Proxy(found.origin, found.credential.reveal(), found.spared) if found is not None else None
    return Pool(GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(settings.ca_file), proxy))


def build_fetcher(settings: Settings) -> Fetcher | None:
    """Nothing unless the operator wants it. It shares no connection, no TLS session and no thread with upstreams."""
    if not settings.media.fetch:
        return None
    resolve = resolver_in(ThreadPoolExecutor(LOOKUPS, "look-up"))
    dialer = GuardedDialer(asyncio.get_running_loop(), lambda: upstream_context(settings.ca_file), None, resolve)
    return Fetcher(dialer, settings.media.trusted)


def wall_ms() -> int:
    return time.time_ns() // 1_000_000
