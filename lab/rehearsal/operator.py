"""Runs the real operator of Prometheus beside the API server, once its Deployment is there."""

import contextlib
import os
import subprocess
from pathlib import Path

from lab import toolchain
from lab.rehearsal.player import Player
from lab.rehearsal.services import free_address
from lab.standins.kubernetes.client import ApiError, Client, Unreachable

_NAME = "prometheus-operator"


class Operator(Player):
    """What it makes are pods that somebody else must play."""

    pause = 0.5

    def __init__(self, client: Client, kubeconfig: Path, log: Path) -> None:
        super().__init__(client)
        self._kubeconfig, self._log = kubeconfig, log

    def look(self) -> None:
        if arguments := self._wanted():
            self._serve(arguments)

    def _wanted(self) -> list[str]:
        """The arguments of the operator that the program asked for; its kinds are there by then."""
        with contextlib.suppress(ApiError, Unreachable):
            for each in self._client.request("GET", "/apis/apps/v1/deployments")["items"]:
                if each["metadata"]["name"] == _NAME:
                    return each["spec"]["template"]["spec"]["containers"][0]["args"]
        return []

    def _serve(self, arguments: list[str]) -> None:
        command = [str(toolchain.binary(_NAME)), *arguments]
        with self._log.open("ab") as stream:
            process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=KILL", *command),
                    f"--web.listen-address={free_address()}",
                ],
                env={**os.environ, "KUBECONFIG": str(self._kubeconfig)},
                stdout=stream,
                stderr=stream,
            )
        # In time it would see its Deployment go; what it holds then, goes with the namespace.
        while process.poll() is None and not self._ended.wait(self.pause):
            pass
        process.terminate()
        process.wait(30)
