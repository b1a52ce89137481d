"""What a stack may ask for that this program does not build yet: refused, never left out."""

from collections.abc import Iterator

from infra.complaints import Complaint, SettingsError
from infra.settings import ClusterFoundation, Monitoring, Settings


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
    if platform.monitoring != Monitoring():
        path = (top, "monitoring")
        yield Complaint(path, "settings", "none: monitoring is not built yet", file=file)
    for name, model in platform.models.items():
        if model.delivery.kind != "rolling":
            path = (top, "models", name, "delivery", "kind")
            found = repr(model.delivery.kind)
            yield Complaint(path, found, "'rolling', the only one built", file=file)
