"""Which commit a folder's files are of, for images that hold that folder and nothing else."""

import subprocess
from pathlib import Path


def revision(folder: Path) -> str:
    """The last commit that touched `folder`, with `-dirty` when its files are not of it.

    Not the commit of the whole tree: that would be a new image for every change elsewhere.
    Empty where Git knows no commit of the folder.
    """
    commit = _git(folder, "log", "-1", "--format=%H", "--", ".")
    return f"{commit}-dirty" if commit and _git(folder, "status", "--porcelain", ".") else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
