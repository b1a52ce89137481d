"""The MLflow server's image, built from its own folder and pushed to the stack's registry."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_docker as docker

VERSION = "3.17.2"
_CONTEXT = Path(__file__).parent / "mlflow"


@dataclass(frozen=True, kw_only=True)
class ImageRegistry:
    """Where the server's image is pushed; without a password the machine's own login serves."""

    host: pulumi.Input[str]
    """What image names begin with."""
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None


def mlflow_image(
    name: str, registry: ImageRegistry, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The image by the digest that the registry gave it."""
    content = hashlib.sha256()
    for file in ("Dockerfile", "requirements.txt"):
        content.update((_CONTEXT / file).read_bytes())
    login: docker.RegistryArgsDict = {
        "server": registry.host,
        "username": registry.username,
        "password": registry.password,
    }
    image = docker.Image(
        name,
        # The tag tells contents apart, so that a registry may refuse to move tags.
        image_name=pulumi.Output.format(
            "{0}/{1}:{2}-{3}", registry.host, name, VERSION, content.hexdigest()[:12]
        ),
        # Relative, so that every checkout plans the same build.
        build={"context": os.path.relpath(_CONTEXT), "platform": "linux/amd64"},
        registry=login if registry.password is not None else None,
        opts=opts,
    )
    return image.repo_digest
