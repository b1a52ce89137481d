"""An image of the platform's own: built here, pushed to the stack's registry."""

from dataclasses import dataclass

import pulumi
import pulumi_docker as docker


@dataclass(frozen=True, kw_only=True)
class ImageRegistry:
    """Where images are pushed; without a password the machine's own login serves."""

    host: pulumi.Input[str]
    """What image names begin with."""
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None


def pushed(
    name: str,
    *,
    tag: str,
    build: docker.DockerBuildArgsDict,
    registry: ImageRegistry,
    opts: pulumi.ResourceOptions,
) -> pulumi.Output[str]:
    """The image by the digest that the registry gave it.

    `tag` tells contents apart, so that a registry may refuse to move tags. Paths in `build` are
    relative, so that every checkout plans the same build.
    """
    login: docker.RegistryArgsDict = {
        "server": registry.host,
        "username": registry.username,
        "password": registry.password,
    }
    image = docker.Image(
        name,
        image_name=pulumi.Output.format("{0}/{1}:{2}", registry.host, name, tag),
        build={**build, "platform": "linux/amd64"},
        registry=login if registry.password is not None else None,
        opts=opts,
    )
    return image.repo_digest
