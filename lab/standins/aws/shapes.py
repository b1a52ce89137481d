"""The provider's camelCase properties as the shapes of S3's API, and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

_IRREGULAR: Final = {
    "id": "ID",
    "kmsMasterKeyId": "KMSMasterKeyID",
    "mfaDelete": "MFADelete",
    "replicaKmsKeyId": "ReplicaKmsKeyID",
    "sseAlgorithm": "SSEAlgorithm",
}
_IRREGULAR_BACK: Final = {theirs: ours for ours, theirs in _IRREGULAR.items()}


def to_api(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """`{"sseAlgorithm": x}` as `{"SSEAlgorithm": x}`, at every depth; `tags` as a list of pairs."""
    match value:
        case dict():
            return {
                _IRREGULAR.get(key, key[:1].upper() + key[1:]): (
                    tag_list(item) if key == "tags" else to_api(item)
                )
                for key, item in value.items()
                if item is not None
            }
        case list():
            return [to_api(item) for item in value]
    return value


def from_api(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """The inverse of `to_api`; times become ISO 8601 text."""
    match value:
        case dict():
            return {
                _IRREGULAR_BACK.get(key, key[:1].lower() + key[1:]): (
                    tag_map(item) if key == "Tags" else from_api(item)
                )
                for key, item in value.items()
            }
        case list():
            return [from_api(item) for item in value]
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
    return value


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as S3 has them, in a stable order."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def tag_map(tags: list[dict[str, str]]) -> dict[str, str]:
    """Tags as programs have them."""
    return {tag["Key"]: tag["Value"] for tag in tags}


def project(
    seen: Any,  # noqa: ANN401 - JSON-like data
    declared: Any,  # noqa: ANN401
    forgotten: frozenset[str] = frozenset(),
) -> Any:  # noqa: ANN401
    """The part of what a store reports that a program declared.

    What a store adds by itself is no drift, so only declared keys are kept. Of keys that it takes
    and never reports, `forgotten`, it is believed that they are as declared.
    """
    match seen, declared:
        case dict(), dict():
            told = {
                key: project(seen[key], declared[key], forgotten) for key in declared if key in seen
            }
            return {key: declared[key] for key in forgotten & declared.keys()} | told
        case list(), list() if len(seen) == len(declared):
            return [project(*pair, forgotten) for pair in zip(seen, declared, strict=True)]
    return seen
