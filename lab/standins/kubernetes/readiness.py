"""Whether an object has become what it declares, by kind; pure but for what it looks up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from lab.standins.kubernetes.client import Client, Object


@dataclass(frozen=True)
class Verdict:
    """`message` says what is waited for, or why it failed."""

    state: Literal["ready", "waiting", "failed"]
    message: str = ""


READY = Verdict("ready")


def waiting(message: str) -> Verdict:
    """Not yet."""
    return Verdict("waiting", message)


def failed(message: str) -> Verdict:
    """Never: waiting longer cannot help."""
    return Verdict("failed", message)


Check = Callable[[Object, Client, float], Verdict]
"""From the live object, the API, and the seconds that have been waited so far."""


def condition(live: Object, kind: str) -> Object:
    """The object's condition of that type; empty if there is none."""
    found = (live.get("status") or {}).get("conditions") or []
    return next((each for each in found if each.get("type") == kind), {})


def holds(live: Object, kind: str) -> bool:
    """Whether the condition is there and true."""
    return condition(live, kind).get("status") == "True"


def seen(live: Object) -> bool:
    """Whether the controller has seen the newest spec."""
    observed = (live.get("status") or {}).get("observedGeneration", 0)
    return observed >= live["metadata"].get("generation", 0)


UNSEEN = waiting("Waiting for its controller to see the change")
