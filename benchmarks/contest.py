"""`python -m benchmarks.contest`: eight operators promote at once, from the same pin; who wins.

Each round starts at a stack that pins nothing. Either each operator has a release of its own, or
all have the same. All have read the present pin before one of them may go on: the engine, of whom
each asks what the stack below serves, waits for the last. Real: the commands and their processes,
files, ledger, engine, S3 store, registry. Stood in for: the models' health.
"""

import argparse
import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import told
from benchmarks.stacks.releases import MODEL
from benchmarks.stacks.world import GATE, UPPER, Command, Done, World, world
from promotion import mirroring, moves
from promotion.record import Moved

PATIENCE = 900  # seconds until all of them wait


@dataclass(frozen=True, kw_only=True)
class Round:
    """One contest: what each operator's command ended with, and what is wrong with all of it."""

    ended: Sequence[Done]
    winner: int | None
    wrong: Sequence[str]
    seconds: float


def contest(world: World, lower: Sequence[str], number: int) -> Round:
    """Operator n promotes what `lower[n]` serves; all at once, from the same pin."""
    before = len(world.ledger(UPPER).records())
    gate = world.folder.parent / f"gate-{number}"
    gate.mkdir()
    commands: list[Command] = []
    for place, stack in enumerate(lower):
        _below(world, stack)
        who = f"operator-{place}"
        commands.append(world.ferry("promote", MODEL, "--to", UPPER, who=who, **{GATE: str(gate)}))
        if len(set(lower)) > 1 or place == len(lower) - 1:  # it has read whom it takes from
            _until_waiting(gate, place + 1)
    began = time.monotonic()
    (gate / "open").touch()
    ended = [command.end() for command in commands]
    seconds = time.monotonic() - began
    shutil.rmtree(gate)
    return judged(world, lower, ended, before, seconds)


def judged(
    world: World, lower: Sequence[str], ended: Sequence[Done], before: int, seconds: float
) -> Round:
    """One moved the pin. Each other is told: by 4 and who, or by 0 if its release is the same."""
    new = world.ledger(UPPER).verify()[before:]
    moved = [each for each in new if each.outcome == "moved"]
    pin = Moved.of(world.pin(UPPER))
    wrong: list[str] = []
    if [each.after for each in moved] != [pin] or pin is None:
        wrong.append(f"{len(moved)} records say `moved`, the file pins {pin}")
        return Round(ended=ended, winner=None, wrong=wrong, seconds=seconds)
    who = moved[0].who
    winner = int(who.partition("@")[0].rpartition("-")[2])
    for place, done in enumerate(ended):
        same = lower[place] == lower[winner]
        if (done.code, same) not in ((0, True), (4, False)):
            wrong.append(f"operator {place} ended with {done.code}: {done.text[-600:]}")
        elif not same and who not in done.text:
            wrong.append(f"operator {place} was not told by whom: {done.text[-600:]}")
    lost = sum(each.outcome == "conflict" for each in new)
    losers = sum(stack != lower[winner] for stack in lower)
    if (len(new), lost) != (1 + losers, losers):
        wrong.append(f"{len(new)} records, {lost} of them conflicts; lost have {losers}")
    return Round(ended=ended, winner=winner, wrong=wrong, seconds=seconds)


def rounds(world: World, lower: Sequence[str], times: int, first: int) -> list[Round]:
    """`times` contests, the pin taken out before each."""
    found: list[Round] = []
    with contextlib.suppress(KeyboardInterrupt):  # what was seen until then is told
        for number in range(first, first + times):
            world.must("ferry", "unpin", MODEL, "--stack", UPPER)
            found.append(contest(world, lower, number))
            last = found[-1]
            print(f"round {number}: operator {last.winner}, {last.seconds:.1f} s", flush=True)
            for complaint in last.wrong:
                print(f"  WRONG: {complaint}", flush=True)
    return found


def mirrored(world: World) -> bool:
    """Whether the bucket holds exactly the records of the file."""
    lines = world.ledger(UPPER).lines()
    return mirroring.compare(world.bucket(UPPER), UPPER, lines) == 0


def prepare(world: World) -> None:
    """Each lower stack serves a release of its own; the upper one is up, and serves none."""
    for version, stack in enumerate(world.lower, 1):
        pin = world.release(version, stack)
        moves.move(world.stack(stack), MODEL, pin, expected=None, action="pin")
        world.up(stack)
    world.up(UPPER)


def measure(times: int, same: int, operators: int = 8) -> dict[str, Any]:
    """Contests with as many releases as operators, and with one release; both counted."""
    lower = [f"dev{place}" for place in range(1, operators + 1)]
    with world(lower) as made:
        prepare(made)
        kinds = {
            "a release each": rounds(made, lower, times, 1),
            "the same release": rounds(made, lower[:1] * operators, same, times + 1),
        }
        whole = mirrored(made)
    return {
        "load": told.load(),
        "operators": operators,
        "mirrored": whole,
        "kinds": {name: _counted(found) for name, found in kinds.items() if found},
    }


def _counted(found: Sequence[Round]) -> dict[str, Any]:
    codes = [done.code for each in found for done in each.ended]
    return {
        "rounds": len(found),
        "one winner": sum(not each.wrong for each in found),
        "exit codes": {str(code): codes.count(code) for code in sorted(set(codes))},
        "winners": sorted({each.winner for each in found if each.winner is not None}),
        "seconds": [round(each.seconds, 2) for each in found],
        "wrong": [complaint for each in found for complaint in each.wrong],
    }


def _below(world: World, stack: str) -> None:
    file = world.file(UPPER)
    lines = file.read_text().splitlines()
    changed = [f"    below: {stack}" if "below:" in line else line for line in lines]
    if changed != lines:
        file.write_text("\n".join(changed) + "\n")


def _until_waiting(gate: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE
    while len(list(gate.glob("waiting.*"))) < count:
        if time.monotonic() > until:
            raise RuntimeError(f"no {count} commands came as far as the engine")
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="with a release each")
    parser.add_argument("--same", type=int, default=10, help="rounds with the same release")
    parser.add_argument("--operators", type=int, default=8)
    parser.add_argument("--out", type=Path, help="folder for contest.json")
    options = parser.parse_args()
    found = measure(options.rounds, options.same, options.operators)
    told.write(found, options.out, "contest")
    rows = [
        (
            name,
            f"{each['one winner']} of {each['rounds']}",
            ", ".join(f"{count} x {code}" for code, count in each["exit codes"].items()),
            f"{max(each['seconds']):.1f}",
        )
        for name, each in found["kinds"].items()
    ]
    print(
        told.table(
            (f"{options.operators} promote", "one winner each", "exit codes", "s, slowest"), rows
        )
    )
    print(f"load average {found['load']}; ledger and its mirror agree: {found['mirrored']}")
    if any(each["wrong"] for each in found["kinds"].values()) or not found["mirrored"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
