"""The MLflow server's image, built from its own folder and pushed to the stack's registry."""

import hashlib
import os
from pathlib import Path

import pulumi

from components.image import ImageRegistry, pushed

VERSION = "3.17.2"
_CONTEXT = Path(__file__).parent / "mlflow"


def mlflow_image(
    name: str, registry: ImageRegistry, opts: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """The image by the digest that the registry gave it."""
    content = hashlib.sha256()
    for file in ("Dockerfile", "requirements.txt", "backup.py", "databases.py", "logins.py"):
        content.update((_CONTEXT / file).read_bytes())
    return pushed(
        name,
        tag=f"{VERSION}-{content.hexdigest()[:12]}",
        build={"context": os.path.relpath(_CONTEXT)},
        registry=registry,
        opts=opts,
    )
