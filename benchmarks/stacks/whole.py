"""Whether a stack is whole: file, ledger, mirror, engine, objects and aliases say the same."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stacks.releases import MODEL
from benchmarks.stacks.world import UPPER, World
from infra.settings import Pin
from promotion import mirroring, moves
from promotion.record import Moved, Record
from promotion.refusals import Refusal

Told = tuple[str, str]
"""A record's action and outcome."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a stack must pin, what it must serve (None: it is not asked), and what it recorded."""

    pinned: Pin
    served: Pin | None
    records: Sequence[Told]


def complaints(
    world: World, stack: str, wanted: Wanted, before: int, *, preview: bool
) -> Iterator[str]:
    """Everything that is not as wanted; `before` is how many records there were.

    Without `preview`, which takes longer than all the rest, the state is only read.
    """
    try:
        records = world.ledger(stack).verify()
    except Refusal as broken:
        yield f"the ledger is broken: {broken}"
        return
    pinned = Moved.of(wanted.pinned)
    if world.pin(stack) != wanted.pinned:
        yield f"the file pins {_version(world.pin(stack))}, not {wanted.pinned.version}"
    if moves.last_set(records, MODEL) != pinned:
        yield f"the ledger's last move is to {moves.last_set(records, MODEL)}"
    yield from _recorded(records[before:], wanted.records)
    try:
        missing = mirroring.compare(world.bucket(stack), stack, world.ledger(stack).lines())
        if missing:
            yield f"the mirror lacks {missing} records"
    except Refusal as forked:
        yield f"the mirror differs: {forked}"
    if locks(world, stack):
        yield f"the engine's lock is left: {locks(world, stack)}"
    if pending := _deployment(world, stack).get("pending_operations"):
        yield f"operations are pending: {[each['type'] for each in pending]}"
    if wanted.served is not None:
        yield from _served(world, stack, wanted.served, records)
        if preview and not world.unchanged(stack):
            yield "the next preview is not empty"


def _served(world: World, stack: str, wanted: Pin, records: Sequence[Record]) -> Iterator[str]:
    if moves.live(records, MODEL) != Moved.of(wanted):
        yield f"the ledger says that {moves.live(records, MODEL)} is live"
    if set(world.served(stack)) != {wanted.version}:
        yield f"the objects say {world.served(stack)}, not {wanted.version}"
    if set(_known(world, stack)) != {wanted.version}:
        yield f"the engine's state says {_known(world, stack)}, not {wanted.version}"
    for alias in (stack, *(["champion"] if stack == UPPER else [])):
        if world.answers.aliases.get(alias) != wanted.version:
            yield f"alias {alias} names {world.answers.aliases.get(alias)}, not {wanted.version}"


def _recorded(new: Sequence[Record], wanted: Sequence[Told]) -> Iterator[str]:
    """Each once; an attempt that failed since the engine was killed may stand beside them."""
    told = Counter((each.action, each.outcome) for each in new if each.outcome != "failed")
    if told != Counter(wanted):
        yield f"recorded is {dict(told)}, wanted {list(wanted)}"


def trace(world: World, stack: str) -> tuple[object, ...]:
    """Changes whenever the stack's file, ledger, state or lock does."""
    files = (world.file(stack), world.ledger(stack).path, _state(world, stack))
    return (*map(_stamp, files), *locks(world, stack))


def place(world: World, stack: str, before: Pin | None, records: int) -> str:
    """Where a kill came: `before` was pinned at the start, and there were so many `records`."""
    if locks(world, stack):
        return "while the engine was updating"
    lines = len(world.ledger(stack).lines())
    moved = world.pin(stack) != before
    if moved and lines == records:
        return "between pin and record"
    return "after the first record" if lines > records else "before anything moved"


def locks(world: World, stack: str) -> list[str]:
    """The engine's lock files of the stack."""
    folder = world.backend / ".pulumi/locks"
    return sorted(path.name for path in folder.rglob("*.json") if path.parent.name == stack)


def litter(world: World) -> list[str]:
    """Files of the project that are neither in Git nor a ledger."""
    printed = world.must("git", "ls-files", "--others", "--exclude-standard", "--", ".")
    return [name for name in printed.splitlines() if not name.startswith("ledger/")]


def _state(world: World, stack: str) -> Path:
    return world.backend / ".pulumi/stacks/ferry" / f"{stack}.json"


def _deployment(world: World, stack: str) -> dict:
    try:
        return json.loads(_state(world, stack).read_text())["checkpoint"]["latest"]
    except (OSError, ValueError, KeyError) as error:
        return {"pending_operations": [{"type": f"the state can't be read: {error}"}]}


def _known(world: World, stack: str) -> list[int]:
    """The version in each of the model's objects, as the engine's state has them."""
    resources = _deployment(world, stack).get("resources") or ()
    contents = (each.get("outputs", {}).get("content") for each in resources)
    return [json.loads(content)["version"] for content in contents if content]


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
        return found.st_mtime_ns, found.st_size
    except OSError:
        return 0, 0


def _version(pin: Pin | None) -> int | None:
    return pin.version if pin else None
