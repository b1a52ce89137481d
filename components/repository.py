"""A repository of images in ECR, from which nothing that a stack pins is ever taken."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

# A pinned digest has the tag that it was pushed with, and tags never move: what has none is the
# rest of a push that did not end, or a part of an index, which ECR keeps as long as the index.
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": "Rests of pushes that did not end",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": 30,
            },
            "action": {"type": "expire"},
        }
    ]
}


@dataclass(frozen=True, kw_only=True)
class RepositoryArgs:
    key: pulumi.Input[str]
    """ARN of the key that its images are encrypted with."""
    keep: bool


class Repository(pulumi.ComponentResource):
    """Named as its images are: the account is the stack's alone."""

    url: pulumi.Output[str]
    """What the image is named: `<account>.dkr.ecr.<region>.amazonaws.com/<name>`."""
    arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: RepositoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:Repository", name, {"keep": args.keep}, opts)
        repository = aws.ecr.Repository(
            name,
            name=name,
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration={"scan_on_push": True},
            encryption_configurations=[{"encryption_type": "KMS", "kms_key": args.key}],
            force_delete=not args.keep,
            opts=pulumi.ResourceOptions(parent=self, protect=args.keep, retain_on_delete=args.keep),
        )
        lifecycle = aws.ecr.LifecyclePolicy(
            name,
            repository=repository.name,
            policy=json.dumps(_LIFECYCLE),
            opts=pulumi.ResourceOptions(parent=self, deleted_with=repository),
        )
        self.arn = repository.arn
        self.url = pulumi.Output.all(repository.repository_url, lifecycle.id).apply(
            lambda known: known[0]
        )
        self.register_outputs({"url": self.url, "arn": self.arn})
