"""What a stack is where there is no cluster: of each pinned model three objects in its bucket.

Copied as a project's `__main__.py`. The last object is what "serves": it says which version does.
Versions that end in 9 are bad, and fail there, after the other two were changed.
"""

import json
import os
import sys
from typing import Any

import pulumi
import pulumi_aws as aws

sys.path.insert(0, os.environ["BENCH_ROOT"])

from benchmarks.stacks import PARTS
from infra import outputs, settings

STACK = pulumi.get_stack()
WANTED = settings.load()
USER, PASSWORD = os.environ["BENCH_USER"], os.environ["BENCH_PASSWORD"]
provider = aws.Provider(
    "store",
    endpoints=[{"s3": os.environ["BENCH_STORE"]}],
    region="us-east-1",
    s3_use_path_style=True,
    skip_credentials_validation=True,
    skip_metadata_api_check=True,
    skip_region_validation=True,
    skip_requesting_account_id=True,
    access_key=USER,
    secret_key=PASSWORD,
)


class Model(pulumi.ComponentResource):
    """The objects of one pinned model, each after the one before."""

    def __init__(self, name: str, pin: settings.Pin) -> None:
        super().__init__("ferry:serving:ModelService", name, {"image": pin.image})
        before: list[pulumi.Resource] = []
        for part in PARTS:
            bad = part == "served" and pin.version % 10 == 9
            content: dict[str, Any] = {"content": json.dumps({"version": pin.version})}
            made = aws.s3.BucketObjectv2(
                f"{name}-{part}",
                bucket=STACK,
                key=f"{part}/{name}.json",
                **({} if bad else content),
                opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=before),
            )
            before = [made]
        self.register_outputs({})


for model, wanted in WANTED.pins.items():
    Model(model, wanted)
outputs.export(
    {
        "objectStore": {"accessKey": USER, "secretKey": PASSWORD},
        "mlflow": {"username": "u", "password": "p"},
        "registry": {
            "username": USER,
            "password": os.environ["BENCH_REGISTRY_PASSWORD"],
        },
    },
    environment=STACK,
    namespaces={role: STACK for role in ("platform", "monitoring", "models", "jobs")},
    bucket={"name": STACK, "endpoint": os.environ["BENCH_STORE"], "region": "us-east-1"},
    registry={"url": os.environ["BENCH_REGISTRY"]},
    mlflow={"url": os.environ["BENCH_MLFLOW"], "internalUrl": os.environ["BENCH_MLFLOW"]},
    models={
        model: {
            "url": f"{os.environ['BENCH_MLFLOW']}/{STACK}",
            "namespace": STACK,
            "rollout": model,
            "release": wanted.model_dump(include={"version", "image", "weights", "evidence"}),
        }
        for model, wanted in WANTED.pins.items()
    },
)
