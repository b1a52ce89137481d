"""What a program sees of the stand-in for the provider `aws`, against a real S3 store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.lab.project import Project
from tests.lab.stores import Service, objects, s3_store

pytestmark = pytest.mark.lab

_HEAD = """
    import json
    import os
    import pulumi
    import pulumi_aws as aws

    store = aws.Provider(
        "store", endpoints=[{"s3": os.environ["STORE"]}], access_key=os.environ["STORE_USER"],
        secret_key=os.environ["STORE_PASSWORD"], region="us-east-1", s3_use_path_style=True,
        skip_credentials_validation=True, skip_metadata_api_check=True,
        skip_region_validation=True, skip_requesting_account_id=True,
    )
    here = pulumi.ResourceOptions(provider=store)
"""
_BUCKET = """
    bucket = aws.s3.Bucket(
        "data", object_lock_enabled=True, force_destroy=FORCE, tags={"use": "trial"}, opts=here
    )
    aws.s3.BucketVersioning(
        "versions", bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=here
    )
    aws.s3.BucketObjectLockConfiguration(
        "lock", bucket=bucket.id,
        rule={"default_retention": {"mode": MODE, "days": 1}}, opts=here,
    )
    pulumi.export("bucket", bucket.bucket)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with s3_store(tmp_path_factory.mktemp("store")) as service:
        yield service


@pytest.fixture
def project(tmp_path: Path, store: Service) -> Project:
    variables = {"STORE": f"http://{store.address}", "STORE_USER": store.user}
    return Project(tmp_path, {**variables, "STORE_PASSWORD": store.password})


@pytest.fixture
def s3(store: Service) -> Any:  # noqa: ANN401 - boto3's clients have no type
    return objects(store).meta.client


def test_a_locked_versioned_bucket_comes_stays_and_goes(
    project: Project,
    s3: Any,  # noqa: ANN401
) -> None:
    project.program(_HEAD, 'FORCE, MODE = True, "GOVERNANCE"', _BUCKET)
    assert project.preview() == {"create": 5}
    project.up()
    bucket = project.output("bucket")
    assert bucket.startswith("data-")
    assert len(bucket) == len("data-1234567")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    lock = s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    assert lock["Rule"]["DefaultRetention"] == {"Mode": "GOVERNANCE", "Days": 1}
    assert "trial-secret" not in project.state()

    project.refresh()
    assert project.preview() == {}

    # Under the default retention, which only force_destroy passes over.
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "use", "Value": "other"}]})
    project.refresh()
    assert project.preview() == {"update": 1}
    project.up()
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "use", "Value": "trial"}]

    project.destroy()
    with pytest.raises(ClientError, match="404"):
        s3.head_bucket(Bucket=bucket)


def test_a_full_bucket_is_kept_and_the_remedy_named(
    project: Project,
    s3: Any,  # noqa: ANN401
) -> None:
    project.program(_HEAD, 'FORCE, MODE = False, "COMPLIANCE"', _BUCKET).up()
    bucket = project.output("bucket")
    for key in ("evidence/1", "scratch"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    # Of its own, for this store forgets a default one together with the bucket's rule.
    retention = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(days=1)}
    s3.put_object_retention(Bucket=bucket, Key="evidence/1", Retention=retention)
    ran = project.run("destroy", "--yes", "--skip-preview")
    assert ran.code != 0
    assert "set forceDestroy" in ran.text

    project.program(_HEAD, 'FORCE, MODE = True, "COMPLIANCE"', _BUCKET).up()
    ran = project.run("destroy", "--yes", "--skip-preview")
    assert ran.code != 0
    assert "evidence/1 (version " in ran.text
    assert "wait until their retention ends" in ran.text
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["evidence/1"]


def test_a_bucket_that_vanished_is_made_again(
    project: Project,
    s3: Any,  # noqa: ANN401
) -> None:
    program = 'pulumi.export("bucket", aws.s3.Bucket("gone", opts=here).bucket)'
    project.program(_HEAD, program).up()
    s3.delete_bucket(Bucket=project.output("bucket"))
    project.refresh()
    assert project.preview() == {"create": 1}


