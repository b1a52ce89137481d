"""Child processes of a plugin: their output as it comes, and their end when nobody waits."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import grpc

_GRACE = 5  # seconds between asking a child to end and ending it

Process = subprocess.Popen[bytes]


class Children:
    """The processes that calls have started and that have not ended yet."""

    def __init__(self) -> None:
        self._running: set[Process] = set()

    @contextlib.contextmanager
    def start(
        self,
        command: list[str],
        directory: Path,
        variables: Mapping[str, str],
        context: grpc.ServicerContext,
        *,
        output: int | None = subprocess.PIPE,
    ) -> Generator[Process]:
        """Runs the command to its end within the block, or ends it when the caller gives up."""
        process = subprocess.Popen(
            command, cwd=directory, env=variables, stdout=output, stderr=output
        )
        self._running.add(process)
        try:
            if not context.add_callback(lambda: _end(process)):
                _end(process)
            yield process
            process.wait()
        finally:
            _end(process)
            self._running.discard(process)

    def end(self) -> None:
        """Ends them all."""
        for process in list(self._running):
            _end(process)


def output(process: Process) -> Iterator[tuple[str, bytes]]:
    """What a piped process writes, as ("stdout" or "stderr", bytes), until it closes both."""
    chunks: SimpleQueue[tuple[str, bytes]] = SimpleQueue()

    def pump(name: str, stream: IO[bytes]) -> None:
        with stream:
            while data := os.read(stream.fileno(), 1 << 16):
                chunks.put((name, data))
        chunks.put((name, b""))

    streams = {"stdout": process.stdout, "stderr": process.stderr}
    for name, stream in streams.items():
        threading.Thread(target=pump, args=(name, stream), daemon=True).start()
    remaining = len(streams)
    while remaining:
        name, data = chunks.get()
        if data:
            yield name, data
        else:
            remaining -= 1


def _end(process: Process) -> None:
    if process.poll() is None:
        # Not SIGINT: a Python child would show a traceback that tells nobody anything.
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
