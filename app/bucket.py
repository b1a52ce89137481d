"""The stack's bucket: every write is a version, and what is created under lock is written once."""

import datetime
import json
import os
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import boto3
import botocore.config
import botocore.exceptions

from app import console

UNAVAILABLE = (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError)
"""What boto3 raises when the store cannot be reached or says no."""

_ABSENT = frozenset({"NoSuchKey", "NoSuchVersion", "404"})
_TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class Bucket:
    """The bucket. Name and endpoint come from FERRY_BUCKET and AWS_ENDPOINT_URL_S3."""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or os.environ.get("FERRY_BUCKET", "")
        if not self.name:
            raise console.Refused("FERRY_BUCKET is not set; run this through `ferry exec`")
        retries = botocore.config.Config(retries={"total_max_attempts": 5, "mode": "standard"})
        self._client = boto3.client("s3", config=retries)
        self._told = False

    def put(self, key: str, content: bytes, content_type: str) -> str:
        """Write a new version of `key` and return its version id."""
        return self._put(key, content, content_type)

    def put_json(self, key: str, document: Mapping[str, Any]) -> str:
        """As `put`, for a document that people read too."""
        content = (json.dumps(document, indent=2) + "\n").encode()
        return self.put(key, content, "application/json")

    def create(self, key: str, content: bytes, content_type: str) -> tuple[str, bytes]:
        """Write `key` once, under object lock, unless it is there already.

        Gives the version id and the bytes of what now stands at `key`: ours, or what was there.
        The lock lasts FERRY_LOCK_DAYS days; without it the bucket's own default holds.
        Raises `console.Refused` when a lock is asked for in a bucket that has none.
        """
        lock = self._lock()
        found = self._get(key)
        if found is None:
            try:
                return self._put(key, content, content_type, IfNoneMatch="*", **lock), content
            except botocore.exceptions.ClientError as error:
                found = self._get(key) if error.response["Error"]["Code"] in _TAKEN else None
                if found is None:
                    raise
        if lock:
            self._hold(key, lock)
        return found["VersionId"], found["Body"].read()

    def get(self, key: str, version_id: str | None = None) -> bytes | None:
        """The bytes of `key`, or None when there is no such object or version."""
        found = self._get(key, **({"VersionId": version_id} if version_id else {}))
        return found["Body"].read() if found else None

    def keys(self, prefix: str) -> list[str]:
        """Every key below `prefix`, sorted."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def _put(self, key: str, content: bytes, content_type: str, **conditions: Any) -> str:  # noqa: ANN401 - boto3
        answer = self._client.put_object(
            Bucket=self.name, Key=key, Body=content, ContentType=content_type, **conditions
        )
        version = answer.get("VersionId")
        if not version or version == "null":
            raise console.Refused(
                f"bucket {self.name} keeps no versions, so {key} could be overwritten; "
                "switch versioning on"
            )
        return version

    def _get(self, key: str, **version: str) -> dict[str, Any] | None:
        try:
            return self._client.get_object(Bucket=self.name, Key=key, **version)
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return None
            raise

    def _hold(self, key: str, lock: dict[str, Any]) -> None:
        """Lock the newest version of `key` unless it is locked already."""
        if "ObjectLockMode" not in self._client.head_object(Bucket=self.name, Key=key):
            self._client.put_object_retention(
                Bucket=self.name,
                Key=key,
                Retention={
                    "Mode": lock["ObjectLockMode"],
                    "RetainUntilDate": lock["ObjectLockRetainUntilDate"],
                },
            )

    def _lock(self) -> dict[str, Any]:
        """What a put needs to lock its object; nothing where FERRY_LOCK_DAYS is not set."""
        days = os.environ.get("FERRY_LOCK_DAYS", "")
        known = self._lock_configuration
        if not days:
            if known is not None and not known.get("Rule", {}).get("DefaultRetention"):
                self._tell()
            return {}
        if not days.isdecimal() or not 1 <= int(days) <= 36500:
            raise console.Refused(f"FERRY_LOCK_DAYS is {days!r}, wanted are 1 to 36500 days")
        # Asked before anything is written: a store may write first and refuse the lock then.
        if known == {}:
            raise console.Refused(
                f"bucket {self.name} was made without object lock, so nothing in it stays for "
                "FERRY_LOCK_DAYS; make a bucket with object lock"
            )
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=int(days))
        return {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": until}

    def _tell(self) -> None:
        if not self._told:
            console.progress.print(
                f"note: bucket {self.name} locks nothing by itself and FERRY_LOCK_DAYS is not set: "
                "snapshots can be deleted"
            )
        self._told = True

    @cached_property
    def _lock_configuration(self) -> dict[str, Any] | None:
        """The bucket's object lock: empty where it has none, None where we may not know."""
        try:
            answer = self._client.get_object_lock_configuration(Bucket=self.name)
        except botocore.exceptions.ClientError as error:
            code = error.response["Error"]["Code"]
            return {} if code == "ObjectLockConfigurationNotFoundError" else None
        return answer["ObjectLockConfiguration"]
