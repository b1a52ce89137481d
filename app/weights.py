"""The digest over a model's files: what is signed, pinned, and checked before loading."""

import hashlib
import os
import sys
from pathlib import Path

MODEL_FILES = ("golden.json", "model.json", "model.onnx")
"""The files of a model: self-test rows, metadata, weights."""


MODEL_FOLDER = "model"
"""Where they are: in a run's artifacts, and in the image."""

SIGNATURE_FOLDER = "signature"
"""Where the image has what follows; a run has it among its evidence."""

SIGNATURE = "signature.json"
PUBLIC_KEY = "signer.pem"
"""Names of the signature's bundle and of the key that it was made with."""

KEYLESS = "keyless"
"""In a fingerprint's place: signed by an identity that Sigstore vouches for, not by a key."""


class UnsafeFile(ValueError):
    """Something in a model's folder that is no regular file, such as a symbolic link."""


def files(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below `folder`, by its relative name, in the names' order.

    Raises `UnsafeFile` for links and special files, `FileNotFoundError` for no folder or no file.
    """
    found = {name: _sha256(folder / name) for name in sorted(_names(folder, ""))}
    if not found:
        raise FileNotFoundError(f"{folder} has no files to digest")
    return found


def digest(folder: Path) -> str:
    """Digest every file below `folder`, as `sha256:…`: the sha256 over the sorted lines
    `<sha256 of the file>  <relative name>`, so that `sha256sum` can recompute it.

    Raises as `files` does.
    """
    lines = "".join(f"{sha256}  {name}\n" for name, sha256 in files(folder).items())
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()


def _names(folder: Path, prefix: str) -> list[str]:
    found: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if "\n" in entry.name:
                raise UnsafeFile(f"{entry.path!r} has a line break in its name")
            if entry.is_dir(follow_symlinks=False):
                found += _names(Path(entry.path), name + "/")
            elif entry.is_file(follow_symlinks=False):
                found.append(name)
            else:
                raise UnsafeFile(f"{entry.path} is no regular file; a model holds only files")
    return found


def _sha256(path: Path) -> str:
    # O_NOFOLLOW: a link put in place after the listing must not be read either.
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    print(digest(Path(sys.argv[1])))
