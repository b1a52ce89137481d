"""One model of a given version and delivery, on real parts: what a stack does, but for MLflow."""

import json
import sys
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

WANTED = json.loads(Path("wanted.json").read_text())
sys.path.insert(0, WANTED["root"])

from components.delivery import How  # noqa: E402
from components.image import ImageRegistry, pushed  # noqa: E402
from components.judging import Judge  # noqa: E402
from components.model_service import ModelService, ModelServiceArgs  # noqa: E402
from components.namespace import Namespace, NamespaceArgs  # noqa: E402
from components.pull_secret import pull_secret  # noqa: E402
from components.registry import Registry, RegistryArgs  # noqa: E402
from components.rollouts_controller import (  # noqa: E402
    RolloutsController,
    RolloutsControllerArgs,
)
from components.traffic import Gateway  # noqa: E402

gateway = Gateway(class_name="traefik", domain=WANTED["domain"], namespace="traefik")
inside = pulumi.ResourceOptions(provider=k8s.Provider("cluster", upsert_existing_objects=True))
roles = {
    role: Namespace(
        role, NamespaceArgs(name=f"moving-{role}", pods=50, cpu="8", memory="16Gi"), inside
    ).name
    for role in ("platform", "models", "monitoring")
}
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
images = ImageRegistry(host=registry.host, username=registry.username, password=registry.password)
secret = pull_secret(
    "pull-models",
    namespace=roles["models"],
    docker_config_json=registry.docker_config_json,
    opts=inside,
)
judge = pushed(
    "analysis",
    tag="1",
    build={"context": "analysis", "dockerfile": "analysis/Dockerfile"},
    registry=images,
    opts=pulumi.ResourceOptions(),
)
version = WANTED["version"]
image = pushed(
    "model",
    tag=str(version),
    build={
        "context": "model",
        "dockerfile": "model/Dockerfile",
        "args": {"VERSION": str(version)},
    },
    registry=images,
    opts=pulumi.ResourceOptions(retain_on_delete=True),
)
how = None
if WANTED["delivery"] != "rolling":
    controller = RolloutsController(
        "argo-rollouts",
        RolloutsControllerArgs(
            namespace=roles["platform"], models=roles["models"], monitoring=roles["monitoring"]
        ),
        inside,
    )
    how = How(
        steps=WANTED["steps"] if WANTED["delivery"] == "canary" else (),
        judge=Judge(
            image=judge,
            prometheus="http://prometheus-operated.moving-monitoring:9090",
            minimum_requests=20,
            deadline=120,
        ),
        controller=controller.ready,
    )
model = ModelService(
    "model",
    ModelServiceArgs(
        namespace=roles["models"],
        gateway=gateway,
        monitoring=roles["monitoring"],
        image=image,
        version=version,
        weights="sha256:" + "0" * 64,
        signer="keyless",
        pull_secret=secret,
        cpu="50m",
        memory="64Mi",
        delivery=how,
    ),
    inside,
)
pulumi.export("url", model.url)
