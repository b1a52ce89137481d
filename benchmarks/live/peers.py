"""Beside Ferry: the same pods as a plain Deployment, put back by `kubectl`, and by Helm."""

import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import requests

from benchmarks.live.stack import STACK, Ran, Stack

NAMESPACE = f"{STACK}-peers"
NAMES = ("kubectl", "helm")
_PATIENCE = "--timeout=180s"
_KUBECTL_READY = ("kubectl", "rollout", "status", "deployment/kubectl", _PATIENCE)


class Peers:
    """Both peers, each serving the first of the two pods' templates that are given."""

    def __init__(self, stack: Stack, folder: Path, first: dict, second: dict) -> None:
        self._stack, self._folder = stack, folder
        self._files = {}
        for name, template in (("first", first), ("second", second)):
            self._files[name] = folder / f"{name}.json"
            values = {"pods": _untied(template)}
            self._files[name].write_text(json.dumps(values))
        self._apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for pull in first["spec"].get("imagePullSecrets") or ():
            found = stack.get("secret", pull["name"])
            kept = {name: found[name] for name in ("apiVersion", "kind", "type", "data")}
            self._apply({**kept, "metadata": {"name": pull["name"], "namespace": NAMESPACE}})
        self._chart = _chart(folder / "chart")
        for name in NAMES:
            self.bring(name, "first")

    def bring(self, peer: str, release: str) -> Ran:
        """Bring it `first` or `second`, and wait until it serves nothing else."""
        if peer == "helm":
            words = ("helm", "upgrade", "--install", "helm", str(self._chart))
            return self._run([(*words, f"--values={self._files[release]}", "--wait", _PATIENCE)])
        pods = json.loads(self._files[release].read_text())["pods"]
        begun = time.time()
        for part in objects("kubectl", _labelled("kubectl", pods)):
            self._apply(part)
        ran = self._run([_KUBECTL_READY])
        return Ran(code=ran.code, text=ran.text, begun=begun, ended=ran.ended)

    def back(self, peer: str) -> Ran:
        """The tool's own way to the release before."""
        if peer == "helm":
            return self._run([("helm", "rollback", "helm", "--wait", _PATIENCE)])
        undo = ("kubectl", "rollout", "undo", "deployment/kubectl")
        return self._run([undo, _KUBECTL_READY])

    def _run(self, commands: Sequence[Sequence[str]]) -> Ran:
        begun, text = time.time(), ""
        for words in commands:
            code, printed = self._stack.ended(*words, f"--namespace={NAMESPACE}")
            text += printed
            if code:
                raise RuntimeError(f"{' '.join(words)}: exit {code}\n{text}")
        return Ran(code=0, text=text, begun=begun, ended=time.time())

    def _apply(self, thing: dict[str, Any]) -> None:
        subprocess.run(
            ["kubectl", "apply", "--filename=-"], input=json.dumps(thing), text=True, check=True,
            env=self._stack.environment, capture_output=True,
        )  # fmt: skip


def url(peer: str) -> str:
    return f"http://{peer}.{STACK}.ferry.test/predict"


def wait(peer: str, row: bytes) -> None:
    """Until the Ingress controller answers for it."""
    until = time.time() + 60
    while time.time() < until:
        try:
            if requests.post(url(peer), data=row, timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.5)
    raise RuntimeError(f"{url(peer)} does not answer")


def objects(name: str, template: object) -> list[dict[str, Any]]:
    """A Deployment of two pods, its Service and its Ingress, with Kubernetes' own defaults."""
    labels = {"peer": name}
    meta = {"name": name, "namespace": NAMESPACE}
    backend = {"service": {"name": name, "port": {"number": 80}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": meta,
            "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": meta,
            "spec": {
                "ingressClassName": "traefik",
                "rules": [{"host": f"{name}.{STACK}.ferry.test", "http": {"paths": [path]}}],
            },
        },
    ]


def _chart(folder: Path) -> Path:
    """The same objects as a chart, whose only value is the pods' spec."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    (folder / "Chart.yaml").write_text("apiVersion: v2\nname: peer\nversion: 0.1.0\n")
    for number, part in enumerate(objects("helm", _labelled("helm", "PODS"))):
        text = json.dumps(part).replace('"PODS"', "{{ .Values.pods | toJson }}")
        (folder / f"templates/{number}.yaml").write_text(text)
    return folder


def _labelled(name: str, spec: object) -> dict[str, Any]:
    return {"metadata": {"labels": {"peer": name}}, "spec": spec}


def _untied(template: dict[str, Any]) -> dict[str, Any]:
    """The pods' spec without what ties it to the model's namespace and name."""
    spec = {name: each for name, each in template["spec"].items() if "erviceAccount" not in name}
    spec.pop("topologySpreadConstraints", None)
    return spec
