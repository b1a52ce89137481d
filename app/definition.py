"""The definition of a model: its name, its schema and its table; found by name in `app.models`."""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import pandas as pd
import typer

from app import models
from app.console import Refused
from app.dataset import Dataset
from app.schema import Schema

Name = Annotated[
    str, typer.Option("--model", help="The model, as its file in app/models names it.")
]


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """A way to split a table; `of` gives the word for each row's group, (rows,)."""

    name: str
    of: Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """When outcomes are final, and when the world is no longer that of training."""

    maturity_days: int = 30
    """Age of a prediction from which its outcome counts; before, only the early ones are known."""
    window_days: int = 7
    """Over the predictions of how many days the figures on matured outcomes are."""
    drifted_windows: tuple[int, int] = (3, 5)
    """The model is trained again once so many of the last so many windows have drifted."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a wrong decision costs at the model's threshold; a right one costs nothing."""

    false_positive: float
    false_negative: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class Definition:
    """One model of this repository; `DEFINITION` of a module in `app.models`."""

    name: str
    dataset: Dataset
    intended_use: str
    """What the scores are for and what they are not for, as the model's card says it."""
    limits: tuple[str, ...] = ()
    """What a user of the scores must know about their limits."""
    slices: tuple[Grouping, ...] = ()
    """Splits in which an evaluation looks for weak spots."""
    sensitive: tuple[Grouping, ...] = ()
    """Splits between which decisions must not differ much."""
    watch: Watch = Watch()
    costs: Costs | None = None
    """None: what a decision costs is not told."""

    @property
    def schema(self) -> Schema:
        return self.dataset.schema


def find(name: str) -> Definition:
    """The definition of that name.

    Raises `console.Refused` when there is none, naming those that there are.
    """
    known = [found.name for found in pkgutil.iter_modules(models.__path__)]
    module = name.replace("-", "_")
    if module not in known:
        names = ", ".join(sorted(found.replace("_", "-") for found in known))
        raise Refused(f"there is no model {name!r} in app/models; those that are: {names}")
    return importlib.import_module(f"{models.__name__}.{module}").DEFINITION
