"""Aliases in MLflow mirror what stacks serve, after the fact; nobody decides by them."""

from collections.abc import Callable, Iterator

from infra.settings import Pin
from promotion import ledger
from promotion.models import ModelRegistry
from promotion.promote import origin_of
from promotion.record import Moved
from promotion.refusals import DependencyDown, GateRefused, NeverUp
from promotion.stack import Stack, all_in

CHAMPION = "champion"
"""What the topmost stack serves."""


def mirror(stack: Stack, say: Callable[[str], None]) -> None:
    """Move the stack's alias to each pinned version, where its releases were registered.

    The topmost stack moves `champion` as well. An MLflow out of reach is a warning: the next
    delivery makes up for it.
    """
    aliases = [stack.name, *([CHAMPION] if _topmost(stack) else [])]
    pinned = stack.settings.pins
    if not pinned:
        return
    try:
        registry = ModelRegistry(origin_of(stack))
        for model, pin in pinned.items():
            for alias in aliases:
                registry.point(model, alias, pin.version)
    except (DependencyDown, GateRefused, NeverUp) as error:
        say(f"warning: the aliases {', '.join(aliases)} are not moved yet: {error}")


def delete(stack: Stack, model: str, version: int) -> bool:
    """Delete a version in MLflow that no stack pins; False when it is gone already.

    Raises `GateRefused` naming the stacks that pin it; each attempt is in the ledger.
    """
    holders = [
        (name, pin) for name, found, pin in _pins(stack) if (found, pin.version) == (model, version)
    ]
    if holders:
        files = ", ".join(f"Pulumi.{name}.yaml" for name, _ in holders)
        reason = f"{model} version {version} is pinned by {files}; move those pins first"
        ledger.of(stack).append(
            model=model,
            action="delete",
            outcome="refused",
            before=Moved.of(holders[0][1]),
            reason=reason,
        )
        raise GateRefused(reason)
    if not ModelRegistry(origin_of(stack)).delete(model, version):
        return False
    ledger.of(stack).append(
        model=model, action="delete", outcome="moved", reason=f"version {version}"
    )
    return True


def _topmost(stack: Stack) -> bool:
    return not any(other.settings.platform.below == stack.name for other in all_in(stack.directory))


def _pins(stack: Stack) -> Iterator[tuple[str, str, Pin]]:
    for other in all_in(stack.directory):
        for model, pin in other.settings.pins.items():
            yield other.name, model, pin
