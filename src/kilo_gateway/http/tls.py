"""TLS to upstreams, with sessions kept: a new connection to a known host saves the certificate exchange."""

import asyncio
import ssl

MAX_SESSIONS = 1_000


class ResumingContext(ssl.SSLContext):
    """Neither asyncio nor uvloop has a way to hand a session in; both call `wrap_bio`, so it is handed in there."""

    _sessions: dict[str, ssl.SSLSession]

    def wrap_bio(  # type: ignore[override]  # typeshed names the context's own return type
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        known = self._sessions.get(server_hostname or "")
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session or known)

    def remember(self, transport: asyncio.Transport, host: str) -> None:
        """Keeps the session of a connection that has carried an answer: TLS 1.3 sends tickets after the handshake."""
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.session is not None and (host in self._sessions or len(self._sessions) < MAX_SESSIONS):
            self._sessions[host] = tls.session


def upstream_context(ca_file: str | None) -> ResumingContext:
    """Verifies names and chains against `ca_file`, else the system's certificates."""
    context = ResumingContext(ssl.PROTOCOL_TLS_CLIENT)
    context._sessions = {}
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    else:
        context.load_default_certs()
    return context
