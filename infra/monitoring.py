"""What watches the stack, and whom it tells."""

import pulumi

from components.mlflow_server import MlflowServer
from components.monitoring import Monitoring, MonitoringArgs
from components.traffic import Gateway
from infra.foundations import Foundation
from infra.settings import Receivers, Settings
from monitoring import routes, rules

_GIB = 10
# Those whose metrics are on a port of their own; the foundation names its own.
_PORTS = {"argo-rollouts": "metrics"}


def monitoring(
    wanted: Settings, foundation: Foundation, gateway: Gateway, mlflow: MlflowServer
) -> Monitoring:
    """One Prometheus; those that judge a release ask it from the models' namespace."""
    settings = wanted.platform.monitoring
    named = receivers(settings.receivers)
    return Monitoring(
        "monitoring",
        MonitoringArgs(
            namespaces=foundation.namespaces,
            environment=wanted.platform.environment,
            gateway=gateway,
            callers=[foundation.namespaces["models"]],
            retention=settings.retention,
            size=_GIB,
            routes=routes.configuration(named),
            secrets=named.secrets,
            outside=named.ports,
            ports={**foundation.metrics, **_PORTS},
            addresses=_addresses(wanted, foundation, gateway, mlflow),
            rules=rules.groups(settings.runbooks),
            screens=_screens() if settings.grafana else {},
        ),
        pulumi.ResourceOptions(provider=foundation.cluster),
    )


def _screens() -> dict[str, str]:
    from monitoring import dashboards  # dear to import, and not every stack has a Grafana

    return dashboards.texts()


def _addresses(
    wanted: Settings, foundation: Foundation, gateway: Gateway, mlflow: MlflowServer
) -> dict[str, list[pulumi.Input[str]]]:
    parts = {
        **foundation.answering,
        "mlflow": pulumi.Output.format("{0}/health", mlflow.internal_url),
    }
    asked: dict[str, list[pulumi.Input[str]]] = {name: [url] for name, url in parts.items()}
    # As its clients reach it: by name, through the Ingress controller.
    models = [f"http://{gateway.host(name)}/v2/health/ready" for name in sorted(wanted.pins)]
    return {**asked, "models": [*models]} if models else asked


def receivers(named: Receivers) -> routes.Receivers:
    """What a stack file names, as routes take it."""
    email = named.email
    return routes.Receivers(
        slack=named.slack,
        pagerduty=named.pagerduty,
        email=routes.Email(**email.model_dump()) if email else None,
    )
