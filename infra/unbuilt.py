"""What a stack may ask for that this program does not build yet: refused, never left out."""

from collections.abc import Iterator

from infra.complaints import Complaint, SettingsError
from infra.settings import ClusterFoundation, Monitoring, Settings

# Whose weights the controller of deliveries knows how to move, of the classes that are built.
_ROUTERS = ("traefik",)


def refuse(settings: Settings, file: str) -> ClusterFoundation:
    """The stack's foundation, which is of the one kind that is built.

    Raises SettingsError that names everything in the stack's `file` that is not built.
    """
    foundation = settings.platform.foundation
    complaints = list(_complaints(settings, file))
    if complaints or not isinstance(foundation, ClusterFoundation):
        raise SettingsError(complaints)
    return foundation


def _complaints(settings: Settings, file: str) -> Iterator[Complaint]:
    platform, top = settings.platform, "ferry:platform"
    if not isinstance(platform.foundation, ClusterFoundation):
        found = repr(platform.foundation.kind)
        path = (top, "foundation", "kind")
        yield Complaint(path, found, "'cluster', the only one built", file=file)
    asked = platform.monitoring
    if asked != Monitoring(retention=asked.retention, receivers=asked.receivers):
        path, built = (top, "monitoring"), "none but retention and receivers, which are built"
        yield Complaint(path, "settings", built, file=file)
    for name, model in platform.models.items():
        if model.delivery.kind != "rolling" and platform.ingress.class_name not in _ROUTERS:
            path = (top, "models", name, "delivery", "kind")
            found = f"{model.delivery.kind!r} behind Ingress class {platform.ingress.class_name!r}"
            known = " or ".join(_ROUTERS)
            wanted = f"'rolling': weights are moved where the class is {known}"
            yield Complaint(path, found, wanted, file=file)
