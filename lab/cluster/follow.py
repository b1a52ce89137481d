"""Follows a kind of object: the whole set of them at first, and again after every change."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from kubernetes import watch

_SECONDS = 600


def snapshots(listing: Callable[..., Any]) -> Iterator[list[dict[str, Any]]]:
    """Yields all objects that `listing` lists; ends now and then, as watches do: begin again."""
    first = json.loads(listing(_preload_content=False).data)
    found = {item["metadata"]["uid"]: item for item in first["items"]}
    yield list(found.values())
    version = first["metadata"]["resourceVersion"]
    for event in watch.Watch().stream(listing, resource_version=version, timeout_seconds=_SECONDS):
        item = event["raw_object"]
        if event["type"] == "DELETED":
            found.pop(item["metadata"]["uid"], None)
        else:
            found[item["metadata"]["uid"]] = item
        yield list(found.values())
