"""Debian packages the lab needs: which are missing, and getting them without starting a daemon."""

import os
import shutil
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from lab import paths
from lab.lock import alone
from lab.toolchain import catalog
from lab.toolchain.catalog import ToolchainError
from lab.toolchain.progress import console, showing
from lab.toolchain.run import run

POLICY = Path("/usr/sbin/policy-rc.d")
# invoke-rc.d takes 101 as "action not allowed": a package's daemon is not started.
NO_DAEMONS = "#!/bin/sh\n# Ferry, while it installs packages\nexit 101\n"
APT = ("apt-get", "-o", "DPkg::Lock::Timeout=300")


def debian(packages: Iterable[str] | None = None) -> None:
    """Installs those of the packages that are missing (without an argument, of all the lab's).

    Raises ToolchainError when they cannot be had.
    """
    wanted = catalog.packages() if packages is None else tuple(packages)
    if not shutil.which("dpkg-query"):
        raise ToolchainError(f"this is not Debian; see to it that it has {', '.join(wanted)}")
    if not missing(wanted, _installed(wanted)):
        return
    if os.geteuid():
        absent = missing(wanted, _installed(wanted))
        raise ToolchainError(f"run as root: apt-get install -y {' '.join(absent)}")
    with alone(paths.cache() / "debian.lock", console.print), no_daemons(POLICY):
        _install(missing(wanted, _installed(wanted)))


def missing(wanted: Iterable[str], listing: str) -> list[str]:
    """The packages that dpkg-query's `package status` lines do not call installed."""
    states = dict(line.split(maxsplit=1) for line in listing.splitlines() if " " in line)
    return [name for name in wanted if states.get(name) != "installed"]


@contextmanager
def no_daemons(policy: Path) -> Generator[None]:
    """Puts a policy in place that starts nothing; a person's own policy stands as it is."""
    if policy.exists() and policy.read_text() != NO_DAEMONS:
        yield
        return
    policy.write_text(NO_DAEMONS)
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _installed(packages: Iterable[str]) -> str:
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *packages]
    return subprocess.run(query, capture_output=True, text=True, check=False).stdout


def _install(absent: list[str]) -> None:
    log = paths.cache() / "logs" / "debian.log"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    began = time.monotonic()
    with showing(f"Debian packages installing: {', '.join(absent)}"):
        for command in (
            ["dpkg", "--configure", "-a"],  # an installation cut short is finished first
            [*APT, "update"],
            [*APT, "install", "-y", "--no-install-recommends", *absent],
        ):
            run(command, " ".join(command), log, environment, Path("/"))
    console.print(f"Debian packages ready {time.monotonic() - began:5.0f} s")
