"""The resource `aws.s3.Bucket`."""

import hashlib
import re
import secrets
import time
from typing import Final

from lab.standins.aws import stage
from lab.standins.aws.emptying import empty
from lab.standins.aws.shapes import project, tag_list, tag_map
from lab.standins.aws.store import Store, StoreError
from lab.standins.provider import (
    Invalid,
    Operation,
    PartialFailure,
    Properties,
    ProviderError,
    State,
)
from lab.standins.values import unwrap

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_LONGEST_NAME: Final = 63
_SUFFIX: Final = 7  # hex digits that the engine's autonaming adds
# The provider's own mark for inputs that it made up; the engine shows no key of this form.
MADE_UP: Final = "__defaults"


class Bucket:
    """A bucket with its tags; everything else about it is a resource of its own."""

    inputs: Final = frozenset(
        {"bucket", "bucketPrefix", "forceDestroy", "objectLockEnabled", "tags", "region", MADE_UP}
    )
    replaces: Final = frozenset({"bucket", "bucketPrefix", "objectLockEnabled", "region"})
    volatile: Final[frozenset[str]] = frozenset()

    def complete(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        if "bucket" not in new and "bucketPrefix" not in new:
            # A name that was made up stays; one that the program gave and gives no more does not.
            kept = old.get("bucket") if "bucket" in (old.get(MADE_UP) or []) else None
            new = {**new, "bucket": kept or autoname(operation.name, seed), MADE_UP: ["bucket"]}
        name = unwrap(new.get("bucket"))
        if isinstance(name, str) and not _NAME.fullmatch(name):
            raise Invalid(
                {"bucket": f"{name!r} is no bucket name: 3 to 63 of a-z, 0-9, '.' and '-'"}
            )
        return new

    def comparable(self, inputs: Properties) -> Properties:
        defaults = {"forceDestroy": False, "objectLockEnabled": False, "tags": {}}
        return {key: item for key, item in {**defaults, **inputs}.items() if key != MADE_UP}

    def keeps_name(self, old: Properties, new: Properties) -> bool:
        """Whether a replacement would have the same name, and so must wait for the deletion."""
        return MADE_UP not in new and "bucket" in new and new["bucket"] == old.get("bucket")

    def create(self, store: Store, operation: Operation, inputs: Properties) -> State:
        name = inputs.get("bucket") or prefixed(inputs["bucketPrefix"])
        request = {"Bucket": name}
        if inputs.get("objectLockEnabled"):
            request["ObjectLockEnabledForBucket"] = True
        if store.region != "us-east-1":
            request["CreateBucketConfiguration"] = {"LocationConstraint": store.region}
        try:
            store.call("create_bucket", **request)
        except StoreError as error:
            if error.code == "BucketAlreadyOwnedByYou":
                raise ProviderError(
                    f"{error}; to manage the bucket that is there, run "
                    f"`pulumi import {operation.type} {operation.name} {name}`"
                ) from None
            raise
        state = State(id=name, inputs=inputs, outputs=_outputs(store, name, inputs))
        try:
            _tag(store, name, inputs.get("tags") or {})
        except ProviderError as error:
            untagged = {**state.outputs, "tags": {}, "tagsAll": {}}
            state = State(id=name, inputs={**inputs, "tags": {}}, outputs=untagged)
            raise PartialFailure(state, [str(error)]) from None
        return state

    def read(self, store: Store, identity: str, inputs: Properties) -> State | None:
        try:
            store.call("head_bucket", Bucket=identity)
        except StoreError as error:
            if error.code in {"404", "NoSuchBucket"}:
                return None
            raise
        seen = {"bucket": identity, "objectLockEnabled": _has_lock(store, identity)}
        seen["tags"] = _tags(store, identity)
        declared = {**inputs, **project(seen, inputs), "tags": seen["tags"]} if inputs else seen
        # Declared nowhere and empty is no drift.
        if not declared["tags"] and "tags" not in inputs:
            del declared["tags"]
        return State(id=identity, inputs=declared, outputs=_outputs(store, identity, declared))

    def update(
        self, store: Store, operation: Operation, old: Properties, inputs: Properties
    ) -> Properties:
        if (inputs.get("tags") or {}) != (old.get("tags") or {}):
            _tag(store, operation.id, inputs.get("tags") or {})
        return _outputs(store, operation.id, inputs)

    def delete(self, store: Store, operation: Operation, outputs: Properties) -> None:
        name = operation.id
        try:
            if outputs.get("forceDestroy"):
                lock = bool(outputs.get("objectLockEnabled"))
                if stage.emulated():
                    # The emulator reads no conditions: what is refused without TLS, it refuses all.
                    store.call("delete_bucket_policy", Bucket=name)
                empty(store, operation, name, bypass=lock)
            store.call("delete_bucket", Bucket=name)
        except StoreError as error:
            if error.code == "BucketNotEmpty":
                raise ProviderError(
                    f"{error}; to delete everything in it, set forceDestroy and run `pulumi up` "
                    "before the destroy"
                ) from None
            if error.code != "NoSuchBucket":
                raise


def autoname(name: str, seed: bytes) -> str:
    """`<name>-<7 hex digits>`, at most 63 characters; the same for the same non-empty seed."""
    digits = hashlib.sha256(seed).hexdigest() if seed else secrets.token_hex(_SUFFIX)
    return f"{name.lower()[: _LONGEST_NAME - _SUFFIX - 1]}-{digits[:_SUFFIX]}"


def prefixed(prefix: str) -> str:
    """The prefix and 26 digits that no other name has."""
    return f"{prefix}{time.strftime('%Y%m%d%H%M%S', time.gmtime())}{secrets.token_hex(6)}"


def _outputs(store: Store, name: str, inputs: Properties) -> Properties:
    tags = inputs.get("tags") or {}
    return {
        "forceDestroy": False,
        "objectLockEnabled": False,
        **{key: item for key, item in inputs.items() if key != MADE_UP},
        "bucket": name,
        "arn": f"arn:aws:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegion": store.region,
        "bucketRegionalDomainName": f"{name}.s3.{store.region}.amazonaws.com",
        "region": store.region,
        "tags": tags,
        "tagsAll": tags,
    }


def _tag(store: Store, name: str, tags: dict[str, str]) -> None:
    if tags:
        store.call("put_bucket_tagging", Bucket=name, Tagging={"TagSet": tag_list(tags)})
    elif _tags(store, name):
        store.call("delete_bucket_tagging", Bucket=name)


def _tags(store: Store, name: str) -> dict[str, str]:
    try:
        return tag_map(store.call("get_bucket_tagging", Bucket=name).get("TagSet", []))
    except StoreError as error:
        if error.code in {"NoSuchTagSet", "NoSuchTagSetError"}:
            return {}
        raise


def _has_lock(store: Store, name: str) -> bool:
    try:
        answer = store.call("get_object_lock_configuration", Bucket=name)
    except StoreError as error:
        if error.code == "ObjectLockConfigurationNotFoundError":
            return False
        raise
    return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"
