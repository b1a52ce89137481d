"""In a real cluster: a pod whose weights are not what the pin's signer signed is never Ready."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import environment, paths
from tests.lab.project import Project

pytestmark = pytest.mark.lab

LAB = "weights"
MODEL = "credit-default"
NAMESPACE = f"{LAB}-models"
PATIENCE = 180  # seconds until a pod has ended, or is ready
PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

from components.pull_secret import pull_secret
from components.registry import Registry, RegistryArgs
from components.traffic import Gateway
from infra.namespaces import namespaces

inside = pulumi.ResourceOptions(provider=k8s.Provider("cluster"))
roles = namespaces("weights", inside)
gateway = Gateway(class_name="traefik", domain="weights.ferry.test", namespace="traefik")
registry = Registry(
    "registry",
    RegistryArgs(
        namespace=roles["platform"],
        gateway=gateway,
        monitoring=roles["monitoring"],
        size="1Gi",
        keep=False,
    ),
    inside,
)
secret = pull_secret(
    "pull",
    namespace=roles["models"],
    docker_config_json=registry.docker_config_json,
    opts=inside,
)
pulumi.export("host", registry.host)
pulumi.export("username", registry.username)
pulumi.export("password", registry.password)
pulumi.export("secret", secret)
"""
# Two versions of one model, which differ in the snapshot that they name.
TRAIN = """
import sys
from pathlib import Path
from app import definition, train

model = definition.find("credit-default")
table = model.dataset.load(sample=True)
for version, snapshot in (("first", "1" * 64), ("second", "2" * 64)):
    folder = Path(sys.argv[1], version, "model")
    folder.mkdir(parents=True)
    train.build(model, table, snapshot, folder)
"""
# What is done to a whole image, and what the pod must say of it.
FAULTS = {
    "unsigned": ("RUN rm -r signature", "the model is unsigned"),
    "no-bundle": ("RUN rm signature/signature.json", "the model is unsigned"),
    "other-key": ("COPY stranger signature", "signer.pem is the key sha256:"),
    "other-bundle": (
        "COPY stranger/signature.json signature/signature.json",
        "was signed with the key sha256:",
    ),
    "flipped-byte": ("COPY flipped.onnx model/model.onnx", "changed: model.onnx"),
    "file-added": ("RUN touch model/model.pkl", "not signed: model.pkl"),
    "file-removed": ("RUN rm model/golden.json", "missing: golden.json"),
    "file-renamed": (
        "RUN mv model/golden.json model/gold.json",
        "missing: golden.json; not signed: gold.json",
    ),
    "link": (
        "RUN mv model/model.onnx . && ln -s ../model.onnx model/model.onnx",
        "is no regular file",
    ),
    "other-weights": ("COPY second/model model", "changed: "),
    # All of it is signed by the right key: the digest in the pin tells the versions apart.
    "other-version": (
        "COPY second/model model\nCOPY second/signature signature",
        "the weights have digest sha256:",
    ),
}


