"""A table of outcomes is brought into the bucket whole, and again without effect."""

import json
from pathlib import Path
from typing import Any

import obstore
import pandas as pd
import pytest
import typer
from obstore.store import MemoryStore
from typer.testing import CliRunner
from watch_harness import NAME, NOW, label

from app import outcomes
from app.watch import objects
from app.watch.outcomes import MOST

CSV = "id,row,outcome,time\nr1,0,1,1800000000\nr1,1,0,\nr2,,1,1800000000.5\n"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    found = MemoryStore()
    monkeypatch.setattr(objects, "store", lambda _: found)
    monkeypatch.setattr(outcomes.time, "time", lambda: NOW)
    return found


def imported(path: Path, model: str = NAME) -> tuple[int, Any]:
    app = typer.Typer()
    app.command()(outcomes.main)
    answer = CliRunner().invoke(app, ["--model", model, "--file", str(path), "--json"])
    return answer.exit_code, json.loads(answer.stdout) if answer.stdout else answer.stderr


def written(bucket: MemoryStore) -> list[dict[str, Any]]:
    import gzip

    paths = [item["path"] for item in obstore.list(bucket, "labels").collect()]
    contents = [gzip.decompress(bytes(obstore.get(bucket, path).bytes())) for path in paths]
    return [json.loads(line) for content in contents for line in content.splitlines()]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_is_brought_in_once(bucket: MemoryStore, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(CSV)
    if kind == "parquet":
        table = pd.read_csv(path).astype({"row": "Int64"})
        path = tmp_path / "outcomes.parquet"
        table.to_parquet(path)
    code, document = imported(path)
    assert (code, document) == (0, {"model": NAME, "lines": 3, "new": 3})
    assert written(bucket) == [
        {"id": "r1", "row": 0, "outcome": 1, "time": 1800000000.0},
        {"id": "r1", "row": 1, "outcome": 0, "time": NOW},
        {"id": "r2", "row": 0, "outcome": 1, "time": 1800000000.5},
    ]
    code, document = imported(path)
    assert (code, document["new"]) == (0, 0)
    assert len(written(bucket)) == 3


def test_ids_that_look_like_numbers_stay_as_they_are(bucket: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text("id,outcome\n007,1\n")
    assert imported(path)[0] == 0
    assert written(bucket)[0]["id"] == "007"


def test_many_go_into_several_objects(bucket: MemoryStore, tmp_path: Path) -> None:
    path = tmp_path / "outcomes.csv"
    lines = "".join(f"r{number},1\n" for number in range(2 * MOST + 1))
    path.write_text(f"id,outcome\n{lines}")
    assert imported(path)[1]["new"] == 2 * MOST + 1
    assert len(obstore.list(bucket, "labels").collect()) == 3
    assert len({line["id"] for line in written(bucket)}) == 2 * MOST + 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("id,outcome\nr1,1\nr2,2\n", "outcome 1, outcome"),
        ("id,outcome\nr1,\n", "outcome 0, outcome"),
        ("id\nr1\n", "outcome 0, outcome"),
        ("id,outcome,name\nr1,1,Ada\n", "outcome 0, name"),
        ("id,outcome\nr1,yes\n", "cannot be read"),
        ("", "cannot be read"),
    ],
)
def test_a_fault_is_told_and_nothing_is_written(
    bucket: MemoryStore, tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "outcomes.csv"
    path.write_text(text)
    code, said = imported(path)
    assert code == 3
    assert told in said
    assert written(bucket) == []


def test_a_contradiction_is_refused_and_nothing_is_written(
    bucket: MemoryStore, tmp_path: Path
) -> None:
    label(bucket, NOW - 60, {"r2": 0})
    path = tmp_path / "outcomes.csv"
    path.write_text("id,outcome\nr1,1\nr2,1\n")
    code, said = imported(path)
    assert code == 3
    assert "outcome 1, outcome" in said
    assert len(written(bucket)) == 1


def test_a_file_that_is_not_there_and_a_model_that_is_none_are_refused(
    bucket: MemoryStore, tmp_path: Path
) -> None:
    assert imported(tmp_path / "none.csv")[0] == 3
    (tmp_path / "some.csv").write_text("id,outcome\nr1,1\n")
    assert imported(tmp_path / "some.csv", "other")[0] == 3


def test_a_bucket_that_is_down_is_told_as_such(
    bucket: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise obstore.exceptions.GenericError("down")

    monkeypatch.setattr(obstore, "put", fails)
    (tmp_path / "some.csv").write_text("id,outcome\nr1,1\n")
    assert imported(tmp_path / "some.csv")[0] == 5
