"""Between the engine's properties and Kubernetes objects; secrets stay marked on the way back."""

from collections.abc import Mapping
from typing import Any

from lab.standins.kubernetes.client import Object
from lab.standins.provider import Properties
from lab.standins.values import UNKNOWN, Secret, Value, has_secret, unwrap

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
INPUTS, MANAGER, API_VERSION = "__inputs", "__fieldManager", "__initialApiVersion"

SERVER_OWNED = (
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
"""Parts of the metadata that only the API server sets."""

# The SDKs cannot have dashes in the names of a CRD's schema properties.
_UNDERSCORED: dict[str, str] = {
    name.replace("-", "_"): name
    for name in (
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    )
}
_DASHED = {dashed: underscored for underscored, dashed in _UNDERSCORED.items()}


def manifest(inputs: Properties) -> Object:
    """The object to send: without marks, and with the API's own names."""
    return _renamed(unwrap(inputs), _UNDERSCORED)


def metadata(properties: Mapping[str, Value]) -> dict[str, Value]:
    """The object's metadata; empty if there is none or it is not known yet."""
    found = unwrap(properties.get("metadata"))
    return found if isinstance(found, dict) else {}


def declared(inputs: Properties) -> Properties:
    """The inputs without what only the server sets."""
    metadata = inputs.get("metadata")
    if not isinstance(metadata, dict):
        return inputs
    kept = {key: item for key, item in metadata.items() if key not in SERVER_OWNED}
    return {**inputs, "metadata": kept}


def annotation(properties: Mapping[str, Value], name: str) -> str:
    """The value of an annotation, "" if it is missing or not known yet."""
    annotations = metadata(properties).get("annotations")
    text = annotations.get(name, "") if isinstance(annotations, dict) else ""
    return "" if text is UNKNOWN or text is None else str(text)


def identity(live: Object) -> str:
    """The engine's id of an object: `namespace/name`, or `name` in the whole cluster."""
    found = live["metadata"]
    namespace = found.get("namespace")
    return f"{namespace}/{found['name']}" if namespace else found["name"]


def parsed(identity: str) -> tuple[str, str]:
    """The namespace ("" if there is none) and the name in an id."""
    namespace, _, name = identity.rpartition("/")
    return namespace, name


def state(inputs: Properties, live: Object, manager: str) -> Properties:
    """What the engine keeps, in the official provider's form, so that either can go on from it."""
    outputs = without_last_applied(_renamed(live, _DASHED))
    outputs = marked(outputs, inputs)
    outputs[INPUTS] = marked(unwrap(inputs), inputs)
    outputs[API_VERSION] = live["apiVersion"]
    outputs[MANAGER] = manager
    return outputs


def properties(thing: Object) -> Properties:
    """A Kubernetes object as properties, in the names that the SDKs have."""
    return _renamed(thing, _DASHED)


def live_of(outputs: Properties) -> Object:
    """The object in what the engine keeps."""
    own = (INPUTS, MANAGER, API_VERSION)
    return manifest({key: item for key, item in outputs.items() if key not in own})


def marked(properties: Properties, inputs: Properties) -> Properties:
    """Marks secret what is secret in the inputs, and all that a Secret holds.

    A list that holds a secret becomes secret as a whole: the server may reorder it.
    """
    if unwrap(properties.get("kind")) == "Secret":
        held = {key for key in ("data", "stringData") if key in properties}
        return properties | {key: Secret(unwrap(properties[key])) for key in held}
    result = dict(properties)
    for key, given in inputs.items():
        if key not in properties:
            continue
        if isinstance(properties[key], dict) and isinstance(given, dict):
            result[key] = marked(properties[key], given)
        elif has_secret(given):
            result[key] = Secret(unwrap(properties[key]))
    return result


def without_last_applied(live: Object) -> Object:
    """kubectl keeps a whole copy, a Secret's data too, in an annotation."""
    annotations = (live.get("metadata") or {}).get("annotations") or {}
    if LAST_APPLIED not in annotations:
        return live
    kept = {key: text for key, text in annotations.items() if key != LAST_APPLIED}
    return live | {"metadata": live["metadata"] | {"annotations": kept}}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:  # noqa: ANN401 (any JSON)
    if isinstance(value, dict):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value