class Models:
    """Images of one model, whole and tampered with, and pods that serve them."""

    def __init__(self, scratch: Path) -> None:
        project = Project(scratch, {"KUBECONFIG": str(paths.state(LAB) / "kubeconfig")})
        project.program(PROGRAM).up()
        self._host, self._secret = project.output("host"), project.output("secret")
        self._environment = {**os.environ, **environment.environment(LAB)[0]}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._app("-c", TRAIN, str(scratch))
        self._signer = self._signed(scratch, "first", "signer")
        self._signed(scratch, "second", "signer")
        self._weights = self._app("-m", "app.weights", str(scratch / "first/model"))
        shutil.copytree(scratch / "first/model", scratch / "stranger/model")
        self._signed(scratch, "stranger", "stranger")

        login = ("-u", project.output("username"), "--password-stdin", self._host)
        self._run("docker", "login", *login, given=project.output("password"))
        ignored = shutil.ignore_patterns(".venv", ".*_cache", "__pycache__")
        shutil.copytree(paths.repository() / "app", scratch / "first/app", ignore=ignored)
        self._build(
            scratch / "first", "app/Dockerfile", "whole", WEIGHTS=self._weights, SIGNER=self._signer
        )
        faults = scratch / "faults"
        shutil.copytree(scratch / "second", faults / "second")
        shutil.copytree(scratch / "stranger/signature", faults / "stranger")
        graph = bytearray((scratch / "first/model/model.onnx").read_bytes())
        graph[len(graph) // 2] ^= 1
        (faults / "flipped.onnx").write_bytes(graph)
        for name, (lines, _) in FAULTS.items():
            (faults / "Dockerfile").write_text(
                f"FROM {self._host}/{MODEL}:whole\nUSER 0\n{lines}\nUSER 10001:10001\n"
            )
            self._build(faults, "Dockerfile", name)
        for name in ("whole", *FAULTS):
            self._start(name)

    def ended(self, name: str) -> dict[str, Any]:
        """The container's status, once it has ended or is ready."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            shown = self._run("kubectl", "get", "pod", name, "-n", NAMESPACE, "-o", "json")
            for status in json.loads(shown)["status"].get("containerStatuses", []):
                if status["ready"] or "terminated" in status["state"]:
                    return status
            time.sleep(0.5)
        raise AssertionError(f"{name} neither ended nor became ready:\n{shown}")

    def _start(self, name: str) -> None:
        probe = {"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 1}
        variables = {
            "MODEL_NAME": MODEL,
            "MODEL_VERSION": "1",
            "MODEL_WEIGHTS": self._weights,
            "MODEL_SIGNER": self._signer,
        }
        container = {
            "name": "model",
            "image": f"{self._host}/{MODEL}:{name}",
            "env": [{"name": key, "value": value} for key, value in variables.items()],
            "readinessProbe": probe,
            "resources": {
                "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
                "limits": {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "512Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "imagePullSecrets": [{"name": self._secret}],
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 10001,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [container],
            },
        }
        self._run("kubectl", "create", "-f", "-", given=json.dumps(pod))

    def _build(self, context: Path, dockerfile: str, tag: str, **arguments: str) -> None:
        image = f"{self._host}/{MODEL}:{tag}"
        options = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        recipe = str(context / dockerfile)
        self._run("docker", "build", "-t", image, "-f", recipe, *options, str(context))
        self._run("docker", "push", image)

    def _signed(self, scratch: Path, version: str, who: str) -> str:
        """Sign a version's model by the key of `who`; the key's fingerprint."""
        folder = scratch / version
        signature = str(folder / "signature/signature.json")
        sign = ("sign", str(folder / "model"), "--signature", signature, "--json")
        state = {"FERRY_STATE": str(scratch / who)}
        return json.loads(self._app("-m", "app.signing", *sign, **state))["signer"]

    def _app(self, *arguments: str, **variables: str) -> str:
        """What the app's Python prints."""
        python = str(paths.repository() / "app/.venv/bin/python")
        return self._run(python, *arguments, **variables).strip()

    def _run(self, *command: str, given: str | None = None, **variables: str) -> str:
        done = subprocess.run(
            command, cwd=paths.repository(), env={**self._environment, **variables},
            input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def lab(command: str) -> None:
    variables = {key: each for key, each in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command_line = [sys.executable, "-m", "lab", command, LAB]
    subprocess.run(command_line, cwd=paths.repository(), env=variables, check=True)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    lab("up")
    try:
        yield Models(tmp_path_factory.mktemp("weights"))
    finally:
        lab("purge")


def test_what_was_signed_becomes_ready(models: Models) -> None:
    assert models.ended("whole")["ready"]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_not_is_never_ready_and_the_pod_says_why(models: Models, fault: str) -> None:
    _, reason = FAULTS[fault]
    status = models.ended(fault)
    assert not status["ready"]
    ended = status["state"]["terminated"]
    assert ended["exitCode"] == 3, ended
    assert reason in ended["message"]
