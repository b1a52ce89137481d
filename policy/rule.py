"""What a rule is: a pure function over one resource, and the controls that it stands for."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

Props = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """A resource as the engine knows it; `props` are its inputs in camelCase."""

    type: str
    name: str
    props: Props
    parent: str = ""
    """URN of the component that it belongs to."""
    protect: bool = False

    @classmethod
    def read(cls, recorded: Mapping[str, Any]) -> Self:
        """From an entry of a recording."""
        return cls(**{each.name: recorded[each.name] for each in fields(cls)})

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def kind(self) -> str:
        """The last part of the type: `Deployment`. A component, which makes nothing, has none."""
        return "" if self.type.startswith("ferry:") else self.type.rpartition(":")[2]


@dataclass(frozen=True)
class Stack:
    """All resources of a stack."""

    resources: Sequence[Resource]

    def of(self, kind: str) -> list[Resource]:
        """Those of a kind."""
        return [each for each in self.resources if each.kind == kind]

    def beside(self, resource: Resource, kind: str) -> list[Resource]:
        """Those of a kind that belong to the same component."""
        return [each for each in self.of(kind) if each.parent == resource.parent]


Look = Callable[[Resource, Stack], Iterator[str]]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`look` yields what is wrong with a resource of one of the `kinds`."""

    number: str
    """In the list of controls that the project keeps to, docs/controls.md."""
    name: str
    says: str
    controls: tuple[str, ...]
    """The published controls that ask for it."""
    kinds: frozenset[str]
    by_others: bool
    """Whether it looks at what is beside the resource: the engine asks once all is registered, and
    then shows what the cluster made of each resource, not what the program wrote."""
    look: Look = field(repr=False)


def rule(
    number: str, *controls: str, kinds: Collection[str], by_others: bool = False
) -> Callable[[Look], Rule]:
    """Make a rule of a function: its name is the rule's, its docstring what the rule says."""

    def made(look: Look) -> Rule:
        return Rule(
            number=number,
            name=look.__name__.replace("_", "-"),  # ty: ignore[missing-attribute]
            says=(look.__doc__ or "").strip(),
            controls=controls,
            kinds=frozenset(kinds),
            by_others=by_others,
            look=look,
        )

    return made


def at(props: Props, path: str, default: Any = None) -> Any:  # noqa: ANN401 - JSON-like data
    """The value at a dotted path, or `default` where any part is missing or null."""
    value: Any = props
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
        if value is None:
            return default
    return value
