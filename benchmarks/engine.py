"""A no-op preview and update of a stack, beside those of an empty program on the same engine."""

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.measure import Cost, median

EMPTY = {
    "Pulumi.yaml": "name: empty\nruntime: python\n",
    "__main__.py": "import pulumi\n\npulumi.export('nothing', 0)\n",
}


def measure(stack: str, times: int = 3) -> dict[str, Cost]:
    """Medians of `times` runs; the stack must be up and unchanged."""
    unchanged = ["--stack", stack, "--expect-no-changes", "--non-interactive"]
    with tempfile.TemporaryDirectory() as name:
        for file, text in EMPTY.items():
            Path(name, file).write_text(text)
        empty = ["--cwd", name, "--stack", "empty", "--non-interactive"]
        subprocess.run(
            ["pulumi", "stack", "init", "--cwd", name, "empty"],
            check=True, capture_output=True, env={**os.environ},
        )  # fmt: skip
        try:
            return {
                f"preview of {stack}": median(["pulumi", "preview", *unchanged], times),
                "preview of nothing": median(["pulumi", "preview", *empty], times),
                f"up of {stack}": median(["pulumi", "up", "--yes", *unchanged], times),
                "up of nothing": median(["pulumi", "up", "--yes", *empty], times),
            }
        finally:
            subprocess.run(
                ["pulumi", "stack", "rm", "--cwd", name, "--yes", "--force", "empty"],
                check=True, capture_output=True,
            )  # fmt: skip
