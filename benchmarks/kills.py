"""`python -m benchmarks.kills`: commands are killed anywhere, and each mends itself when repeated.

Release after release is pinned and delivered in dev, promoted, and delivered in prod; every third
is rolled back there, and every tenth is bad and put back in dev. Each of these commands is killed
once (SIGKILL), at a random moment: `ferry` alone, the engine alone, or the whole session, as when
a machine runs out of memory. Half of the moments are just after a write, where two of them belong
together. Then the same command is run once more, and file, ledger, its mirror, engine, served
objects and aliases must all say the same; of one in five the next preview must be empty. Real:
commands, engine with its file backend, S3 store, registry. Stood in for: pods (three objects in
the bucket), MLflow's aliases and versions, the models' health.
"""

import argparse
import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import told
from benchmarks.load import quantile
from benchmarks.stacks import killing, whole
from benchmarks.stacks.killing import Moment, Target
from benchmarks.stacks.releases import MODEL
from benchmarks.stacks.whole import Wanted
from benchmarks.stacks.world import UPPER, World, world
from infra.settings import Pin

LOWER = "dev"
CLOSE = 0.05  # seconds: how soon after a write a kill comes that waits for one
PREVIEWED = 0.2  # share of the kills after which the engine is asked what it would change
PATIENCE = 10  # seconds for what a killed command left running to end
TARGETS: tuple[Target, ...] = ("ferry", "pulumi", "session")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command, the stack that it changes, and how this is afterwards."""

    name: str
    words: Sequence[str]
    stack: str
    wanted: Wanted
    codes: frozenset[int] = frozenset({0})


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One command killed and repeated; `wrong` is empty when all is whole again."""

    step: str
    target: Target
    place: str
    after: float
    """Seconds from the command's start."""
    repeated: float
    """Seconds that the same command took when it was run again."""
    wrong: Sequence[str]


@dataclass
class Trial:
    """What was seen until now, and how long each command takes when nobody kills it."""

    world: World
    random: random.Random
    kills: list[Kill] = field(default_factory=list)
    missed: int = 0
    """Commands that had ended before their kill came."""
    took: dict[str, float] = field(default_factory=dict)

    def run(self, step: Step) -> None:
        """Kill the command and repeat it; the first of each kind is only timed."""
        before = len(self.world.ledger(step.stack).lines())
        pinned = self.world.pin(step.stack)
        began = time.monotonic()
        command = self.world.ferry(*step.words)
        target = self.random.choice(TARGETS)
        known = self.took.get(step.name)
        hit = known is not None and killing.strike(
            self.world, step.stack, command, target, self._moment(known)
        )
        after = time.monotonic() - began
        done = command.end()
        if not hit:
            self.missed += known is not None
            self.took.setdefault(step.name, time.monotonic() - began)
            wrong = self._wrong(step, done.code, before, command.process.pid)
            if wrong:
                raise RuntimeError(f"{step.name}, which nobody killed: {wrong}\n{done.text}")
            return
        place = whole.place(self.world, step.stack, pinned, before)
        began = time.monotonic()
        again = self.world.ferry(*step.words).end()
        repeated = time.monotonic() - began
        wrong = self._wrong(step, again.code, before, command.process.pid)
        if wrong:
            wrong += [f"killed, it said: {done.text[-800:]}", f"then: {again.text[-800:]}"]
        kill = Kill(
            step=step.name,
            target=target,
            place=place,
            after=round(after, 3),
            repeated=round(repeated, 2),
            wrong=wrong,
        )
        self.kills.append(kill)
        print(f"{len(self.kills)}: {kill}", flush=True)

    def _moment(self, whole_of_it: float) -> Moment:
        if self.random.random() < 0.5:
            return Moment(seconds=self.random.uniform(0, whole_of_it))
        return Moment(seconds=self.random.uniform(0, CLOSE), writes=self.random.randint(1, 4))

    def _wrong(self, step: Step, code: int, before: int, session: int) -> list[str]:
        found = [] if code in step.codes else [f"exit code {code}"]
        preview = self.random.random() < PREVIEWED
        found += whole.complaints(self.world, step.stack, step.wanted, before, preview=preview)
        until = time.monotonic() + PATIENCE
        while left := list(killing.living(session)):
            if time.monotonic() > until:
                return [*found, f"processes {left} are still there"]
            time.sleep(0.1)
        return found


