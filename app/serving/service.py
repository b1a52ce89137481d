"""What is being served, and whether it may be asked now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.schema import Problem
from app.serving.metrics import Metrics
from app.serving.model import Model


class Rejected(Exception):
    """A request that gets an error instead of a prediction.

    `code` is a reason of the metrics, `problems` locate each fault.
    """

    def __init__(
        self, status: int, code: str, message: str, problems: Sequence[Problem] = ()
    ) -> None:
        self.status = status
        self.code = code
        self.problems = tuple(problems)
        super().__init__(message)


class OnlineRows(Protocol):
    """Features by entity, as an online store keeps them."""

    async def rows(self, ids: Sequence[int]) -> list[dict[str, Any]]:
        """One row for each id, in their order.

        Raises `Rejected` for an unknown id (404) and a store that does not answer (503).
        """
        ...


class RequestLog(Protocol):
    """Where some of the scored rows are kept."""

    def offer(self, request_id: str, rows: list[dict[str, Any]], scores: list[float]) -> None:
        """Take the rows of a request or leave them; never blocks, never raises."""
        ...


@dataclass(kw_only=True)
class Service:
    """One model version: loading until `model` is there, draining once told to stop."""

    name: str
    version: str
    metrics: Metrics
    model: Model | None = None
    draining: bool = False
    online: OnlineRows | None = None
    """Set where rows may be asked for by entity id."""
    sampled: RequestLog | None = None
    """Set where scored rows are sampled."""

    @property
    def ready(self) -> bool:
        return self.model is not None and not self.draining

    def loaded(self) -> Model:
        """The model.

        Raises `Rejected` (503) while it is loading.
        """
        if self.model is None:
            raise Rejected(503, "loading", "the model is still loading; ask again soon")
        return self.model

    def serve(self, model: Model) -> None:
        """Begin to serve a model that has passed its self-test."""
        self.metrics.accuracy.set(model.info.metrics.accuracy.value)
        self.model = model
