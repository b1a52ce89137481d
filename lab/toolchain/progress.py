"""How the toolchain shows what it is at: a moving line on a terminal, plain lines elsewhere."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)


@contextmanager
def showing(line: str) -> Generator[None]:
    """Shows the line while the block runs."""
    if not console.is_terminal:
        console.print(line)
        yield
        return
    columns = (SpinnerColumn(), TextColumn(line, markup=False), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task("", total=None)
        yield
