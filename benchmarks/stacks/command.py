"""A running command, with all that it starts."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE = 900  # seconds for one command


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, negative for a signal, and what it printed."""

    code: int
    text: str


class Command:
    """A running command of the project; a session of its own, so that all of it can be found."""

    def __init__(self, words: Sequence[str], folder: Path, variables: dict[str, str]) -> None:
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        self.words = words
        self.process = subprocess.Popen(
            words, cwd=folder, env=variables, stdin=subprocess.DEVNULL,
            stdout=self._printed, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def end(self) -> Done:
        """Wait for its end."""
        code = self.process.wait(PATIENCE)
        self._printed.seek(0)
        text = self._printed.read().decode(errors="replace")
        self._printed.close()
        return Done(code, text)

    def stop(self) -> None:
        """End what is still running of it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.end()
