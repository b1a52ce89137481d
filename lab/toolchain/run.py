"""Runs a command of others with its output in a log, and reports its own last words."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.toolchain.catalog import ToolchainError

LINES_SHOWN = 15


def run(
    command: Sequence[str], what: str, log: Path, environment: Mapping[str, str], folder: Path
) -> str:
    """Runs the command in `folder`, its errors in `log`; returns what it printed.

    Raises ToolchainError with `what` failed and the log's last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as errors:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            check=False,
        )
    if done.returncode:
        last = "\n".join(log.read_text().splitlines()[-LINES_SHOWN:])
        raise ToolchainError(f"{what} failed (all of it in {log}):\n{last}")
    return done.stdout.strip()
