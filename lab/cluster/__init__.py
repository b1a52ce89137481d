"""A real one-node Kubernetes per lab, in a network namespace of its own."""

from lab.cluster.lab import down, purge, up
from lab.cluster.report import status

__all__ = ["down", "purge", "status", "up"]
