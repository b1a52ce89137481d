"""The file system of an image that needs Debian: a minimal Debian 12 as one reproducible tar."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError

_SUITE = "bookworm"
_PUBLIC = "http://deb.debian.org/debian"
_SOURCES = f"""deb {_PUBLIC} {_SUITE} main
deb {_PUBLIC} {_SUITE}-updates main
deb {_PUBLIC}-security {_SUITE}-security main
"""
# The public image of Python has these in /usr/local/bin.
_COMMANDS = {
    "python": "/usr/bin/python3.11",
    "python3": "/usr/bin/python3.11",
    "python3.11": "/usr/bin/python3.11",
    "pip": "/usr/bin/pip3",
    "pip3": "/usr/bin/pip3",
}
# What differs from one build to the next, or belongs to the machine that builds.
_DROPPED = (
    "debootstrap",
    "etc/hostname",
    "etc/machine-id",
    "etc/resolv.conf",
    # Its absence lets pip install into the system, as in the public image.
    "usr/lib/python3.11/EXTERNALLY-MANAGED",
    # The slim image has none of these.
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/cache/debconf/templates.dat-old",
    "var/cache/ldconfig/aux-cache",
    "var/lib/apt/lists",
    "var/log",
)
_EMPTY = ("var/cache/apt/archives/partial", "var/lib/apt/lists/partial", "var/log")


def rootfs(folder: Path, log: Path, packages: Sequence[str]) -> Path:
    """Makes `<folder>/rootfs.tar` with `packages`; what debootstrap says goes to `log`."""
    root = folder / "rootfs"
    shutil.rmtree(root, ignore_errors=True)
    options = ["--variant=minbase", f"--include={','.join(packages)}"]
    with log.open("w") as output:
        done = subprocess.run(
            ["debootstrap", *options, _SUITE, str(root), mirror()],
            env=_environment(),
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        last = "\n".join(log.read_text().splitlines()[-10:])
        raise LabError(f"debootstrap from {mirror()} failed ({log}):\n{last}")
    _finish(root)
    tar = folder / "rootfs.tar"
    plain = ["--numeric-owner", "--sort=name", "--mtime=@0", "--xattrs"]
    subprocess.run(["tar", "-cf", str(tar), f"--directory={root}", *plain, "."], check=True)
    shutil.rmtree(root)
    return tar


def mirror() -> str:
    """Where this machine gets Debian from, or the public mirror when it says nothing of it."""
    fields = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    return choose_mirror(found.stdout)


def choose_mirror(listing: str) -> str:
    """The mirror of the suite's main part, from lines of `codename component address`."""
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    wanted = (row[2] for row in rows if row[:2] == [_SUITE, "main"])
    return next(wanted, _PUBLIC).rstrip("/")


def _environment() -> dict[str, str]:
    proxy = subprocess.run(
        ["apt-config", "shell", "proxy", "Acquire::http::Proxy"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    given = proxy.removeprefix("proxy='").removesuffix("'")
    return {**os.environ, **({"http_proxy": given} if given else {})}


def _finish(root: Path) -> None:
    if (root / "usr/bin/python3.11").exists():
        _prepare_python(root)
    for name in _DROPPED:
        place = root / name
        if place.is_dir():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
    for name in _EMPTY:
        (root / name).mkdir(parents=True)
    (root / "etc/apt/sources.list").write_text(_SOURCES)


def _prepare_python(root: Path) -> None:
    # Layers carry no times, so compiled files that compare times would all be stale: let them
    # be taken as they are.
    compiled = ["python3.11", "-m", "compileall", "-q", "-f"]
    compiled += ["--invalidation-mode", "unchecked-hash", "/usr/lib/python3.11", "/usr/lib/python3"]
    without = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    subprocess.run(["chroot", str(root), *compiled], env=without, capture_output=True, check=False)
    for name, target in _COMMANDS.items():
        (root / "usr/local/bin" / name).symlink_to(target)
