"""Locks that a killed engine left in a lab's state backend: whoever held them is gone."""

import json
import socket
from pathlib import Path


def release(backend: Path) -> list[int]:
    """Remove the locks whose process is no more; gives the pids that had held them.

    A lock from another host, or one that can't be read, stays: `pulumi cancel` is for those.
    Source: the file backend's `lockContent` (pid, username, hostname, timestamp).
    """
    gone = []
    for file in backend.glob(".pulumi/locks/**/*.json"):
        try:
            held = json.loads(file.read_text())
            pid, host = int(held["pid"]), held["hostname"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if host == socket.gethostname() and not _is_engine(pid):
            file.unlink(missing_ok=True)
            gone.append(pid)
    return gone


def _is_engine(pid: int) -> bool:
    """Whether the process is there and a pulumi: a pid may long be somebody else's."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() == "pulumi"
    except OSError:
        return False
