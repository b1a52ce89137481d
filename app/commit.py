"""Commit: which code trains, from FERRY_COMMIT in an image, else from Git."""

import os
import re
import subprocess
from pathlib import Path

from app import console


def find() -> tuple[str, bool]:
    """The commit of this code, and whether its files differ from it.

    FERRY_COMMIT, which images carry, is `<commit>` or `<commit>-dirty`.
    Raises `console.Refused` when the commit is unknown.
    """
    if given := os.environ.get("FERRY_COMMIT"):
        if not re.fullmatch(r"[0-9a-f]{40}(-dirty)?", given):
            raise console.Refused(
                f"FERRY_COMMIT is {given!r}; wanted are 40 hexadecimal digits and perhaps -dirty"
            )
        return given[:40], given.endswith("-dirty")
    return (
        _git("rev-parse", "HEAD"),
        bool(_git("status", "--porcelain", "--untracked-files=no", "--", ".")),
    )


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise console.Refused(
            f"the code's commit is unknown ({error}); train in a Git working tree with a commit, "
            "or set FERRY_COMMIT"
        ) from error
    return done.stdout.strip()
