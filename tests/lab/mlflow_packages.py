"""The packages of the MLflow server's image, installed beside the tests: the same hashes."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab import paths

IMAGE = paths.repository() / "components" / "mlflow"


def interpreter() -> Path:
    """A Python that has them and nothing else; made once for each requirements.txt."""
    wanted = IMAGE / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]
    folder = paths.cache() / f"mlflow-{digest}"
    if not folder.exists():
        (uv,) = _run("lab/uv").split()
        with tempfile.TemporaryDirectory(dir=paths.cache()) as drafts:
            draft = Path(drafts) / "venv"
            _run(uv, "venv", "--quiet", "--relocatable", "--python", sys.executable, str(draft))
            place = ("--python", str(draft), "--requirements", str(wanted))
            _run(uv, "pip", "install", "--quiet", "--require-hashes", *place)
            shutil.move(draft, folder)
    return folder / "bin" / "python"


def _run(*command: str) -> str:
    place = paths.repository()
    return subprocess.run(command, cwd=place, stdout=subprocess.PIPE, text=True, check=True).stdout
