"""The resource `aws.s3.BucketObjectv2`."""

import base64
import binascii
from hashlib import md5
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from lab.standins.aws.emptying import empty
from lab.standins.aws.shapes import project, tag_map
from lab.standins.aws.store import Store, StoreError
from lab.standins.provider import Invalid, Operation, Properties, ProviderError, Refused, State
from lab.standins.values import Asset

_CONTENTS: Final = ("content", "contentBase64", "source")
_HEADERS: Final = (
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "contentType",
    "metadata",
    "storageClass",
    "serverSideEncryption",
)


class Object:
    """One object; on a versioned bucket each update is a new version."""

    inputs: Final = frozenset(
        {"bucket", "key", "region", "tags", "forceDestroy", "sourceHash", *_CONTENTS, *_HEADERS}
    )
    replaces: Final = frozenset({"bucket", "key", "region"})
    volatile: Final = frozenset({"etag", "versionId"})

    def complete(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        if len(given := [name for name in _CONTENTS if name in new]) != 1:
            found = ", ".join(given) or "none"
            raise Invalid({"content": f"give one of {', '.join(_CONTENTS)}, not {found}"})
        if "bucket" not in new:
            raise Invalid({"bucket": "bucket is missing: the name of the bucket"})
        return {"key": operation.name, **new}

    def comparable(self, inputs: Properties) -> Properties:
        source = inputs.get("source")
        # The same file at another path is the same object.
        same = {"source": source.hash} if isinstance(source, Asset) and source.hash else {}
        return {"forceDestroy": False, **inputs, **same}

    def create(self, store: Store, operation: Operation, inputs: Properties) -> State:
        identity = f"{inputs['bucket']}/{inputs['key']}"
        return State(id=identity, inputs=inputs, outputs=self._put(store, inputs))

    def read(self, store: Store, identity: str, inputs: Properties) -> State | None:
        bucket, _, key = identity.removeprefix("s3://").partition("/")
        try:
            head = store.call("head_object", Bucket=bucket, Key=key)
        except StoreError as error:
            if error.code in {"404", "NoSuchKey", "NoSuchBucket"}:
                return None
            raise
        seen: Properties = {}
        for name in _HEADERS:
            if (value := head.get(_header(name))) not in (None, {}):
                seen[name] = value
        if "tags" in inputs or not inputs:
            tags = store.call("get_object_tagging", Bucket=bucket, Key=key).get("TagSet", [])
            seen |= {"tags": tag_map(tags)} if tags else {}
        place: Properties = {"bucket": bucket, "key": key}
        rest = {name: item for name, item in inputs.items() if name not in {*_HEADERS, "tags"}}
        declared = rest | place | (project(seen, inputs) if inputs else seen)
        outputs = {
            "forceDestroy": False,
            **rest,
            **seen,
            **place,
            "arn": f"arn:aws:s3:::{bucket}/{key}",
            "etag": head["ETag"].strip('"'),
            "region": store.region,
            "tagsAll": seen.get("tags", {}),
        }
        if version := head.get("VersionId"):
            outputs["versionId"] = version
        return State(id=f"{bucket}/{key}", inputs=declared, outputs=outputs)

    def update(
        self, store: Store, operation: Operation, old: Properties, inputs: Properties
    ) -> Properties:
        return self._put(store, inputs)

    def delete(self, store: Store, operation: Operation, outputs: Properties) -> None:
        bucket, key = outputs["bucket"], outputs["key"]
        try:
            if outputs.get("versionId"):
                bypass = bool(outputs.get("forceDestroy"))
                empty(store, operation, bucket, bypass=bypass, key=key)
            else:
                store.call("delete_object", Bucket=bucket, Key=key)
        except StoreError as error:
            if error.code != "NoSuchBucket":
                raise

    def _put(self, store: Store, inputs: Properties) -> Properties:
        bucket, key = inputs["bucket"], inputs["key"]
        headers = {_header(name): inputs[name] for name in _HEADERS if name in inputs}
        if tags := inputs.get("tags"):
            headers["Tagging"] = urlencode(tags)
        body = _content(inputs)
        # Demanded of every object that a lock will hold.
        headers["ContentMD5"] = base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()
        store.call("put_object", Bucket=bucket, Key=key, Body=body, **headers)
        state = self.read(store, f"{bucket}/{key}", inputs)
        if state is None:
            raise ProviderError(f"{bucket}/{key} is gone again right after it was written")
        return state.outputs


def _header(name: str) -> str:
    return name[:1].upper() + name[1:]


def _content(inputs: Properties) -> bytes:
    if "content" in inputs:
        return inputs["content"].encode()
    if "contentBase64" in inputs:
        try:
            return base64.b64decode(inputs["contentBase64"], validate=True)
        except binascii.Error as error:
            raise ProviderError(f"contentBase64 is no base64: {error}") from None
    match inputs["source"]:
        case Asset(text=str() as text):
            return text.encode()
        case Asset(path=str() as path):
            try:
                return Path(path).read_bytes()
            except OSError as error:
                raise ProviderError(f"source {path}: {error.strerror}") from None
    raise Refused("source: only a file or text asset is covered, no archive and no remote asset")
