"""What a stand-in provider is: the operations it answers, in Python values, and its errors."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pulumi.runtime.proto import provider_pb2

from lab.standins.difference import Change, differences
from lab.standins.engine import Severity
from lab.standins.values import Value

Properties = dict[str, Value]
"""Properties by name; the values are those of `lab.standins.values`."""

Log = Callable[[str, Severity], None]


class ProviderError(Exception):
    """A failure whose message is meant for the person who runs the program."""


class Refused(ProviderError):
    """Something that the official provider does and this stand-in does not; names the remedy."""


class Invalid(ProviderError):
    """Inputs that cannot be right: `failures` maps a property (or "") to the reason."""

    def __init__(self, failures: Mapping[str, str]) -> None:
        super().__init__("; ".join(failures.values()))
        self.failures = dict(failures)


class PartialFailure(ProviderError):
    """The resource exists but did not become what was asked: it stays in state, with `reasons`."""

    def __init__(self, state: "State", reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.state = state
        self.reasons = list(reasons)


@dataclass(frozen=True, kw_only=True)
class State:
    """A resource as it is: what the program said (`inputs`) and everything known (`outputs`)."""

    id: str
    inputs: Properties
    outputs: Properties


@dataclass(frozen=True, kw_only=True)
class Diff:
    """Changes by property path (`spec.ports[0].port`); none of them means no update."""

    changes: Mapping[str, Change] = field(default_factory=dict)
    delete_before_replace: bool = False


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One request about one resource. `timeout` is in seconds, None when none was asked for."""

    urn: str
    type: str
    name: str
    id: str = ""
    preview: bool = False
    timeout: float | None = None
    cancelled: threading.Event
    log: Log
    status: Callable[[str], None]
    """Shows a passing progress message beside the resource."""


class Provider:
    """Answers every operation with a refusal; a stand-in overrides what it covers.

    Methods run in parallel. Inputs may hold unknowns during a preview, and secrets always.
    """

    name: ClassVar[str]
    version: ClassVar[str]

    def check_config(self, new: Properties) -> Properties:
        return new

    def diff_config(self, old: Properties, new: Properties) -> Diff:
        return Diff(changes=differences(old, new))

    def configure(self, args: Properties) -> None:
        """Takes the provider's arguments; nothing else is called before."""

    def check(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        """The inputs with defaults filled in. `old` is empty before creation. Raises Invalid."""
        raise self._refused(operation.type)

    def diff(
        self, operation: Operation, old_inputs: Properties, old: Properties, new: Properties
    ) -> Diff:
        """By default every changed input is an update."""
        return Diff(changes=differences(old_inputs, new))

    def create(self, operation: Operation, inputs: Properties) -> State:
        """During a preview the outputs that are not known yet are left out."""
        raise self._refused(operation.type)

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        """None if the resource does not exist. Both are empty for an import."""
        raise self._refused(operation.type)

    def update(
        self, operation: Operation, old_inputs: Properties, old: Properties, inputs: Properties
    ) -> Properties:
        """The new outputs."""
        raise self._refused(operation.type)

    def delete(self, operation: Operation, inputs: Properties, outputs: Properties) -> None:
        """Returns when the resource is gone; one that is missing is no error."""
        raise self._refused(operation.type)

    def invoke(self, token: str, args: Properties) -> Properties:
        raise self._refused(token)

    def construct(
        self, request: provider_pb2.ConstructRequest, log: Log
    ) -> provider_pb2.ConstructResponse:
        """Registers a component and its children with the engine's monitor."""
        raise self._refused(request.type)

    def _refused(self, token: str) -> Refused:
        return Refused(f"the lab's stand-in for {self.name} does not cover {token}")
