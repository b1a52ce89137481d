"""The accounts of the object store, in a real one: each does what it must, and nothing else."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError

from components.bucket_access import policy
from components.object_store import users
from infra.accounts import accounts, grants
from infra.settings import parse
from tests.lab.stores import Service, s3_store

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
BUCKET = "loans"
MODEL = "credit-default"
SERVER, WATCH = f"server-{MODEL}", f"watch-{MODEL}"
LOG = f"requests/{MODEL}/7/2026-11-30T02/pod-1.jsonl.gz"
BACKUP = f"backups/mlflow/20261130T021700Z-{'0' * 64}.tar.gz"
EVERYTHING = [
    *("data/loans/2016-03-31.parquet", "manifests/loans/2016-03-31.json"),
    *("validations/loans/2016-03-31/ab.json", "quarantine/loans/2016-03-31/ab.json"),
    *("signals/retrain/loans/2016-03-31.json", f"signals/retraining/{MODEL}/j.json"),
    *(LOG, "requests/other/7/2026-11-30T02/pod-1.jsonl.gz"),
    *(f"labels/{MODEL}/2026-11-30/a.jsonl.gz", f"reports/drift/{MODEL}/7/2026-11-30T02.json"),
    *(f"reports/retraining/{MODEL}/j.json", "reports/batch/r/2016-03-31.parquet"),
    *(f"evidence/{MODEL}/7/release.json", "ledger/dev/1.json", "mlflow/1/x", BACKUP),
]
# What each account may do, key by key; all else must be refused.
READS = {
    "backup": {BACKUP},
    "mlflow": {"mlflow/1/x"},
    "jobs": {key for key in EVERYTHING if key.startswith(("data", "manif", "valid", "reports"))},
    SERVER: set[str](),
    WATCH: {
        *(f"signals/retraining/{MODEL}/j.json", "signals/retrain/loans/2016-03-31.json", LOG),
        *(f"labels/{MODEL}/2026-11-30/a.jsonl.gz", f"reports/drift/{MODEL}/7/2026-11-30T02.json"),
        *(f"reports/retraining/{MODEL}/j.json", f"evidence/{MODEL}/7/release.json"),
    },
}
WRITES = {
    "backup": {BACKUP},
    "mlflow": {"mlflow/1/x"},
    "jobs": {
        *READS["jobs"],
        *("quarantine/loans/2016-03-31/ab.json", "signals/retrain/loans/2016-03-31.json"),
    },
    SERVER: {LOG},
    WATCH: {
        *(f"signals/retraining/{MODEL}/j.json", f"labels/{MODEL}/2026-11-30/a.jsonl.gz"),
        f"reports/drift/{MODEL}/7/2026-11-30T02.json",
    },
}
ACCOUNTS = sorted(READS)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A store with the accounts and the policy of the stack dev, and one object of each kind."""
    platform = parse((ROOT / "Pulumi.dev.yaml").read_text(), stack="dev").platform
    assert sorted(accounts(platform)) == ACCOUNTS
    file = users({f"key-{name}": f"secret-{name}" for name in ACCOUNTS})
    with s3_store(tmp_path_factory.mktemp("store"), file) as service:
        root = client(service, service.user, service.password)
        root.create_bucket(Bucket=BUCKET, ObjectLockEnabledForBucket=True)
        root.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        principals = {name: f"key-{name}" for name in ACCOUNTS}
        root.put_bucket_policy(Bucket=BUCKET, Policy=policy(BUCKET, grants(platform), principals))
        for key in EVERYTHING:
            root.put_object(Bucket=BUCKET, Key=key, Body=b"root's")
        yield service


