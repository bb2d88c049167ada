"""What a request's head says of the client that sent it: kept for the books, and told to upstreams that are to know.

Nothing here is believed: it is a client's own word on itself.
"""

from collections.abc import Mapping

from msgspec import Struct

# By the words used in settings and in the books: the headers each is read from, the first that is there, and sent as, all.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "referer": ("HTTP-Referer",),
    "title": ("X-OpenRouter-Title", "X-Title"),
    "session": ("x-session-id", "x-kilo-session"),
    "task": ("X-KiloCode-TaskId",),
    "mode": ("x-kilocode-mode",),
    "feature": ("X-KiloCode-Feature",),
    "editor": ("X-KiloCode-EditorName",),
    "version": ("X-KiloCode-Version",),
    "organization": ("X-KiloCode-OrganizationId",),
    "project": ("X-KiloCode-ProjectId",),
    "machine": ("X-KiloCode-MachineId",),
}


class Beta(Struct, frozen=True, eq=False):
    """A header that asks for what is not yet everybody's. `ways`: from which dialect to which it may travel."""

    header: str
    line: bytes  # with the names that may travel; nothing where there is none
    refused: tuple[str, ...]  # the others
    ways: frozenset[tuple[str, str]]


class ClientHeaders(Struct, frozen=True, eq=False):
    """`record` is a JSON object by the words of HEADERS, or nothing; `lines` what may be sent of it, ready to be sent."""

    record: str = ""
    lines: tuple[tuple[str, bytes], ...] = ()
    betas: tuple[Beta, ...] = ()
    hops: bytes = b""  # gateways it came through

    def told(self, wanted: tuple[str, ...], caller: str, upstream: str) -> tuple[bytes, tuple[str, ...]]:
        """Lines for an upstream that is told what is `wanted`, and what stays here though it was meant for upstreams.

        `caller` and `upstream` are dialects.
        """
        lines = [line for word, line in self.lines if word in wanted] if wanted else []
        unsent: tuple[str, ...] = ()
        for beta in self.betas:
            if (caller, upstream) in beta.ways:
                lines.append(beta.line)
                unsent += tuple([f"{beta.header}: {name}" for name in beta.refused])
            else:
                unsent += (beta.header,)
        return b"".join(lines), unsent


def lines_of(word: str, text: str) -> str:
    """`text` has to be printable ASCII."""
    return "".join(f"{header}: {text}\r\n" for header in HEADERS[word])
