"""One command at a time per lab; the second says whom it waits for."""

import fcntl
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def alone(file: Path, say: Callable[[str], None]) -> Generator[None]:
    """Holds the lock `file`, which names the holder's pid; the kernel frees it at any death."""
    descriptor = _acquire(file, say)
    try:
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # on a full disk the lock holds all the same, without a name
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _acquire(file: Path, say: Callable[[str], None]) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                say(f"waiting for another lab command (pid {_holder(file)}, {file})")
                told = True
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The holder may have removed the file with the lab's state: then this lock is nobody's.
        if _same(descriptor, file):
            return descriptor
        os.close(descriptor)


def _holder(file: Path) -> str:
    try:
        return file.read_text().strip() or "unknown"
    except FileNotFoundError:
        return "just ended"


def _same(descriptor: int, file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except FileNotFoundError:
        return False
