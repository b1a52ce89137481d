"""`python -m benchmarks.deliveries`: releases move on a live lab, at 50 requests a second.

A canary of 10 and 50 % with the real judge, Prometheus and server, over and over: good releases are
promoted and rolled back, a broken one (every answer an error) and a flaky one (5 % of them) are put
back, pods are deleted. Beside it the same pods as a plain Deployment, put back by `kubectl rollout
undo` and by `helm rollback`, under the same load. Latency counts from when a request was due.
The clone and its lab stay in the folder, and are used again; `--purge` ends and deletes them.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import told
from benchmarks.live import peers as beside
from benchmarks.live.peers import Peers
from benchmarks.live.stack import BAD, HOST, MODELS, STACK, Ran, Stack
from benchmarks.live.timeline import SETTLE, Spans, Watch, delivered, join, reach, split
from benchmarks.load import Load, quantile, summary
from benchmarks.stacks.releases import MODEL

PAUSE = 20.0  # seconds that a deleted pod's replacement is watched


@dataclass
class Seen:
    """What all the runs left: phases, and per run what its goal is about."""

    spans: dict[str, list[Spans]] = field(default_factory=dict)
    exposed: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from a bad release's first answer to its last."""
    commands: dict[str, list[float]] = field(default_factory=dict)
    served: dict[str, list[float]] = field(default_factory=dict)
    """Seconds from the start of a rollback to the last answer of the release that was left."""
    equal: list[bool] = field(default_factory=list)
    """Whether the golden rows got the same bytes as before."""
    templates: dict[str, dict] = field(default_factory=dict)

    def took(self, name: str, ran: Ran) -> None:
        self.commands.setdefault(name, []).append(ran.seconds)


@dataclass(frozen=True)
class Bench:
    """A stack under load, watched."""

    stack: Stack
    load: Load
    watch: Watch
    seen: Seen

    def good(self) -> None:
        """The second release is promoted; rollbacks lead to the first, forth again, and back."""
        stack, answers = self.stack, {"first": self.stack.golden()}
        self.seen.templates.setdefault("first", self._template())
        stack.pinned(stack.releases["second"])
        ran = self._deliver("good", 0)
        time.sleep(SETTLE)
        self.seen.templates.setdefault("second", self._template())
        answers["second"] = stack.golden()
        took = [
            self._roll_back(name, left, answers[name])
            for name, left in (("first", "second"), ("second", "first"), ("first", "second"))
        ]
        rolled = ", ".join(f"{seconds:.0f}" for seconds in took)
        _say(f"good: delivered in {ran.seconds:.0f} s, rolled back in {rolled} s")

    def _roll_back(self, name: str, left: str, golden: Sequence[bytes]) -> float:
        """To the release of that name; the seconds until the one that is left answers no more."""
        back = self.stack.rollback(self.stack.releases[name])
        _must(back, 0)
        time.sleep(SETTLE)
        until = back.ended + SETTLE
        self._keep("roll back", {"roll back": [(back.begun, until)]})
        self.seen.took("ferry rollback", back)
        found = self._answered(self.load.between(back.begun, until), left)
        if found is None:
            raise RuntimeError(f"the {left} release answered nothing as it was left: {back.text}")
        seconds = found[1] - back.begun
        self.seen.served.setdefault("ferry rollback", []).append(seconds)
        self.seen.equal.append(self.stack.golden() == golden)
        return seconds

    def bad(self, name: str) -> None:
        """A release of that name is tried, found bad, and put back."""
        self.stack.pinned(self.stack.releases[name])
        ran = self._deliver(name, 3)
        time.sleep(SETTLE)
        answers = self.load.between(ran.begun, ran.ended + SETTLE)
        found = [each for each in (reach(answers, BAD), self._answered(answers, name)) if each]
        if not found:
            raise RuntimeError(f"nobody saw the {name} release: {ran.text[-2000:]}")
        seconds = max(each[1] for each in found) - min(each[0] for each in found)
        self.seen.exposed.setdefault(name, []).append(seconds)
        _say(f"{name}: seen for {seconds:.1f} s, put back in {ran.seconds:.0f} s")

    def delete_pod(self) -> None:
        """One of the pods that serve is deleted, as when a node is drained."""
        pods = self.stack.get("pods", f"--selector=ferry.dev/model={MODEL}")["items"]
        living = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
        words = ("delete", "pod", living[0]["metadata"]["name"], f"--namespace={MODELS}")
        begun = time.time()
        self.stack.kubectl(*words, "--wait=false")
        time.sleep(PAUSE)
        self._keep("delete pod", {"delete pod": [(begun, time.time())]})

    def _answered(self, answers: Sequence[Any], name: str) -> tuple[float, float] | None:
        return reach(answers, str(self.stack.releases[name]))

    def _deliver(self, name: str, code: int) -> Ran:
        ran = self.stack.deliver()
        _must(ran, code)
        self._keep(name, delivered(ran.begun, ran.ended, self.watch.between(ran.begun, ran.ended)))
        self.seen.took(f"deliver {name}", ran)
        return ran

    def _keep(self, name: str, spans: Spans) -> None:
        self.seen.spans.setdefault(name, []).append(spans)

    def _template(self) -> dict:
        return self.stack.get("deployment", f"{MODEL}-template")["spec"]["template"]


