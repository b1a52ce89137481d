"""Names that the provider gives: of objects, of their namespace, of the field manager."""

import hashlib
import secrets

from lab.standins.kubernetes.objects import annotation, metadata
from lab.standins.provider import Invalid, Operation, Properties
from lab.standins.values import UNKNOWN

AUTONAMED = "pulumi.com/autonamed"
FIELD_MANAGER = "pulumi.com/patchFieldManager"

CREATOR = "pulumi-kubernetes"
"""The field manager that the official provider creates with, and the prefix of our own."""


def named(operation: Operation, old: Properties, new: Properties, seed: bytes) -> Properties:
    """The inputs with a name: the given one, the one it got before, or `<name>-<8 hex>`."""
    given = new.get("metadata") or {}
    if given is UNKNOWN:
        return new
    inputs = metadata(new)
    if inputs.get("name"):
        return new
    if inputs.get("generateName"):
        reason = "the `.metadata.generateName` field is not supported in Server-Side Apply mode"
        raise Invalid({"metadata.generateName": reason})
    name = metadata(old).get("name") if annotation(old, AUTONAMED) == "true" else None
    name = name or f"{operation.name}-{_eight_hex(seed, operation.urn)}"
    annotations = inputs.get("annotations") or {}
    if annotations is not UNKNOWN:
        annotations = {**annotations, AUTONAMED: "true"}
    return {**new, "metadata": {**given, "name": name, "annotations": annotations}}


def manager_of(operation: Operation, inputs: Properties, kept: str | None) -> str:
    """The field manager: the annotation's, the one it got before, or a new one."""
    fresh = f"{CREATOR}-{_eight_hex(b'', operation.urn)}"
    return annotation(inputs, FIELD_MANAGER) or kept or fresh


def _eight_hex(seed: bytes, urn: str) -> str:
    if not seed:
        return secrets.token_hex(4)
    return hashlib.sha256(seed + urn.encode()).hexdigest()[:8]
