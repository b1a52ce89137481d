"""Predictions whose requests arrived whole: they wait for their turn and are scored together."""

import asyncio
import time
from typing import Protocol

from app.serving import edge, inference, logs, replies
from app.serving.edge import Ask
from app.serving.inference import Question
from app.serving.service import Rejected

_TOGETHER = 32
"""Requests in one call of the model: more would save next to nothing, and delay the first."""
_BYTES_TOGETHER = 256 << 10
"""Of the bodies whose rows wait for one turn: rows take some ten times as much as their JSON."""


class Asker(Protocol):
    """Who gets the answer; `waits` says how many of its requests have none yet."""

    waits: int

    def reply(self, status: int, content: bytes, request_id: str, *, keep: bool) -> None:
        """Write a whole answer; not `keep`: close after it."""
        ...

    def gone(self) -> bool:
        """Whether an answer would reach nobody."""
        ...


class Turn:
    """A request that waits for its answer."""

    __slots__ = ("arrived", "asker", "error", "keep", "question", "request_id", "route")

    def __init__(self, asker: Asker, route: str, request_id: str, *, keep: bool) -> None:
        self.asker = asker
        self.route = route
        self.request_id = request_id
        self.keep = keep
        self.arrived = time.perf_counter()
        self.question: Question | None = None
        self.error: Rejected | None = None


class Turns:
    """The requests of one iteration of the event loop, answered at its end in their order.

    So each costs no task, and those that arrive together share a call of the model.
    """

    def __init__(self, app: edge.App) -> None:
        self._app = app
        self._service = app.service
        self._turns: list[Turn] = []
        self._bytes = 0

    def take(self, turn: Turn, ask: Ask, body: bytes) -> bool:
        """Read the body and give the turn its place; False when the rows have to be waited for.

        What is refused is told at once, unless its client waits for an earlier answer.
        """
        try:
            if len(body) > self._app.bounds.body_bytes:
                raise replies.too_large(self._app.bounds.body_bytes)
            self._service.enter()
            try:
                found = ask(self._service, body)
            except BaseException:
                self._service.leave()
                raise
            if not isinstance(found, Question):
                self._service.leave()
                found.close()
                return False
            turn.question = found
        except Rejected as error:
            turn.error = error.with_traceback(None)  # whose frames hold the turn: no cycle
        except Exception as error:  # the last resort: a bug is answered as JSON too
            turn.error = replies.bug(turn.request_id, error)
        if turn.error is not None and not turn.asker.waits:
            self._end(turn, b"")
            return True
        turn.asker.waits += 1
        self._turns.append(turn)
        if len(self._turns) == 1:
            asyncio.get_running_loop().call_soon(self.answer)
        self._bytes += len(body)
        if self._bytes > _BYTES_TOGETHER:
            self.answer()
        return True

    def answer(self) -> None:
        """Answer all that wait."""
        turns, self._turns = self._turns, []
        self._bytes = 0
        for turn in turns:
            turn.asker.waits -= 1
            if turn.question is not None:
                self._service.leave()
        for first in range(0, len(turns), _TOGETHER):
            together = turns[first : first + _TOGETHER]
            contents = self._contents([turn for turn in together if turn.question is not None])
            for turn in together:
                self._end(turn, contents.get(turn, b""))

    def _contents(self, turns: list[Turn]) -> dict[Turn, bytes]:
        asked = [(turn.question, turn.request_id) for turn in turns if turn.question is not None]
        if not asked:
            return {}
        try:
            return dict(zip(turns, inference.answers(self._service, asked), strict=True))
        except Exception as error:
            if len(turns) > 1:  # whichever it was, the others are not to suffer
                return {
                    key: value for turn in turns for key, value in self._contents([turn]).items()
                }
            turns[0].error = replies.bug(turns[0].request_id, error)
            return {}

    def _end(self, turn: Turn, content: bytes) -> None:
        if turn.asker.gone():
            return
        status, error = 200, turn.error
        metrics = self._service.metrics
        keep = turn.keep and not self._service.draining
        if error is None:
            metrics.latency.observe(time.perf_counter() - turn.arrived)
        else:
            status = error.status
            metrics.error(error.code)
            content = replies.rejection(turn.request_id, error)
        turn.asker.reply(status, content, turn.request_id, keep=keep)
        ms = round((time.perf_counter() - turn.arrived) * 1000, 3)
        logs.later("request", id=turn.request_id, route=turn.route, status=status, ms=ms)