def test_a_setting_that_the_store_lacks_is_an_error_that_says_so(project: Project) -> None:
    program = """
        bucket = aws.s3.Bucket("plain", opts=here)
        aws.s3.BucketPublicAccessBlock("block", bucket=bucket.id, block_public_acls=True, opts=here)
    """
    ran = project.program(_HEAD, program).run("up", "--yes", "--skip-preview")
    assert ran.code != 0
    assert "does not implement PutPublicAccessBlock" in ran.text
    assert "declare that this store lacks it" in ran.text
    # What could be made is in state, so that nothing is lost.
    assert len(project.resources("aws:s3/bucket:Bucket")) == 1


def test_policy_ownership_and_objects(
    project: Project,
    s3: Any,  # noqa: ANN401
) -> None:
    program = """
    bucket = aws.s3.Bucket("plain", bucket="plain-and-named", force_destroy=True, opts=here)
    statement = {
        "Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl",
        "Resource": bucket.arn.apply(lambda arn: arn + "/*"),
    }
    aws.s3.BucketPolicy("policy", bucket=bucket.id, policy=pulumi.Output.json_dumps(
        {"Version": "2012-10-17", "Statement": [statement]}), opts=here)
    aws.s3.BucketOwnershipControls(
        "owner", bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=here)
    aws.s3.BucketObjectv2("secret", bucket=bucket.id, key="a/b",
        content=pulumi.Output.secret("the-content-" + TURN), opts=here)
    aws.s3.BucketObjectv2("file", bucket=bucket.id, source=pulumi.FileAsset("file.txt"), opts=here)
    """
    file = project.folder / "file.txt"
    file.write_text("1")
    project.program(_HEAD, 'TURN = "1"', program).up()
    assert s3.get_object(Bucket="plain-and-named", Key="a/b")["Body"].read() == b"the-content-1"
    assert "the-content-1" not in project.state()
    project.refresh()
    assert project.preview() == {}

    file.write_text("2")
    project.program(_HEAD, 'TURN = "2"', program)
    assert project.preview() == {"update": 2}
    project.up()
    assert s3.get_object(Bucket="plain-and-named", Key="file")["Body"].read() == b"2"
    project.destroy()


def test_an_existing_bucket_can_be_adopted_and_not_made_twice(
    project: Project,
    s3: Any,  # noqa: ANN401
) -> None:
    s3.create_bucket(Bucket="there-already")
    program = 'aws.s3.Bucket("b", bucket="there-already", opts=here)'
    ran = project.program(_HEAD, program).run("up", "--yes", "--skip-preview")
    assert "pulumi import aws:s3/bucket:Bucket b there-already" in ran.text
    adopting = 'here.import_ = "there-already"'
    project.program(_HEAD, adopting, program).up()
    project.program(_HEAD, program)
    assert project.preview() == {}


def test_a_preview_needs_no_store_that_does_not_exist_yet(project: Project) -> None:
    project.program(
        """
        import pulumi
        import pulumi_aws as aws
        import pulumi_random as random

        name = random.RandomString("endpoint", length=8, special=False, upper=False).result
        store = aws.Provider(
            "store", endpoints=[{"s3": name.apply(lambda n: f"http://{n}")}], region="us-east-1"
        )
        bucket = aws.s3.Bucket("data", opts=pulumi.ResourceOptions(provider=store))
        aws.s3.BucketVersioning("versions", bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=pulumi.ResourceOptions(provider=store))
        """
    )
    assert project.preview() == {"create": 5}


def test_what_is_not_covered_is_refused_by_name(project: Project) -> None:
    project.program(_HEAD, 'aws.sqs.Queue("q", opts=here)')
    ran = project.run("preview")
    assert "aws:sqs/queue:Queue is not covered by the lab's stand-in; use the official" in ran.text
    project.program(_HEAD, 'aws.ec2.Vpc("v", cidr_block="10.0.0.0/8", opts=here)')
    assert "where AWS is none that `make rehearse` emulates" in project.run("preview").text
    project.program(_HEAD, 'aws.s3.Bucket("b", acl="private", opts=here)')
    assert "acl of aws:s3/bucket:Bucket is not covered" in project.run("preview").text
