"""What `up` and `down` say while they work: one line per part, with its seconds."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """Lines on stderr, so that stdout stays free for results."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        self._console.print(text, markup=False)

    @contextmanager
    def part(self, what: str) -> Generator[None]:
        """Says how long the part took, once it is done."""
        began = time.monotonic()
        yield
        self.say(f"  {what:<32}{time.monotonic() - began:6.1f} s")
