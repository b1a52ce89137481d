"""What each model of a stack answers at its URL, asked again until it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from infra.outputs import ServedModel

Rows = dict[str, Any] | list[Any]
"""What /predict takes: one row of named fields, or a list of them."""

Answer = dict[str, Any] | str
"""The parsed answer, or a sentence saying why there is none."""

_TIMEOUT = 10  # seconds, of one request
_PAUSE = 0.5  # seconds, between two


@dataclass(frozen=True, kw_only=True)
class Health:
    """One served model: what it says of itself, and the score of a given row, if one was given."""

    served: ServedModel
    answers: Answer
    score: Answer | None = None

    @property
    def well(self) -> bool:
        return not (isinstance(self.answers, str) or isinstance(self.score, str))

    def document(self) -> dict[str, Any]:
        """As plain data."""
        release = self.served.release
        found = {
            "url": self.served.url,
            "pinned": {"version": release.version, "image": release.image},
            "answers": self.answers,
        }
        return found if self.score is None else {**found, "score": self.score}


def ask(
    models: Mapping[str, ServedModel], rows: Mapping[str, Rows], *, patience: float = 0
) -> dict[str, Health]:
    """Ask every model for its metadata and, those of `rows`, for a prediction.

    One that does not answer is asked again for `patience` seconds in all: an Ingress controller
    learns of new pods a little later than the engine.
    """
    again = Retrying(
        retry=retry_if_result(lambda health: not health.well),
        stop=stop_after_delay(patience),
        wait=wait_fixed(_PAUSE),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    return {name: again(_health, name, served, rows.get(name)) for name, served in models.items()}


def _health(name: str, served: ServedModel, body: Rows | None) -> Health:
    score = None if body is None else _answer("POST", f"{served.url}/predict", body)
    return Health(
        served=served, answers=_answer("GET", f"{served.url}/v2/models/{name}"), score=score
    )


def _answer(method: str, url: str, body: Rows | None = None) -> Answer:
    try:
        answer = requests.request(method, url, json=body, timeout=_TIMEOUT)
        return answer.json() if answer.ok else f"{answer.status_code}: {answer.text[:200]}"
    except (requests.RequestException, ValueError) as error:
        return f"no answer: {error}"
