"""What is being served, whether it may be asked now, and how many may wait for an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.schema import Problem
from app.serving.metrics import Metrics
from app.serving.model import Model
from app.serving.share import Total

WAITING = 128
"""How many predictions may wait for their turn, over REST and gRPC together; one more is refused
at once. They are some 10 ms of work: nobody waits long, be it for an answer or a refusal."""
BODY_BYTES = 32 << 20
"""Of all bodies that arrive in pieces or wait for their turn, over REST and gRPC together."""


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
    waiting: int = 0
    """Predictions that have arrived whole and are not answered yet; at most `most_waiting`."""
    most_waiting: int = WAITING
    bodies: Total = field(default_factory=lambda: Total(BODY_BYTES))

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

    def enter(self) -> None:
        """Count in a prediction that waits for its turn; `leave` counts it out.

        Raises `Rejected` (503) when too many wait already.
        """
        if self.waiting >= self.most_waiting:
            text = f"{self.waiting} requests are waiting for an answer; ask again in a second"
            raise Rejected(503, "shed", text)
        self.waiting += 1

    def leave(self) -> None:
        """Count out what `enter` counted in."""
        self.waiting -= 1

    def serve(self, model: Model) -> None:
        """Begin to serve a model that has passed its self-test."""
        self.metrics.accuracy.set(model.info.metrics.accuracy.value)
        self.model = model
