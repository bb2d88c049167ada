"""Printing: JSON as data alone, or a table for a person."""

from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 240


def as_json(value: object) -> None:
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def as_table(columns: Sequence[str], rows: Iterable[Sequence[object]], empty: str) -> None:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    if table.row_count:
        console = Console()
        if not console.is_terminal:
            console = Console(width=_PIPED_WIDTH)  # a line a row, for those who grep
        console.print(table)
    else:
        print(empty)
