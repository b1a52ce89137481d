"""The MLflow project names commands that there are, with options that they take."""

import importlib
import shlex

import pytest
import typer
import yaml
from conftest import ROOT
from typer.main import get_command

ENTRY_POINTS = yaml.safe_load((ROOT / "app" / "MLproject").read_text())["entry_points"]


@pytest.mark.parametrize("name", ENTRY_POINTS)
def test_an_entry_point_is_a_command_with_these_options(name: str) -> None:
    point = ENTRY_POINTS[name]
    prefix, command = point["command"].split(" && ")
    assert prefix == "cd .."
    python, option, module, *arguments = shlex.split(command)
    assert (python, option) == ("python", "-m")
    program = typer.Typer()
    program.command()(importlib.import_module(module).main)
    known = {
        word for parameter in get_command(program).params for word in getattr(parameter, "opts", [])
    }
    assert {word for word in arguments if word.startswith("--")} <= known
    used = {word.strip("{}") for word in arguments if word.startswith("{")}
    assert used == point["parameters"].keys()


def test_the_whole_road_is_in_the_project() -> None:
    road = ["ingest", "validate", "features", "train", "evaluate", "register", "batch", "predict"]
    assert set(road) <= ENTRY_POINTS.keys()
