"""Locks of files and folders that are there: they go with the process, however that ends."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, how: int = fcntl.LOCK_EX) -> Generator[None]:
    """Hold the lock of `path`, alone or (LOCK_SH) with other readers; waits for who has it.

    A file that is replaced can't carry one: then it is its folder that is locked.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, how)
        yield
    finally:
        os.close(handle)
