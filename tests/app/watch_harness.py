"""A bucket in memory, and what servers and reporters write into it."""

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import obstore
from obstore.store import MemoryStore, ObjectStore

NAME = "credit-default"
NOW = 1_900_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR


def put(bucket: ObjectStore, key: str, content: bytes) -> None:
    obstore.put(bucket, key, content)


def packed(lines: Iterable[Mapping[str, Any]]) -> bytes:
    return gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines))


def hour(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H")


def day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def line(
    name: str, time: float, score: float = 0.5, row: int = 0, version: int = 7, **features: object
) -> dict[str, Any]:
    """A line of the request log, with one feature unless others are given."""
    return {
        "time": time, "id": name, "row": row, "model": NAME, "version": str(version),
        "features": features or {"x": 1.0}, "score": score,
    }  # fmt: skip


def log(bucket: ObjectStore, name: str, lines: list[dict[str, Any]]) -> str:
    """An object of the request log, below the hour and the version of its first line."""
    first = lines[0]
    key = f"requests/{NAME}/{first['version']}/{hour(first['time'])}/{name}.jsonl.gz"
    put(bucket, key, packed(lines))
    return key


def label(bucket: ObjectStore, arrived: float, outcomes: Mapping[str, int]) -> str:
    """An object of outcomes by request id."""
    key = f"labels/{NAME}/{day(arrived)}/{int(arrived * 1000):013d}-{'0' * 12}.jsonl.gz"
    put(bucket, key, packed({"id": i, "outcome": o, "time": arrived} for i, o in outcomes.items()))
    return key


class Counting:
    """What is asked of a bucket, counted by wrapping `obstore`'s functions."""

    def __init__(self, monkeypatch: Any) -> None:  # noqa: ANN401 - pytest's
        self.listed: list[str] = []
        self.got: list[str] = []
        listing, getting = obstore.list, obstore.get

        def list_(bucket: ObjectStore, prefix: str, **more: Any) -> Any:  # noqa: ANN401
            for chunk in listing(bucket, prefix, **more):
                self.listed += [item["path"] for item in chunk]
                yield chunk

        def get(bucket: ObjectStore, key: str) -> Any:  # noqa: ANN401
            self.got.append(key)
            return getting(bucket, key)

        monkeypatch.setattr(obstore, "list", list_)
        monkeypatch.setattr(obstore, "get", get)


def evidence(
    bucket: ObjectStore, version: int, schema: Mapping[str, Any], threshold: float = 0.5
) -> None:
    """A version's contract."""
    document = {"model": NAME, "schema": schema, "output": {"threshold": threshold}}
    put(bucket, f"evidence/{NAME}/{version}/contract.json", json.dumps(document).encode())


def memory() -> MemoryStore:
    return MemoryStore()


def pairs(joined: Any) -> list[tuple[float, int]]:  # noqa: ANN401
    """Scores and outcomes, sorted."""
    found = zip(np.round(joined.scores, 4).tolist(), joined.outcomes.tolist(), strict=True)
    return sorted(found)
