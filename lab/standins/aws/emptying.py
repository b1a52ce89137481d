"""Deletes what is in a bucket, page by page: versions, delete markers, plain objects."""

from typing import Any, Final

from lab.standins.aws.store import Store, StoreError
from lab.standins.provider import Operation, ProviderError

_NAMED: Final = 5  # how many undeletable keys a message names


def empty(
    store: Store, operation: Operation, bucket: str, *, bypass: bool, key: str | None = None
) -> None:
    """Delete every version of everything, or of one key.

    `bypass`: pass over governance retention. What compliance retention or a legal hold keeps is
    an error that names the keys, raised after everything else is gone. Raises ProviderError.
    """
    flags: dict[str, Any] = {"BypassGovernanceRetention": True} if bypass else {}
    kept: list[str] = []
    deleted = 0
    for page in store.pages("list_object_versions", Bucket=bucket, Prefix=key or ""):
        if operation.cancelled.is_set():
            raise ProviderError(f"cancelled after {deleted} versions in {bucket} were deleted")
        versions = [
            {"Key": each["Key"], "VersionId": each["VersionId"]}
            for each in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if key is None or each["Key"] == key
        ]
        refused = _delete(store, bucket, versions, flags)
        kept += refused
        deleted += len(versions) - len(refused)
        if versions:
            operation.status(f"{deleted} versions deleted")
    if kept:
        more = f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
        raise ProviderError(
            f"{bucket}: {len(kept)} versions cannot be deleted: {'; '.join(kept[:_NAMED])}{more}. "
            "They are locked: wait until their retention ends, or lift their legal hold"
        )


def _delete(
    store: Store, bucket: str, versions: list[dict[str, str]], flags: dict[str, Any]
) -> list[str]:
    """Deletes at most a page of versions; those that are kept, each with the reason."""
    if not versions:
        return []
    request = {"Objects": versions, "Quiet": True}
    try:
        answer = store.call("delete_objects", Bucket=bucket, Delete=request, **flags)
    except StoreError as error:
        if len(versions) == 1:
            return [f"{versions[0]['Key']} (version {versions[0]['VersionId']}): {error.reason}"]
        # Some stores refuse a whole request for one locked version in it.
        return [each for one in versions for each in _delete(store, bucket, [one], flags)]
    return [
        f"{each['Key']} (version {each.get('VersionId')}): {each.get('Message') or each['Code']}"
        for each in answer.get("Errors", [])
    ]
