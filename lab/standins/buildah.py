"""How the lab runs buildah: its storage, its registries and what a build sees of the host."""

import configparser
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from lab import paths

MIRRORED: Final = ("docker.io", "quay.io", "ghcr.io", "registry.k8s.io")
# Where any pip looks besides /etc: a folder can be mounted there, and no file of ours stays behind.
_PIP_FOLDER: Final = "/etc/xdg/pip"
_CERTIFICATES: Final = "/etc/ssl/certs"
# What pip needs to reach an index; the rest of the host's configuration is the host's own affair.
_PIP_CONNECTION: Final = (
    "index-url",
    "extra-index-url",
    "trusted-host",
    "cert",
    "proxy",
    "timeout",
    "retries",
)


class BuildahMissing(RuntimeError):
    """The machine has no buildah; the message says how to get it."""


def insecure_registries() -> set[str]:
    """The registry hosts that FERRY_REGISTRY_INSECURE lists, separated by commas."""
    listed = os.environ.get("FERRY_REGISTRY_INSECURE", "").split(",")
    return {host.strip() for host in listed if host.strip()}


def registries(mirror: str | None, insecure: Iterable[str]) -> str:
    """containers-registries.conf for a mirror (`host:port`) and registries that speak plain http.

    A mirror holds `docker.io/library/python` as `<mirror>/docker.io/library/python`.
    """
    lines = ['unqualified-search-registries = ["docker.io"]']
    for name in MIRRORED if mirror else ():
        lines += [
            "[[registry]]",
            f"location = {json.dumps(name)}",
            "[[registry.mirror]]",
            f"location = {json.dumps(f'{mirror}/{name}')}",
            "insecure = true",
        ]
    for host in sorted({*insecure, *([mirror] if mirror else [])}):
        lines += ["[[registry]]", f"location = {json.dumps(host)}", "insecure = true"]
    return "\n".join(lines) + "\n"


def pip_configuration(files: Iterable[Path], environment: Mapping[str, str]) -> str:
    """The host's connection settings of pip as one pip.conf; "" when there are none.

    Later files win over earlier ones, PIP_* variables over files, as in pip itself.
    """
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        parser.read(file, encoding="utf-8")
        if parser.has_section("global"):
            settings |= {key.replace("_", "-"): value for key, value in parser.items("global")}
    for key in _PIP_CONNECTION:
        if value := environment.get("PIP_" + key.upper().replace("-", "_")):
            settings[key] = value
    kept = [f"{key} = {_indented(settings[key])}" for key in _PIP_CONNECTION if settings.get(key)]
    return "\n".join(["[global]", *kept, ""]) if kept else ""


class Buildah:
    """buildah over the lab's own storage; every lab and every run shares its layers."""

    def __init__(self, insecure: Iterable[str] = ()) -> None:
        """`insecure`: registry hosts that speak plain http, beside FERRY_REGISTRY_INSECURE."""
        found = shutil.which("buildah")
        if not found:
            raise BuildahMissing("buildah is not installed; run `apt-get install buildah`")
        self.executable = found
        self._folder = paths.cache() / "buildah"
        self._nothing = self._folder / "registries.conf.d"
        self._nothing.mkdir(parents=True, exist_ok=True)
        mirror = os.environ.get("FERRY_MIRROR") or None
        self._registries = registries(mirror, insecure_registries() | set(insecure))

    def command(self, *arguments: str) -> list[str]:
        """The command line of one buildah command."""
        return [
            *self._storage(self._driver()),
            *("--registries-conf", str(self._written("registries", self._registries))),
            # An empty folder, for the machine's own registries would be read beside ours.
            *("--registries-conf-dir", str(self._nothing)),
            *arguments,
        ]

    def run(self, *arguments: str) -> int:
        """Run one command on the caller's own streams; 0 or, as docker has it, 1."""
        with subprocess.Popen(self.command(*arguments), env=self.environment()) as process:
            try:
                return int(process.wait() != 0)
            except BaseException:
                # Asked, not killed: so it ends what it runs in the build as well.
                process.terminate()
                raise

    def read(self, *arguments: str) -> str | None:
        """What one command prints, None when it fails."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment(), text=True, capture_output=True
        )
        return done.stdout if done.returncode == 0 else None

    def environment(self) -> dict[str, str]:
        """The environment of buildah: docker's credentials, if there are any."""
        # buildah fails on a DOCKER_CONFIG without credentials; docker goes without.
        rest = {key: value for key, value in os.environ.items() if key != "DOCKER_CONFIG"}
        known = authentication_file()
        return {**rest, **({"REGISTRY_AUTH_FILE": str(known)} if known.exists() else {})}

    @contextmanager
    def trust(self) -> Generator[list[str]]:
        """Flags that let RUN steps reach what the host reaches, and leave no trace in the image."""
        flags = ["--volume", f"{_CERTIFICATES}:{_CERTIFICATES}:ro"]
        home = Path.home()
        files = [Path("/etc/pip.conf"), home / ".pip/pip.conf", home / ".config/pip/pip.conf"]
        if own := os.environ.get("PIP_CONFIG_FILE"):
            files.append(Path(own))
        text = pip_configuration(files, os.environ)
        with TemporaryDirectory(prefix="ferry-pip-") as folder:
            if text:
                # Open to any user of the build, and through the folder around it to nobody here.
                inner = Path(folder, "pip")
                inner.mkdir()
                inner.chmod(0o755)
                (inner / "pip.conf").write_text(text, encoding="utf-8")
                (inner / "pip.conf").chmod(0o644)
                flags += ["--volume", f"{inner}:{_PIP_FOLDER}:ro"]
            yield flags

    def remember(self, image: str, repository: str, digest: str) -> None:
        """Keep the digest under which a registry holds `image`: buildah itself forgets it."""
        known = [each for each in self.digests(image) if not each.startswith(f"{repository}@")]
        self._replace(self._record(image), json.dumps([f"{repository}@{digest}", *known]))

    def digests(self, image: str) -> list[str]:
        """`repository@digest` for each place that `image` (an id) was pushed to, newest first."""
        record = self._record(image)
        return json.loads(record.read_text(encoding="utf-8")) if record.exists() else []

    def forget(self, image: str) -> None:
        """The image is gone."""
        self._record(image).unlink(missing_ok=True)

    def _record(self, image: str) -> Path:
        return self._folder / "pushed" / f"{image}.json"

    def _storage(self, driver: str) -> list[str]:
        return [
            # What buildah mounts ends with it, however it ends: the cache can always be deleted.
            *("unshare", "--mount"),
            self.executable,
            *("--root", str(self._folder / "storage")),
            *("--runroot", str(self._folder / "run")),
            *("--storage-driver", driver),
        ]

    def _driver(self) -> str:
        # The choice is kept: images made with one driver are invisible to the other.
        kept = self._folder / "driver"
        if not kept.exists():
            trial = subprocess.run([*self._storage("overlay"), "info"], capture_output=True)
            self._replace(kept, "vfs" if trial.returncode else "overlay")
        return kept.read_text(encoding="utf-8")

    def _written(self, name: str, text: str) -> Path:
        # Named by content: labs with different mirrors build at the same time.
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        path = self._folder / f"{name}-{digest}.conf"
        if not path.exists():
            self._replace(path, text)
        return path

    def _replace(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)


def authentication_file() -> Path:
    """Where `docker login` keeps credentials: $DOCKER_CONFIG or ~/.docker, as docker has it."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"


def _indented(value: str) -> str:
    # A list in pip.conf stands on lines of its own.
    return value.strip().replace("\n", "\n    ")
