"""What `lab env` hands over: the launchers on PATH, the kubeconfig, and Pulumi's own settings."""

import json
import os
import secrets
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab import paths, toolchain
from lab.cluster.identity import Lab, check_name, find
from lab.cluster.lab import external_file
from lab.cluster.pki import write_private
from lab.errors import LabError
from lab.toolchain.store import official_pulumi

_BINARIES = ("pulumi", "kubectl", "helm")
_TOOLS = ("pulumi", "kubernetes", "helm")
WHOLE = "metadata=skip"
"""Of a backend's URL: else the engine puts a file beside each of its files, not at once, and one
that a kill cut makes the state unreadable that it stands beside."""
# Launcher, and the module that stands in for it.
STAND_INS = {
    "pulumi-language-python": "lab.standins.language_python",
    "pulumi-resource-kubernetes": "lab.standins.kubernetes",
    "pulumi-resource-aws": "lab.standins.aws",
    "pulumi-resource-docker": "lab.standins.docker",
    "pulumi-resource-random": "lab.standins.random",
    "docker": "lab.standins.docker_cli",
}


def environment(name: str) -> tuple[dict[str, str], list[str]]:
    """The variables to export, and what the person should know: which stand-ins are in use."""
    check_name(name)
    folder = paths.state(name)
    kubeconfig = folder / "kubeconfig"
    if external_file(name).exists():
        kubeconfig = Path(external_file(name).read_text().strip())
    elif not kubeconfig.exists():
        raise LabError(f"lab {name} was never up: `python -m lab up {name}` first")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    toolchain.ensure(_TOOLS)
    stand_ins = missing()
    launchers(folder / "bin", find(name), stand_ins)
    variables = {
        "PATH": f"{folder / 'bin'}:{_path_without_launchers()}",
        "KUBECONFIG": str(kubeconfig),
        "PULUMI_BACKEND_URL": f"file://{_made(folder / 'pulumi')}?{WHOLE}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase(folder)),
        "PULUMI_HOME": str(without_log(_made(folder / "pulumi-home"))),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
    engines = _made(paths.engines())
    write_private(engines / f"{name}.json", json.dumps(variables).encode())
    # From a shell in one lab, `ferry` reaches the stacks of the others as well.
    variables["FERRY_ENGINES"] = str(engines)
    return variables, [note(stand_ins)] if stand_ins else []


def note(stand_ins: list[str]) -> str:
    """One line: which stand-ins are in use, and why."""
    return f"stand-ins for {', '.join(stand_ins)}: this machine has no official ones"


def exports(variables: dict[str, str]) -> str:
    """The variables as lines for a shell's `eval`."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def missing() -> list[str]:
    """The executables that have to be stood in for on this machine.

    An official engine brings its Python host along and downloads its own plugins.
    """
    official = official_pulumi() is not None
    return [
        name
        for name in STAND_INS
        if not (_docker_works() if name == "docker" else official or _has_plugin(name))
    ]


def launchers(folder: Path, lab: Lab | None, stand_ins: list[str]) -> None:
    """Makes `folder` hold exactly one launcher per tool and per stand-in, each whole."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {*_BINARIES, *stand_ins}
    for stale in folder.iterdir():
        if stale.name not in wanted:
            stale.unlink()
    for name in _BINARIES:
        partial = folder / f".{name}"
        partial.unlink(missing_ok=True)
        partial.symlink_to(toolchain.binary(name))
        partial.replace(folder / name)
    scripts(folder, {name: STAND_INS[name] for name in stand_ins}, lab)


def scripts(folder: Path, modules: Mapping[str, str], lab: Lab | None = None) -> None:
    """Puts a launcher for each of the modules, by its name, into `folder`."""
    for name, module in modules.items():
        partial = folder / f".{name}"
        partial.write_text(script(module, lab))
        partial.chmod(0o755)
        partial.replace(folder / name)


def script(module: str, lab: Lab | None) -> str:
    """A launcher that runs a module of this checkout with this interpreter."""
    variables = {"PYTHONPATH": str(paths.repository())}
    if lab is not None:
        variables["FERRY_MIRROR"] = lab.mirror
        variables["FERRY_REGISTRY_INSECURE"] = f"registry.{lab.domain}"
    # Without compiled files every start of a plugin takes seconds.
    lines = ["#!/bin/sh", "unset PYTHONDONTWRITEBYTECODE"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join([*lines, f'exec {shlex.quote(sys.executable)} -m {module} "$@"', ""])


def without_log(home: Path) -> Path:
    """A home of Pulumi's where the engine keeps no log.

    It would log every property that it sees, tens of megabytes and more than half of its time for
    each command, and has no setting against it; where there is no folder for it, it goes without.
    """
    log = home / "logs"
    if log.is_dir():
        shutil.rmtree(log, ignore_errors=True)
    log.touch()
    return home


def _docker_works() -> bool:
    docker = shutil.which("docker", path=_path_without_launchers())
    if docker is None:
        return False
    told = subprocess.run([docker, "info"], capture_output=True, check=False, timeout=20)
    return told.returncode == 0


def _has_plugin(name: str) -> bool:
    """On PATH, or in the person's own Pulumi home."""
    if shutil.which(name, path=_path_without_launchers()):
        return True
    installed = Path.home() / ".pulumi" / "plugins"
    return any(installed.glob(f"{name.removeprefix('pulumi-')}-v*"))


def _path_without_launchers() -> str:
    entries = os.environ.get("PATH", os.defpath).split(":")
    return ":".join(e for e in entries if not Path(e).is_relative_to(paths.states()))


def _passphrase(folder: Path) -> Path:
    """Made once: it opens the secrets in the stacks' states."""
    file = folder / "passphrase"
    if not file.exists():
        write_private(file, f"{secrets.token_urlsafe(32)}\n".encode())
    return file


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder
