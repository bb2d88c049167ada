"""What was rendered of one catalogue, kept until the next one comes.

A list of 1,000 models takes some 50 ms to render and compress, and 0.3 ms from here: a test in
tests/control/listing/test_answers.py measures and prints it.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable

import msgspec
from msgspec import Raw

from kilo_gateway.catalog.catalogue import Catalogue, Entry
from kilo_gateway.control.listing.answers import Answer
from kilo_gateway.control.listing.rows import row

MAX_ANSWERS = 64
MAX_BYTES = 32 << 20


class Shelf:
    """Answers leave in the order in which they were last wanted. Rows are kept apart: every list is made of them."""

    def __init__(self) -> None:
        self._catalogue: Catalogue | None = None
        self._answers: OrderedDict[Hashable, Answer] = OrderedDict()
        self._rows: dict[str, Raw] = {}
        self._bytes = 0

    def answer(self, catalogue: Catalogue, key: Hashable, render: Callable[[], Answer]) -> Answer:
        """`key` names everything the answer depends on but the catalogue."""
        self._turn_to(catalogue)
        found = self._answers.get(key)
        if found is None:
            found = render()
            self._keep(key, found)
        else:
            self._answers.move_to_end(key)
        return found

    def row(self, catalogue: Catalogue, entry: Entry) -> Raw:
        """As JSON, without origins."""
        self._turn_to(catalogue)
        found = self._rows.get(entry.id)
        if found is None:
            found = self._rows[entry.id] = Raw(msgspec.json.encode(row(entry, catalogue)))
        return found

    def _turn_to(self, catalogue: Catalogue) -> None:
        if catalogue is not self._catalogue:
            self._catalogue = catalogue
            self._answers.clear()
            self._rows.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, answer: Answer) -> None:
        if len(answer.body) > MAX_BYTES:
            return
        self._answers[key] = answer
        self._bytes += len(answer.body)
        while len(self._answers) > MAX_ANSWERS or self._bytes > MAX_BYTES:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest.body)
