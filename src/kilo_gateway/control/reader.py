"""What a worker's journal says, line by line: requests that are over, and those that are not yet."""

from msgspec import Struct

from kilo_gateway.core.money import nanos
from kilo_gateway.core.types import Ended, Progressed, Started
from kilo_gateway.ledger import journal


class Open(Struct):
    """A request that has not ended yet, and where its first line stands."""

    line: bytes  # its start
    file: int
    offset: int
    progress: bytes = b""  # the last line on it


class Taken(Struct):
    """What was found in a piece of a file. `used`: its bytes up to the end of its last whole line."""

    ended: list[Ended]
    used: int
    lines: int
    unreadable: int


class Reader(Struct):
    """How far one worker's files have been read, and what is open in them."""

    file: int
    offset: int
    open: dict[bytes, Open]

    def safe(self) -> tuple[int, int]:
        """Where to begin after a restart: the oldest open request, for dicts keep their order."""
        oldest = next(iter(self.open.values()), None)
        return (self.file, self.offset) if oldest is None else (oldest.file, oldest.offset)

    def take(self, data: bytes) -> Taken:
        """What stands at `offset`, which then is behind it."""
        ended: list[Ended] = []
        at = unreadable = 0
        open = self.open
        lines = journal.lines(data)
        for line in lines:
            kind, id = line[:4], line[6 : line.find(b'"', 6)]
            if kind == journal.START:
                if id in open:
                    open[id].line = line  # another attempt
                else:
                    open[id] = Open(line, self.file, self.offset + at)
            elif kind == journal.PROGRESS:
                if id in open:
                    open[id].progress = line
            elif type(found := journal.decode(line)) is Ended:
                open.pop(id, None)
                ended.append(found)
            else:
                unreadable += 1
            at += len(line) + 1
        self.offset += at
        return Taken(ended, at, len(lines), unreadable)

    def recover(self, now_ms: int) -> list[Ended]:
        """What is open when the worker is dead: booked as far as it got. Nothing is open after it."""
        found = [_recovered(each, now_ms) for each in self.open.values()]
        self.open.clear()
        return [each for each in found if each is not None]


def _recovered(open: Open, now_ms: int) -> Ended | None:
    started = journal.decode(open.line)
    if type(started) is not Started:
        return None
    progress = journal.decode(open.progress)
    tokens = progress.completion_tokens if type(progress) is Progressed else 0
    cost = None
    if started.price is not None:
        price_in, price_out = started.price
        cost = nanos(started.prompt_tokens * price_in + tokens * price_out)
    return Ended(
        started.id, "", started.at_ms, started.key, started.model, started.provider, "recovered", started.prompt_tokens,
        tokens, True, cost, 1, max(now_ms - started.at_ms, 0) * 1000, client=started.client,
    )  # fmt: skip
