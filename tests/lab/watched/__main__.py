"""What tests/lab/test_monitoring.py watches: a stack without models of its own, and receivers."""

from collections.abc import Sequence
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.labels import labels
from components.monitoring import Monitoring, MonitoringArgs
from components.object_store import ObjectStore, ObjectStoreArgs
from components.registry import Registry, RegistryArgs
from components.traffic import Gateway
from infra.namespaces import namespaces
from monitoring.routes import Email, Receivers, configuration

inside = pulumi.ResourceOptions(provider=k8s.Provider("cluster"))
roles = namespaces("mon", inside)
gateway = Gateway(class_name="traefik", domain="mon.ferry.test", namespace="traefik")
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
store = ObjectStore(
    "object-store",
    ObjectStoreArgs(
        namespace=roles["platform"],
        gateway=gateway,
        callers=[roles["monitoring"]],
        size="1Gi",
        keep=False,
    ),
    inside,
)

# The receivers of the test instead of those outside, and no time lost between messages.
receivers = Receivers(
    slack="slack-hook",
    pagerduty="pager-key",
    email=Email(
        server="receivers.mon-jobs.svc:2525",
        sender="ferry@example.org",
        to="team@example.org",
        username="ferry",
        secret="smtp",
    ),
)
routes = configuration(receivers)
routes["global"]["pagerduty_url"] = "http://receivers.mon-jobs.svc:8080/pagerduty"
authority = {"ca_file": "/etc/alertmanager/secrets/smtp/ca.crt"}
for each in routes["receivers"]:
    for mail in each.get("email_configs", ()):
        mail["tls_config"] = authority
routes["route"] |= {"group_wait": "1s", "group_interval": "1s"}
for name, values in {
    "slack-hook": {"url": "http://receivers.mon-jobs.svc:8080/slack"},
    "pager-key": {"key": "a routing key"},
    "smtp": {"password": "a password", "ca.crt": Path("tls.crt").read_text()},
}.items():
    k8s.core.v1.Secret(
        name,
        metadata={"name": name, "namespace": roles["monitoring"], "labels": labels(name)},
        string_data=values,
        opts=inside,
    )

rules = [
    {
        "alert": f"Broken{severity.title()}",
        "expr": "broken == 1",
        "labels": {"severity": severity},
        "annotations": {"summary": "It is broken."},
    }
    for severity in ("critical", "warning", "info")
]
watching = Monitoring(
    "monitoring",
    MonitoringArgs(
        namespaces=roles,
        environment="mon",
        gateway=gateway,
        callers=[roles["models"]],
        retention="7d",
        size=10,
        routes=routes,
        secrets=receivers.secrets,
        outside=receivers.ports,
        ports={"registry": "debug"},
        addresses={
            "object-store": [pulumi.Output.format("{0}/health", store.internal_endpoint)],
            "registry": [pulumi.Output.format("{0}/", registry.internal_url)],
            "models": ["http://prometheus.mon.ferry.test/-/healthy"],
        },
        rules=[{"name": "own", "interval": "1s", "rules": rules}],
    ),
    inside,
)
pulumi.export("url", watching.url)
pulumi.export("internalUrl", watching.internal_url)
pulumi.export("alertmanagerUrl", watching.alertmanager_url)


def pod(
    name: str,
    role: str,
    marks: dict[str, str],
    script: str,
    *arguments: str,
    more: Sequence[str] = (),
) -> None:
    """Runs a script of Python with `more` files beside it; Prometheus and Alertmanager reach it."""
    files = k8s.core.v1.Secret(
        name,
        metadata={"namespace": roles[role], "labels": labels(name)},
        string_data={each: Path(each).read_text() for each in (script, *more)},
        opts=inside,
    )
    traffic.allow(
        name,
        namespace=roles[role],
        callers=[roles["monitoring"]],
        ports=["http", "smtp"],
        opts=inside,
    )
    k8s.core.v1.Pod(
        name,
        metadata={
            "name": name,
            "namespace": roles[role],
            "labels": {**labels(name), **marks},
        },
        spec={
            **hardening.pod("default"),
            "containers": [
                {
                    "name": "main",
                    "image": "docker.io/library/python:3.11-slim",
                    "command": ["python3", f"/files/{script}", *arguments],
                    "ports": [
                        {"name": "http", "container_port": 8080},
                        {"name": "smtp", "container_port": 2525},
                    ],
                    "readiness_probe": {"http_get": {"path": "/", "port": "http"}},
                    "security_context": hardening.CONTAINER,
                    "volume_mounts": [{"name": "files", "mount_path": "/files"}],
                }
            ],
            "volumes": [{"name": "files", "secret": {"secret_name": files.metadata["name"]}}],
        },
        opts=inside,
    )


release = {"rollouts-pod-template-hash": "6d5c7"}
pod("stub-models", "models", {"ferry.dev/model": "credit", **release}, "stub.py")
pod("stub-platform", "platform", {"ferry.dev/model": "credit", **release}, "stub.py")
pod("stub-watch", "jobs", {"ferry.dev/watch": "credit"}, "stub.py")
certificate = ("tls.crt", "tls.key")
where = (f"/files/{each}" for each in certificate)
pod("receivers", "jobs", {}, "receivers.py", "8080", "2525", *where, more=certificate)
k8s.core.v1.Service(
    "receivers",
    metadata={"name": "receivers", "namespace": roles["jobs"], "labels": labels("receivers")},
    spec={
        "selector": {"app.kubernetes.io/name": "receivers"},
        "ports": [
            {"name": "http", "port": 8080, "target_port": "http"},
            {"name": "smtp", "port": 2525, "target_port": "smtp"},
        ],
    },
    opts=inside,
)
