"""The bucket's dated objects: each given once, late ones too, without listing all of them."""

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, S3Store

from app import console

__all__ = ["DAYS", "HOURS", "BaseError", "Documents", "Feed", "folders", "get", "put", "store"]

HOURS = "%Y-%m-%dT%H"
DAYS = "%Y-%m-%d"
_GETS = 16
_LISTED = 256
_LATE_SECONDS = 2 * 3600
"""So far back each look goes: a server writes an hour's rows within three minutes of its end."""
_DEEP_SECONDS = 48 * 3600
"""So far back one look an hour goes, for what was late beyond that."""


def store(environment: Mapping[str, str]) -> S3Store:
    """The stack's bucket; raises `console.Refused` when FERRY_BUCKET is not set."""
    if not environment.get("FERRY_BUCKET"):
        raise console.Refused("FERRY_BUCKET is not set; run this through `ferry exec`")
    given = {
        "endpoint": environment.get("AWS_ENDPOINT_URL_S3"),
        "region": environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
        "access_key_id": environment.get("AWS_ACCESS_KEY_ID"),
        "secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY"),
    }
    options: Any = {name: value for name, value in given.items() if value}
    return S3Store(
        environment["FERRY_BUCKET"],
        **options,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": "10s"},
        retry_config={"max_retries": 2},
    )


def get(bucket: ObjectStore, key: str) -> bytes:
    """The bytes of an object; raises FileNotFoundError when there is none, else `BaseError`."""
    return bytes(obstore.get(bucket, key).bytes())


def folders(bucket: ObjectStore, prefix: str) -> list[str]:
    """The names of what is directly below `prefix` and has objects below it. Raises `BaseError`."""
    found = obstore.list_with_delimiter(bucket, f"{prefix}/")["common_prefixes"]
    return [name.rstrip("/").rpartition("/")[2] for name in found]


def put(bucket: ObjectStore, key: str, content: bytes, media: str) -> None:
    """Write an object; it is durable once this returns. Raises `BaseError`."""
    obstore.put(bucket, key, content, attributes={"Content-Type": media})


class Documents:
    """The bucket's JSON documents, as what answers the watch reads and writes them."""

    def __init__(self, bucket: ObjectStore) -> None:
        self._bucket = bucket

    def put_json(self, key: str, document: Mapping[str, Any]) -> str:
        """Write a document, and give its version's id where the bucket keeps versions."""
        content = (json.dumps(document, indent=2) + "\n").encode()
        kind = {"Content-Type": "application/json"}
        return obstore.put(self._bucket, key, content, attributes=kind)["version"] or ""

    def get(self, key: str) -> bytes | None:
        """The bytes of `key`, or None when there is no such object."""
        try:
            return get(self._bucket, key)
        except FileNotFoundError:
            return None

    def keys(self, prefix: str) -> list[str]:
        """Every key below `prefix`, sorted."""
        return sorted(
            item["path"] for found in obstore.list(self._bucket, prefix) for item in found
        )


class Feed:
    """The objects `<prefix>/<hour or day>/<name>.jsonl.gz`, whose words sort as their times do.

    Remembers the keys of the last two days only: older ones are not listed again.
    """

    def __init__(self, bucket: ObjectStore, prefix: str, form: str) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/"
        self._form = form
        self._seen: set[str] = set()
        self._looked = self._looked_deep = 0.0

    def new(
        self, now: float, oldest: float, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[tuple[str, bytes]]:
        """Key and bytes of each object since the last look, of times from `oldest` on.

        What was not given, because the bucket failed or the caller stopped, the next look gives.
        Raises `BaseError`.
        """
        deep = now - self._looked_deep >= 3600
        since = max(oldest, self._looked - (_DEEP_SECONDS if deep else _LATE_SECONDS))
        listing = obstore.list(
            self._bucket, self._prefix, offset=self._place(since), chunk_size=_LISTED
        )
        with ThreadPoolExecutor(_GETS) as pool:
            for listed in listing:
                keys = [item["path"] for item in listed]
                keys = [key for key in keys if key.endswith(".gz") and key not in self._seen]
                if stopped():
                    return
                for key, content in zip(
                    keys, pool.map(lambda key: get(self._bucket, key), keys), strict=True
                ):
                    yield key, content
                    self._seen.add(key)
        self._looked = now
        if deep:
            self._looked_deep = now
        kept = self._place(now - _DEEP_SECONDS)
        self._seen = {key for key in self._seen if key > kept}

    def _place(self, time: float) -> str:
        """What sorts before each key of that hour or day, and after those before it."""
        return self._prefix + datetime.fromtimestamp(max(time, 0), UTC).strftime(self._form)
