"""The login with which a namespace's pods pull from the stack's registry."""

import pulumi
import pulumi_kubernetes as k8s

from components.labels import labels


def pull_secret(
    name: str,
    *,
    namespace: pulumi.Input[str],
    docker_config_json: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The name of the Secret."""
    secret = k8s.core.v1.Secret(
        name,
        metadata={"namespace": namespace, "labels": labels(name)},
        type="kubernetes.io/dockerconfigjson",
        string_data={".dockerconfigjson": pulumi.Output.secret(docker_config_json)},
        opts=opts,
    )
    return secret.metadata["name"]


def pulls_with(
    secret: pulumi.Input[str] | None,
) -> list[k8s.core.v1.LocalObjectReferenceArgsDict] | None:
    """What a pod's `image_pull_secrets` is; None where images are pulled without a login."""
    return None if secret is None else [{"name": secret}]
