"""The engine's log, as its plugins see it."""

import contextlib
import os
import socket
from typing import Literal

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

Severity = Literal["debug", "info", "warning", "error"]

_SEVERITIES = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}


class EngineLog:
    """Writes to the log of the engine at `address`; what the engine no longer hears is dropped."""

    def __init__(self, address: str) -> None:
        self._claims: list[socket.socket] = []
        self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def log(self, message: str, severity: Severity = "info", urn: str = "") -> None:
        self._send(message, severity, urn, ephemeral=False)

    def status(self, message: str, urn: str) -> None:
        """A passing message beside the resource."""
        self._send(message, "info", urn, ephemeral=True)

    def announce(self, name: str, official: str) -> None:
        """Says what is in use, and why: once, however many providers of the kind a program has."""
        if not self._claim(name):
            return
        self.log(
            f"{name}: the lab's stand-in is in use, since the official {official} is not "
            "installed; docs/fidelity.md lists what it leaves out"
        )

    def _claim(self, name: str) -> bool:
        """Whether this is the engine's first process of the kind that runs."""
        # An abstract socket: no file, and free again when this process ends.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0ferry-standin-{name}-{os.getppid()}")
        except OSError:
            claim.close()
            return False
        self._claims.append(claim)
        return True

    def _send(self, message: str, severity: Severity, urn: str, *, ephemeral: bool) -> None:
        request = engine_pb2.LogRequest(
            severity=_SEVERITIES[severity], message=message, urn=urn, ephemeral=ephemeral
        )
        with contextlib.suppress(grpc.RpcError):
            self._engine.Log(request, timeout=5)
