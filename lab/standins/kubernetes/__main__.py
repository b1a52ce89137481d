"""Runs the stand-in as the engine's `pulumi-resource-kubernetes`."""

from lab.standins.kubernetes.provider import KubernetesProvider
from lab.standins.plugin import serve

if __name__ == "__main__":
    serve(KubernetesProvider())