def releases(trial: Trial, kills: int) -> None:
    """Release after release until so many commands were killed."""
    world, prod, version = trial.world, list[Pin](), 0
    dev: Pin | None = None
    while len(trial.kills) < kills:
        version += 1
        made = world.release(version, LOWER)
        for step in _lower(made, dev):
            trial.run(step)
        if version % 10 == 9:  # put back
            continue
        dev = made
        for step in _upper(made):
            trial.run(step)
        prod.append(made)
        if version % 3 == 0 and len(prod) > 1:
            trial.run(_rollback(prod[-2]))
            del prod[-1]
        if trial.kills and trial.kills[-1].wrong:  # nobody knows what was live before
            prod.clear()


def _lower(made: Pin, former: Pin | None) -> Iterator[Step]:
    bad = made.version % 10 == 9 and former is not None
    yield Step(
        name="pin",
        words=("pin", MODEL, "--version", str(made.version), "--stack", LOWER),
        stack=LOWER,
        wanted=Wanted(pinned=made, served=None, records=[("pin", "moved")]),
    )
    if bad:
        # Killed once the former pin is in the file again, the next run has nothing to refuse.
        yield _deliver("put back", LOWER, former, "rolled-back", frozenset({0, 3}))
    else:
        yield _deliver("deliver in dev", LOWER, made, "live", frozenset({0}))


def _upper(made: Pin) -> Iterator[Step]:
    yield Step(
        name="promote",
        words=("promote", MODEL, "--to", UPPER),
        stack=UPPER,
        wanted=Wanted(pinned=made, served=None, records=[("promote", "moved")]),
    )
    yield _deliver("deliver in prod", UPPER, made, "live", frozenset({0}))


def _deliver(name: str, stack: str, pin: Pin, outcome: str, codes: frozenset[int]) -> Step:
    return Step(
        name=name,
        words=("deliver", "--stack", stack),
        stack=stack,
        wanted=Wanted(pinned=pin, served=pin, records=[("deliver", outcome)]),
        codes=codes,
    )


def _rollback(to: Pin) -> Step:
    records = [("rollback", "moved"), ("deliver", "live")]
    return Step(
        name="roll back",
        words=("rollback", MODEL, "--stack", UPPER),
        stack=UPPER,
        wanted=Wanted(pinned=to, served=to, records=records),
    )


def measure(kills: int, seed: int) -> dict[str, Any]:
    """So many kills, counted by command, target and place."""
    with world((LOWER,)) as made:
        for stack in (LOWER, UPPER):
            made.up(stack)
        trial = Trial(made, random.Random(seed))  # noqa: S311
        with contextlib.suppress(KeyboardInterrupt):  # what was seen until then is told
            releases(trial, kills)
        litter = whole.litter(made)
    found = trial.kills
    return {
        "load": told.load(),
        "seed": seed,
        "kills": len(found),
        "recovered": sum(not each.wrong for each in found),
        "missed": trial.missed,
        "took": trial.took,
        "litter": litter,
        "all": [asdict(each) for each in found],
    }


def rows(kills: Sequence[dict[str, Any]]) -> Iterator[tuple[object, ...]]:
    """Per command: kills, recovered, by target, by place, and seconds of the repeated command."""
    for step in dict.fromkeys(each["step"] for each in kills):
        of = [each for each in kills if each["step"] == step]
        yield (
            step,
            f"{sum(not each['wrong'] for each in of)} of {len(of)}",
            _counted(each["target"] for each in of),
            _counted(each["place"] for each in of),
            f"{quantile([each['repeated'] for each in of], 0.95):.1f}",
        )


def _counted(names: Iterator[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(Counter(names).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder for kills.json")
    options = parser.parse_args()
    found = measure(options.kills, options.seed)
    told.write(found, options.out, "kills")
    heads = ("killed", "whole after one repetition", "what", "where", "s to repeat, p95")
    print(told.table(heads, rows(found["all"])))
    print(f"{found['recovered']} of {found['kills']}; load average {found['load']}")
    if found["recovered"] != found["kills"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
