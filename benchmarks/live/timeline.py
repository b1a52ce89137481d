"""What happened when: the marks of a Rollout, the phases between them, and who answered in each."""

import json
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from benchmarks.load import Answer

SETTLE = 45.0  # seconds after a command's end that count to it: former pods are ended in them

Spans = dict[str, list[tuple[float, float]]]
"""Times from and to (Unix seconds) by the name of a phase."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """The Rollout as it was from `at` on: the canary's share of the traffic, and its phase."""

    at: float
    weight: int
    phase: str
    aborted: bool


class Watch:
    """Marks of a Rollout, taken as the API server tells of them, from `with` to its end."""

    def __init__(self, rollout: str, namespace: str, environment: Mapping[str, str]) -> None:
        self.marks: list[Mark] = []
        self._command = [
            *("kubectl", "get", "rollout", rollout, f"--namespace={namespace}"),
            *("--watch", "--output=json"),
        ]
        self._environment = dict(environment)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.PIPE, text=True
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._reading.join()

    def between(self, begun: float, ended: float) -> list[Mark]:
        return [mark for mark in list(self.marks) if begun <= mark.at < ended]

    def _read(self) -> None:
        text = ""
        for line in self._process.stdout or ():
            text += line
            if line.rstrip() == "}":  # the last line of an object, which kubectl indents
                self.marks.append(marked(json.loads(text), time.time()))
                text = ""


def marked(rollout: Mapping[str, Any], at: float) -> Mark:
    """A mark from the object as the API server has it."""
    status = rollout.get("status") or {}
    weights = (status.get("canary") or {}).get("weights") or {}
    return Mark(
        at=at,
        weight=int((weights.get("canary") or {}).get("weight", 0)),
        phase=status.get("phase", ""),
        aborted=bool(status.get("abort")),
    )


def delivered(begun: float, ended: float, marks: Sequence[Mark]) -> Spans:
    """The phases of one delivery: start, each step, then promote, or abort until it is put back."""
    found: Spans = defaultdict(list)
    phase, since = "start", begun
    for mark in marks:
        if phase == "abort":
            break  # what comes next puts the former release back
        if mark.aborted:
            following = "abort"
        elif 0 < mark.weight < 100:
            following = f"step {mark.weight} %"
        elif phase.startswith("step"):
            following = "promote"
        else:
            continue
        if following != phase:
            found[phase].append((since, mark.at))
            phase, since = following, mark.at
    found[phase].append((since, ended + SETTLE))
    return dict(found)


def reach(answers: Sequence[Answer], said: str) -> tuple[float, float] | None:
    """When the first and the last request was due that got this answer; None if none did."""
    times = [each.due for each in answers if each.said == said]
    return (min(times), max(times)) if times else None


def split(answers: Sequence[Answer], spans: Spans) -> Iterator[tuple[str, list[Answer]]]:
    """The answers of each phase, all its times together."""
    for phase, times in spans.items():
        yield phase, [each for each in answers if any(a <= each.due < b for a, b in times)]


def join(all_of_them: Sequence[Spans]) -> Spans:
    """Several deliveries' phases as one."""
    found: Spans = defaultdict(list)
    for spans in all_of_them:
        for phase, times in spans.items():
            found[phase] += times
    return dict(found)
