"""Images of the repository's own folders, as they are in the working tree."""

import os
from pathlib import Path

import pulumi

from components.image import pushed
from infra.foundations import Foundation
from infra.revision import revision

_ROOT = Path(__file__).parents[1]


def built(
    name: str,
    foundation: Foundation,
    *,
    folder: str,
    dockerfile: str = "Dockerfile",
    opts: pulumi.ResourceOptions | None = None,
) -> pulumi.Output[str]:
    """The image `name` of `folder`, by digest; its tag is the last commit that touched it."""
    commit = revision(_ROOT / folder)
    context = os.path.relpath(_ROOT / folder)
    return pushed(
        name,
        tag=commit or "unknown",
        build={
            "context": context,
            "dockerfile": f"{context}/{dockerfile}",
            "args": {"REVISION": commit},
        },
        registry=foundation.images.registry,
        opts=opts or pulumi.ResourceOptions(),
    )
