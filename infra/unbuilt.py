"""What a stack may ask for that this program does not build yet: refused, never left out."""

from collections.abc import Iterator

from infra.account import AwsFoundation
from infra.complaints import Complaint, SettingsError
from infra.settings import ClusterFoundation, Settings

BALANCER = "alb"
"""The Ingress class that an account of Amazon's brings: its load balancers."""
# Whose weights the controller of deliveries knows how to move, of the classes that are built.
_ROUTERS = ("traefik",)


def refuse(settings: Settings, file: str) -> ClusterFoundation | AwsFoundation:
    """The stack's foundation.

    Raises SettingsError that names everything in the stack's `file` that is not built.
    """
    complaints = list(_complaints(settings, file))
    if complaints:
        raise SettingsError(complaints)
    return settings.platform.foundation


def _complaints(settings: Settings, file: str) -> Iterator[Complaint]:
    platform, top = settings.platform, "ferry:platform"
    on_aws = isinstance(platform.foundation, AwsFoundation)
    if (platform.ingress.class_name == BALANCER) != on_aws:
        path, found = (top, "ingress", "class"), repr(platform.ingress.class_name)
        wanted = (
            f"{BALANCER!r}, which is what an account of AWS has"
            if on_aws
            else (
                f"the class of a controller in the cluster; {BALANCER!r} needs foundation.kind aws"
            )
        )
        yield Complaint(path, found, wanted, file=file)
    for name, model in platform.models.items():
        if model.delivery.kind != "rolling" and platform.ingress.class_name not in _ROUTERS:
            path = (top, "models", name, "delivery", "kind")
            found = f"{model.delivery.kind!r} behind Ingress class {platform.ingress.class_name!r}"
            known = " or ".join(_ROUTERS)
            wanted = f"'rolling': weights are moved where the class is {known}"
            yield Complaint(path, found, wanted, file=file)
