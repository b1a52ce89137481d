"""How a model is served, delivered and gated: one entry of `ferry:platform.models`."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from infra.words import (
    Count,
    Cpu,
    Duration,
    Fraction,
    Memory,
    Percent,
    Schedule,
    Steps,
    Strict,
    seconds,
)

_SHORTEST_WINDOW = 60
"""Seconds; the servers write their rows once a minute."""


class Scaling(Strict):
    """Replica bounds of the autoscaler and the CPU use that it aims at."""

    minimum: Count = 2
    maximum: Count = 4
    cpu_percent: Percent = 70

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.minimum > self.maximum:
            raise PydanticCustomError("expected", "minimum <= maximum")
        return self


class Resources(Strict):
    """What one replica asks for, and may use of memory at the most."""

    cpu: Cpu = "250m"
    memory: Memory = "256Mi"
    gpu: Annotated[int, Field(strict=True, ge=0, le=16)] = 0


class Rolling(Strict):
    kind: Literal["rolling"]


class Canary(Strict):
    """Traffic in `steps` of percent; each waits for `minimum_requests` within `deadline`."""

    kind: Literal["canary"]
    steps: Steps
    minimum_requests: Annotated[int, Field(strict=True, ge=1)]
    deadline: Duration


class BlueGreen(Strict):
    """All traffic at once, after `minimum_requests` mirrored ones were judged by the `deadline`."""

    kind: Literal["blueGreen"]
    minimum_requests: Annotated[int, Field(strict=True, ge=1)]
    deadline: Duration


class Gates(Strict):
    """Bounds that a release must keep; None where the stack asks for none."""

    minimum_auc: Fraction | None = None
    maximum_fairness_gap: Fraction | None = None
    """Beyond what chance alone gives, of both measures of fairness."""
    maximum_age: Duration | None = None
    """Of the evidence, from training to promotion."""
    approvals: Annotated[int, Field(strict=True, ge=0, le=10)] = 0
    """Of people other than the one who promotes."""

    @property
    def oldest(self) -> timedelta | None:
        """`maximum_age` as a length of time."""
        return None if self.maximum_age is None else timedelta(seconds=seconds(self.maximum_age))


class Road(Strict):
    """What runs in the cluster for the model: its jobs, the log of its requests, its watch."""

    schedule: Schedule
    """When new rows are taken in."""
    retrain: Schedule = "0 3 * * 1"
    """When it is trained again, whatever the watch sees."""
    cooldown: Duration = "24h"
    """From one retraining that the watch asks for to the next."""
    request_sample: Fraction = 0.1
    """Share of the scored rows that are kept for the watch; 0: no request log, and no watch."""
    window: Duration = "1h"
    """Of the traffic that is held against training at once; a minute at the least."""

    @model_validator(mode="after")
    def _long_enough(self) -> Self:
        if seconds(self.window) < _SHORTEST_WINDOW:
            raise PydanticCustomError("expected", "a window of at least 1m")
        return self


class Model(Strict):
    scaling: Scaling = Scaling()
    resources: Resources = Resources()
    delivery: Annotated[Rolling | Canary | BlueGreen, Field(discriminator="kind")] = Rolling(
        kind="rolling"
    )
    gates: Gates = Gates()
    road: Road | None = None


def with_roads(models: Mapping[str, Model]) -> dict[str, Road]:
    """The roads of those that have one, by model."""
    return {name: each.road for name, each in sorted(models.items()) if each.road is not None}
