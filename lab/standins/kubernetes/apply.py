"""Creates, changes and deletes objects; server-side apply with a field manager of our own."""

from collections.abc import Callable

from lab.standins.kubernetes.client import ApiError, Client, NoSuchKind, Object
from lab.standins.kubernetes.naming import CREATOR
from lab.standins.kubernetes.objects import annotation, identity
from lab.standins.provider import Operation, ProviderError

_TRIES = 5
_PAUSES = (1, 2, 4, 8)  # seconds before each new try

_EXISTS = """

The resource already exists in the cluster. This can happen when:

  - Renaming a Pulumi resource: use an alias to preserve the identity,
    or use deleteBeforeReplace if the resource needs replacement.
  - Adopting a resource into Pulumi: use `pulumi import`.
  - Intentional upsert: set upsertExistingObjects on the provider to allow
    server-side apply to update existing objects on create."""

_OURS = (
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    (CREATOR, "Update"),
    ("pulumi-resource-kubernetes", "Update"),
)
"""Field managers whose fields an update takes over: our creations, earlier uses of kubectl."""


def create(
    operation: Operation, manifest: Object, manager: str, client: Client, *, upsert: bool
) -> Object:
    """The new object. Waits a little for a namespace or a CRD that is about to come.

    Raises ProviderError with what can be done about it if the object exists.
    """

    def attempt() -> Object:
        if not upsert and client.has(manifest):
            name = f"{client.resource(manifest)} {manifest['metadata']['name']!r}"
            raise ProviderError(f"{name} already exists{_EXISTS}")
        # Not POST, whose fields would belong to another kind of manager: a later preview could
        # not see a field go, and handing them over is a write that controllers stumble over.
        return client.apply(manifest, manager, force=forced(manifest), dry_run=False)

    return _patiently(operation, attempt)


def create_dry(manifest: Object, client: Client) -> Object | None:
    """The object as it would be created; None if the server cannot say yet."""
    try:
        return client.create(manifest, CREATOR, dry_run=True)
    except NoSuchKind:
        return None
    except ApiError as error:
        # A replaced object still holds its name; a namespace may come with this very update.
        if error.exists or error.missing_namespace or error.status == 403:
            return None
        raise


def update(manifest: Object, manager: str, client: Client, *, force: bool, dry_run: bool) -> Object:
    """The changed object. Raises ProviderError that names the other manager on a conflict."""
    try:
        live = client.get(manifest)
    except ApiError as error:
        if error.missing:
            message = f"{error}: it was deleted behind Pulumi's back; run `pulumi refresh`"
            raise ProviderError(message) from error
        raise
    managed = live["metadata"].get("managedFields") or []
    if not dry_run:
        _taken_over(live, manager, client)
    elif any((each["manager"], each["operation"]) == (CREATOR, "Update") for each in managed):
        # The real update takes these over first.
        force = True
    try:
        return client.apply(manifest, manager, force=force or not managed, dry_run=dry_run)
    except ApiError as error:
        if error.reason != "Conflict":
            raise
        raise ProviderError(
            "Server-side apply field conflict detected. The resource managed by field manager "
            f'"{manager}" had an apply conflict: {error}\n'
            "Leave the field to its other manager, or take it with the annotation "
            'pulumi.com/patchForce: "true"'
        ) from error


def delete(inputs: Object, live: Object, client: Client) -> bool:
    """Whether there was something to delete; dependents go first unless an annotation says so."""
    asked = annotation(inputs, "pulumi.com/deletionPropagationPolicy").capitalize()
    propagation = asked if asked in ("Orphan", "Background") else "Foreground"
    try:
        client.delete(live, propagation)
    except NoSuchKind:
        return False
    except ApiError as error:
        if error.missing:
            return False
        raise
    return True


def forced(manifest: Object) -> bool:
    """Whether the object asks to take fields from other managers."""
    return annotation(manifest, "pulumi.com/patchForce") == "true"


def _patiently(operation: Operation, attempt: Callable[[], Object]) -> Object:
    for number, pause in enumerate((*_PAUSES, None), start=1):
        try:
            return attempt()
        except (ApiError, NoSuchKind) as error:
            if isinstance(error, ApiError) and not error.missing:
                raise
            if pause is None or operation.cancelled.is_set():
                raise
            operation.status(f"Retry #{number}; creation failed: {error}")
        operation.cancelled.wait(pause)
    raise AssertionError


def _taken_over(live: Object, manager: str, client: Client) -> Object:
    """Makes fields of earlier managers ours, so that those we no longer name are removed."""
    for _ in range(_TRIES):
        entries = live["metadata"].get("managedFields") or []
        if not any(map(_is_earlier, entries)):
            return live
        changes = {
            "managedFields": _merged(entries, manager),
            # Refused if somebody has changed the object since it was read.
            "resourceVersion": live["metadata"]["resourceVersion"],
        }
        operations = [
            {"op": "replace", "path": f"/metadata/{key}", "value": value}
            for key, value in changes.items()
        ]
        try:
            return client.patch(live, operations)
        except ApiError as error:
            if error.reason != "Conflict":
                raise
        live = client.get(live)
    raise ProviderError(
        f"{live['kind']} {identity(live)} changes too often to take its fields over"
    )


def _merged(entries: list[Object], manager: str) -> list[Object]:
    """The entries with those of earlier managers joined into the one of `manager`."""
    ours = [each for each in entries if _is_earlier(each) or _is_mine(each, manager)]
    fields = _union([each["fieldsV1"] for each in ours])
    entry = {**ours[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [*(each for each in entries if each not in ours), entry]


def _is_earlier(entry: Object) -> bool:
    return (entry["manager"], entry["operation"]) in _OURS and not entry.get("subresource")


def _is_mine(entry: Object, manager: str) -> bool:
    return (entry["manager"], entry["operation"]) == (manager, "Apply")


def _union(trees: list[Object]) -> Object:
    merged: Object = {}
    for tree in trees:
        for key, inner in tree.items():
            merged[key] = _union([merged.get(key, {}), inner])
    return merged
