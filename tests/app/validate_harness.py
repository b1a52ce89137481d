"""Validation as its command does it, of the snapshots in the tests' bucket."""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

import boto3
from conftest import MODEL
from typer.testing import CliRunner, Result

from app import snapshots, validate

DATASET = MODEL.dataset
DAY = DATASET.last_day
EARLIER = DAY - timedelta(days=20)
PERSONAL = "Jane Roe, 12 Elm Street"
ENVIRONMENT = {"FERRY_BUCKET": "loans"}


def run(*more: str) -> Result:
    """`python -m app.validate --model … --json`."""
    given = ["--model", MODEL.name, "--json", *more]
    answer = CliRunner().invoke(validate.app, given, env=ENVIRONMENT)
    if answer.exception and not isinstance(answer.exception, SystemExit):
        raise answer.exception
    return answer


def planted(bucket: snapshots.Bucket, content: bytes, folder: Path) -> Path:
    """Bytes that no snapshot has, as a snapshot; gives the file with its reference."""
    key = "data/lending-club/2016-03-31.parquet"
    version = bucket.put(key, content, "application/vnd.apache.parquet")
    file = folder / "snapshot.json"
    sha256 = hashlib.sha256(content).hexdigest()
    file.write_text(json.dumps({"key": key, "versionId": version, "sha256": sha256}))
    return file


def versions() -> int:
    """How many versions of objects the bucket holds."""
    return len(boto3.client("s3").list_object_versions(Bucket="loans")["Versions"])
