"""What watches the stack's models."""

import pulumi

from components.monitoring import Monitoring, MonitoringArgs
from components.traffic import Gateway
from infra.foundations import Foundation
from infra.settings import Settings

_GIB = 10


def monitoring(wanted: Settings, foundation: Foundation, gateway: Gateway) -> Monitoring:
    """One Prometheus; those that judge a release ask it from the models' namespace."""
    models = foundation.namespaces["models"]
    return Monitoring(
        "prometheus",
        MonitoringArgs(
            namespace=foundation.namespaces["monitoring"],
            models=models,
            gateway=gateway,
            callers=[models],
            retention=wanted.platform.monitoring.retention,
            size=_GIB,
        ),
        pulumi.ResourceOptions(provider=foundation.cluster),
    )
