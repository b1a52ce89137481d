"""How commands print: tables as wide as a digest, and one JSON document."""

import json

from rich.console import Console
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
if not out.is_terminal:
    out.width = 120  # a pipe has no width: wide enough for a digest in one piece


def table(*columns: str) -> Table:
    """A plain table whose first column is never broken."""
    made = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        made.add_column(Text(column), overflow="fold", no_wrap=place == 0)
    return made


def row(into: Table, *cells: object) -> None:
    """Add a row whose words are only words: `[bold]` in a reason is no style, and ESC no colour."""
    into.add_row(*(Text("".join(c for c in str(cell) if c == "\n" or c >= " ")) for cell in cells))


def document(value: object) -> None:
    """One JSON document, with sorted keys."""
    print(json.dumps(value, indent=2, sort_keys=True))
