"""`python -m benchmarks STACK`: every figure of the README, as one table."""

import argparse
import os
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from benchmarks import engine, platform_memory, program_import, warm_up
from benchmarks.measure import Cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stack", nargs="?", default="dev")
    stack = parser.parse_args().stack
    # Without .pyc files every start would compile the SDKs anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    console = Console()
    console.print(_costs("program import", program_import.measure()))
    console.print(_costs("engine", engine.measure(stack)))
    console.print(_costs("make up, nothing to do", warm_up.measure(stack)))
    console.print(_memory("platform memory", platform_memory.measure(stack)))


def _costs(title: str, costs: Mapping[str, Cost]) -> Table:
    """The second row of each pair is the peer that the first is a ratio of."""
    table = Table("what", "wall s", "CPU s", "peak MiB", title=title, title_justify="left")
    for name, cost in costs.items():
        table.add_row(name, f"{cost.wall:.2f}", f"{cost.cpu:.2f}", f"{cost.peak:.0f}")
    return table


def _memory(title: str, mebibytes: Mapping[str, float]) -> Table:
    table = Table("what", "MiB", title=title, title_justify="left")
    for name, amount in mebibytes.items():
        table.add_row(name, f"{amount:.0f}")
    table.add_row("all", f"{sum(mebibytes.values()):.0f}")
    return table


if __name__ == "__main__":
    main()