def measure(stack: Stack, folder: Path, times: argparse.Namespace) -> dict[str, Any]:
    """Every kind of move as often as asked."""
    seen, row = Seen(), stack.row()
    with (
        Load(f"http://{HOST}/predict", row, folder / "answers.jsonl") as load,
        Watch(MODEL, MODELS, stack.environment) as watch,
    ):
        bench = Bench(stack, load, watch, seen)
        time.sleep(5)
        for _ in range(times.good):
            bench.good()
        for name, count in (("broken", times.broken), ("flaky", times.flaky)):
            for _ in range(count):
                bench.bad(name)
        for _ in range(times.pods):
            bench.delete_pod()
    answers = load.between(0)
    phases = {
        f"{name}: {phase}": summary(found)
        for name, spans in seen.spans.items()
        for phase, found in split(answers, join(spans))
    }
    if times.peers and times.good:
        for peer, spans in _peers(stack, folder, seen, row, times.peers):
            phases[peer] = summary(spans)
    return {
        "load": told.load(),
        "all": summary(answers),
        "phases": phases,
        "exposed": seen.exposed,
        "commands": seen.commands,
        "left": seen.served,
        "golden": seen.equal,
    }


def _peers(
    stack: Stack, folder: Path, seen: Seen, row: bytes, times: int
) -> Iterator[tuple[str, Any]]:
    """Each peer goes forth and back under the same load; the answers while it went back."""
    both = Peers(stack, folder, seen.templates["first"], seen.templates["second"])
    for peer in beside.NAMES:
        beside.wait(peer, row)
        spans = []
        name = "kubectl rollout undo" if peer == "kubectl" else "helm rollback"
        with Load(beside.url(peer), row, folder / f"{peer}.jsonl") as load:
            for _ in range(times):
                both.bring(peer, "second")
                time.sleep(SETTLE / 3)
                back = both.back(peer)
                time.sleep(SETTLE / 3)
                spans.append((back.begun, back.ended + SETTLE / 3))
                seen.took(name, back)
                left = reach(load.between(*spans[-1]), str(stack.releases["second"]))
                seen.served.setdefault(name, []).append(left[1] - back.begun if left else 0.0)
        yield name, next(found for _, found in split(load.between(0), {name: spans}))


def tables(found: dict[str, Any]) -> str:
    """What happened to requests in each phase, and how long each move took."""
    phases = [
        (
            name, each["requests"], each["failed"],
            ", ".join(f"{n} x {kind}" for kind, n in each["failures"].items()),
            *(f"{each[key]:.0f}" if each[key] is not None else "" for key in ("p50", "p99")),
            each["late"],
        )
        for name, each in found["phases"].items()
    ]  # fmt: skip
    moves = [
        (name, len(times), *(f"{quantile(times, q):.1f}" for q in (0.5, 0.95)))
        for title, group in (
            ("seen by requests: ", found["exposed"]),
            ("command: ", found["commands"]),
            ("last answer of what was left: ", found["left"]),
        )
        for name, times in ((f"{title}{key}", value) for key, value in group.items())
    ]
    heads = ("phase", "requests", "failed", "how", "p50 ms", "p99 ms", "sent late")
    return "\n\n".join(
        (told.table(heads, phases), told.table(("seconds of", "runs", "p50", "p95"), moves))
    )


def _must(ran: Ran, code: int) -> None:
    if ran.code != code:
        raise RuntimeError(f"exit {ran.code} where {code} was to be:\n{ran.text[-3000:]}")


def _say(text: str) -> None:
    print(f"{time.strftime('%T')} {text}; load average {told.load()}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the clone; kept")
    parser.add_argument("--good", type=int, default=10, help="canaries that are promoted")
    parser.add_argument("--broken", type=int, default=30, help="canaries with 100 %% errors")
    parser.add_argument("--flaky", type=int, default=10, help="canaries with 5 %% errors")
    parser.add_argument("--pods", type=int, default=20, help="pods that are deleted")
    parser.add_argument("--peers", type=int, default=5, help="rollbacks of each peer")
    parser.add_argument("--prepare", action="store_true", help="only bring the stack up")
    parser.add_argument("--purge", action="store_true", help="only end and delete it")
    parser.add_argument("--out", type=Path, help="folder for deliveries.json")
    options = parser.parse_args()
    if options.purge:
        Stack(options.folder / "ferry", STACK, MODEL).make("purge")
        return
    stack = Stack.made(options.folder)
    try:
        if not options.prepare:
            found = measure(stack, options.folder, options)
            told.write(found, options.out, "deliveries")
            print(tables(found))
            print(f"load average {found['load']}; golden rows equal: {found['golden']}")
    finally:
        stack.make("down")


if __name__ == "__main__":
    main()
