"""What each covered resource type answers, in plain values: no secrets, no unknowns."""

from typing import Protocol

from lab.standins.aws.store import Store
from lab.standins.provider import Operation, Properties, State


class Resource(Protocol):
    """One resource type."""

    @property
    def inputs(self) -> frozenset[str]:
        """The inputs that are covered."""
        ...

    @property
    def replaces(self) -> frozenset[str]:
        """The inputs whose change needs a new resource."""
        ...

    @property
    def volatile(self) -> frozenset[str]:
        """The outputs that an update changes, so that a preview does not know them."""
        ...

    def complete(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        """The inputs with defaults; parts may be unknown or secret. Raises Invalid."""
        ...

    def comparable(self, inputs: Properties) -> Properties:
        """The inputs in a form in which equal ones mean the same."""
        ...

    def create(self, store: Store, operation: Operation, inputs: Properties) -> State: ...

    def read(self, store: Store, identity: str, inputs: Properties) -> State | None:
        """What the store holds now. `inputs` is empty for an import."""
        ...

    def update(
        self, store: Store, operation: Operation, old: Properties, inputs: Properties
    ) -> Properties:
        """The new outputs."""
        ...

    def delete(self, store: Store, operation: Operation, outputs: Properties) -> None: ...
