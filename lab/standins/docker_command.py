"""Runs the `docker` that is first on PATH: the real one, or the lab's own."""

import json
import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Self

from lab.standins.provider import ProviderError
from lab.standins.reference import Reference

_SHOWN: Final = 30  # lines of a failed command
_PACE: Final = 1.0  # seconds between two lines of progress


class Docker:
    """A context manager. Credentials live in a folder of their own, and only as long as it.

    `show` gets one line a second of what a command prints; `cancelled` ends the command.
    """

    def __init__(self, show: Callable[[str], None], cancelled: threading.Event) -> None:
        self._show = show
        self._cancelled = cancelled
        self._environment = dict(os.environ)
        self._folder: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        if not shutil.which("docker"):
            raise ProviderError(
                "there is no `docker` on PATH to build an image with; install one, or run "
                '`eval "$(make -s env)"` for the lab\'s own'
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            self._folder.cleanup()

    def login(self, server: str, user: str, password: str) -> None:
        """Log in for the commands that follow."""
        # Where nobody logs in the user's own folder stays, for it may hold a docker context.
        self._folder = TemporaryDirectory(prefix="ferry-docker-")
        self._environment["DOCKER_CONFIG"] = self._folder.name
        self._run("login", "-u", user, "--password-stdin", server, typed=password)

    def build(
        self,
        name: Reference,
        context: Path,
        dockerfile: Path,
        build: Mapping[str, Any],
        labels: Mapping[str, str],
    ) -> None:
        """Build `name` with the arguments of the resource's `build`."""
        options = [f"--{key}={build[key]}" for key in ("target", "platform") if build.get(key)]
        options += [f"--label={key}={value}" for key, value in labels.items()]
        arguments = build.get("args") or {}
        # Without a value docker takes it from the environment, where no other user can read it.
        options += [f"--build-arg={key}" for key in arguments]
        self._run(
            *("build", f"--tag={name}", f"--file={dockerfile}", *options, str(context)),
            environment=arguments,
        )

    def push(self, name: Reference) -> str:
        """Push; the digest (`sha256:…`) under which the registry has the image."""
        self._run("push", str(name))
        listed: list[str] = json.loads(self._inspected(name, "{{json .RepoDigests}}")) or []
        for each in listed:
            repository, _, digest = each.partition("@")
            # docker writes the repositories of its own hub without the host.
            if name.repository in {repository, f"docker.io/{repository}"}:
                return digest
        raise ProviderError(f"{name} was pushed, but docker does not know its digest: {listed}")

    def image(self, name: Reference) -> str:
        """The id (`sha256:…`) of an image that was built."""
        return self._inspected(name, "{{.Id}}").strip()

    def _inspected(self, name: Reference, template: str) -> str:
        done = subprocess.run(
            ["docker", "image", "inspect", "--format", template, str(name)],
            env=self._environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise ProviderError(f"docker image inspect {name} failed:\n{done.stderr.strip()}")
        return done.stdout

    def _run(
        self, *arguments: str, typed: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        last: deque[str] = deque(maxlen=_SHOWN)
        due = time.monotonic()
        with subprocess.Popen(
            ["docker", *arguments],
            env=self._environment | dict(environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            threading.Thread(target=self._end_when_cancelled, args=(process,), daemon=True).start()
            if process.stdin is None or process.stdout is None:
                raise AssertionError("both are pipes")
            with process.stdin as stream:
                stream.write(typed)
            for line in process.stdout:
                last.append(line)
                if line.strip() and time.monotonic() >= due:
                    self._show(line.strip())
                    due = time.monotonic() + _PACE
        if self._cancelled.is_set():
            raise ProviderError(f"docker {arguments[0]} was cancelled")
        if process.returncode:
            raise ProviderError(f"docker {arguments[0]} failed:\n{''.join(last).strip()}")

    def _end_when_cancelled(self, process: "subprocess.Popen[str]") -> None:
        while process.poll() is None:
            if self._cancelled.wait(0.5):
                process.terminate()
                return