def client(service: Service, access: str, secret: str) -> Any:  # noqa: ANN401 - boto3's
    return boto3.client(
        "s3",
        endpoint_url=f"http://{service.address}",
        region_name="us-east-1",
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def of(store: Service, account: str) -> Any:  # noqa: ANN401
    return client(store, f"key-{account}", f"secret-{account}")


def refused(call: Any, **given: Any) -> bool:  # noqa: ANN401
    """Whether the store says no; any other error is one."""
    try:
        call(Bucket=BUCKET, **given)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 403:
            raise
        return True
    return False


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_reads_its_own_prefixes_and_no_other(store: Service, account: str) -> None:
    s3 = of(store, account)
    assert {key for key in EVERYTHING if not refused(s3.get_object, Key=key)} == READS[account]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_writes_its_own_prefixes_and_no_other(store: Service, account: str) -> None:
    s3 = of(store, account)
    written = {key for key in EVERYTHING if not refused(s3.put_object, Key=key, Body=b"new")}
    assert written == WRITES[account]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_nobody_deletes_but_mlflow_its_own(store: Service, account: str) -> None:
    s3 = of(store, account)
    deleted = {key for key in EVERYTHING if not refused(s3.delete_object, Key=key)}
    assert deleted == ({"mlflow/1/x"} if account == "mlflow" else set())


@pytest.mark.parametrize("account", ACCOUNTS)
def test_who_may_look_around_and_who_may_not(store: Service, account: str) -> None:
    s3 = of(store, account)
    assert refused(s3.list_objects_v2, Prefix="data/") is (account in (SERVER, "backup"))


@pytest.mark.parametrize("account", ACCOUNTS)
def test_nobody_changes_the_bucket_its_policy_or_a_lock(store: Service, account: str) -> None:
    s3 = of(store, account)
    assert refused(s3.put_bucket_policy, Policy=policy(BUCKET, [], {}))
    assert refused(s3.delete_bucket_policy)
    assert refused(s3.get_bucket_policy)
    assert refused(s3.put_bucket_versioning, VersioningConfiguration={"Status": "Suspended"})
    assert refused(s3.delete_bucket)
    later = {"Mode": "GOVERNANCE", "RetainUntilDate": _in_an_hour()}
    key = f"evidence/{MODEL}/7/release.json"
    assert refused(s3.put_object_retention, Key=key, Retention=later)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.create_bucket(Bucket="another")


@pytest.mark.parametrize(
    ("account", "key"),
    [
        ("jobs", "data/loans/2016-04-30.parquet"),
        ("backup", f"backups/mlflow/20261201T021700Z-{'0' * 64}.tar.gz"),
    ],
)
def test_what_is_written_once_is_locked_by_its_writer_who_reads_its_version(
    store: Service, account: str, key: str
) -> None:
    s3 = of(store, account)
    locked = {
        "ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": _in_an_hour(),
    }  # fmt: skip
    made = s3.put_object(Bucket=BUCKET, Key=key, Body=b"rows", IfNoneMatch="*", **locked)
    found = s3.get_object(Bucket=BUCKET, Key=key, VersionId=made["VersionId"])
    assert found["Body"].read() == b"rows"
    assert s3.head_object(Bucket=BUCKET, Key=key)["ObjectLockMode"] == "GOVERNANCE"
    root = client(store, store.user, store.password)
    with pytest.raises(ClientError, match=r"AccessDenied|InvalidRequest|ObjectLocked"):
        root.delete_object(Bucket=BUCKET, Key=key, VersionId=made["VersionId"])


def test_what_is_not_there_is_told_as_such_to_those_that_read(store: Service) -> None:
    for account, key in (("jobs", "validations/loans/none.json"), (WATCH, f"evidence/{MODEL}/9/x")):
        with pytest.raises(ClientError, match="NoSuchKey"):
            of(store, account).get_object(Bucket=BUCKET, Key=key)


def test_mlflow_writes_an_artifact_in_parts(store: Service) -> None:
    s3, key = of(store, "mlflow"), "mlflow/2/large"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    given = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
    part = s3.upload_part(**given, PartNumber=1, Body=b"x" * 10)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**given, MultipartUpload=parts)
    assert s3.get_object(Bucket=BUCKET, Key=key)["ContentLength"] == 10


def test_a_wrong_secret_opens_nothing(store: Service) -> None:
    s3 = client(store, "key-jobs", "secret-mlflow")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.get_object(Bucket=BUCKET, Key="data/loans/2016-03-31.parquet")


def _in_an_hour() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)


def test_what_the_store_does_not_know_of_policies(store: Service) -> None:
    """When this fails, the grants can be narrower: see docs/retraining.md."""
    root = client(store, store.user, store.password)
    root.create_bucket(Bucket="apart")
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": [f"key-{SERVER}"]},
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::apart",
        "Condition": {"StringLike": {"s3:prefix": "none/*"}},
    }
    root.put_bucket_policy(Bucket="apart", Policy=json.dumps({"Statement": [statement]}))
    of(store, SERVER).list_objects_v2(Bucket="apart", Prefix="all/")
    statement["Action"] = "s3:GetBucketObjectLockConfiguration"
    with pytest.raises(ClientError, match="MalformedPolicy"):
        root.put_bucket_policy(Bucket="apart", Policy=json.dumps({"Statement": [statement]}))
