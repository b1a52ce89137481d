"""One model of a given version, manner and delivery, on real parts: a stack, but for MLflow.

`analysis/` beside this file is the repository's; its judge may be the short one of these tests.
"""

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
from components.monitoring import of_models  # noqa: E402
from components.namespace import Namespace, NamespaceArgs  # noqa: E402
from components.prometheus import Prometheus, PrometheusArgs  # noqa: E402
from components.prometheus_operator import PrometheusOperator  # noqa: E402
from components.pull_secret import pull_secret  # noqa: E402
from components.registry import Registry, RegistryArgs  # noqa: E402
from components.rollouts_controller import (  # noqa: E402
    RolloutsController,
    RolloutsControllerArgs,
)
from components.scraping import pod_monitor  # noqa: E402
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


def built(name: str, tag: str, manner: str) -> pulumi.Output[str]:
    """An image of the model's server; those of former versions stay in the registry."""
    return pushed(
        name,
        tag=tag,
        build={
            "context": "model",
            "dockerfile": "model/Dockerfile",
            "args": {"VERSION": tag, "MANNER": manner},
        },
        registry=images,
        opts=pulumi.ResourceOptions(retain_on_delete=True),
    )


# Built and pushed while the registry is there, and pulled by no node until it is wanted.
spare = built("spare", "spare", "good")
image = spare if WANTED["spare"] else built("model", str(version), WANTED["manner"])
prometheus: pulumi.Input[str] = "http://prometheus.nowhere:9090"
if WANTED["watched"]:
    # The one part of the monitoring that a verdict needs.
    operator = PrometheusOperator(roles["monitoring"], inside)
    models = of_models(roles["models"])
    monitor = pod_monitor(
        "models",
        models,
        namespace=roles["monitoring"],
        opts=pulumi.ResourceOptions.merge(
            inside, pulumi.ResourceOptions(depends_on=operator.ready)
        ),
    )
    prometheus = Prometheus(
        PrometheusArgs(
            namespaces=roles,
            environment="moving",
            gateway=gateway,
            callers=[roles["models"]],
            retention="1d",
            size=1,
            scraped=[models],
        ),
        inside,
        ready=[*operator.ready, monitor],
    ).internal_url
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
            prometheus=prometheus,
            minimum_requests=WANTED["minimum"],
            deadline=WANTED["deadline"],
        ),
        controller=controller.ready,
        at_once=WANTED["at_once"],
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
        cpu=WANTED["cpu"],
        memory="64Mi",
        minimum=WANTED["replicas"],
        delivery=how,
    ),
    inside,
)
pulumi.export("url", model.url)
