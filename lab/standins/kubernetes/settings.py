"""The provider's arguments; what is left out comes from the environment, as officially."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from lab.standins.provider import Properties, Refused
from lab.standins.values import unwrap

_COVERED = (
    "kubeconfig context namespace enableServerSideApply enablePatchForce upsertExistingObjects "
    "enableConfigMapMutable enableSecretMutable deleteUnreachable suppressDeprecationWarnings "
    "version pluginDownloadURL suppressHelmHookWarnings kubeClientSettings "
    "clusterIdentifier"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """`kubeconfig` holds contents or a path; None means the ambient one."""

    kubeconfig: str | None
    context: str | None
    namespace: str | None
    patch_force: bool
    upsert: bool
    mutable_config_maps: bool
    mutable_secrets: bool
    delete_unreachable: bool


def settings(args: Properties) -> Settings:
    """Raises Refused for arguments that this stand-in does not cover."""
    given = {key: item for key, item in unwrap(args).items() if item not in (None, "")}
    if unknown := sorted(set(given) - set(_COVERED.split())):
        raise Refused(
            f"the lab's stand-in for kubernetes does not cover the provider argument "
            f"{', '.join(unknown)}; it covers {_COVERED}"
        )
    if not _flag(given, "enableServerSideApply", "SERVER_SIDE_APPLY", default=True):
        raise Refused(
            "the lab's stand-in for kubernetes applies on the server only; "
            "leave out enableServerSideApply: false"
        )
    return Settings(
        kubeconfig=given.get("kubeconfig"),
        context=given.get("context"),
        namespace=given.get("namespace"),
        patch_force=_flag(given, "enablePatchForce", "PATCH_FORCE"),
        upsert=_flag(given, "upsertExistingObjects", "UPSERT_EXISTING_OBJECTS", prefix=""),
        mutable_config_maps=_flag(given, "enableConfigMapMutable", "CONFIGMAP_MUTABLE"),
        mutable_secrets=_flag(given, "enableSecretMutable", "SECRET_MUTABLE"),
        delete_unreachable=_flag(given, "deleteUnreachable", "DELETE_UNREACHABLE", prefix=""),
    )


def _flag(
    given: Mapping[str, object],
    key: str,
    variable: str,
    *,
    prefix: str = "ENABLE_",
    default: bool = False,
) -> bool:
    fallback = os.environ.get(f"PULUMI_K8S_{prefix}{variable}", str(default))
    return str(given.get(key, fallback)).lower() == "true"
