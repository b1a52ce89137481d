"""Gates on the stack below: a release comes only from where it is served, well and to the end."""

from collections.abc import Sequence
from dataclasses import dataclass

from infra.outputs import ServedRelease
from infra.settings import Pin
from promotion.health import Answer
from promotion.record import Gate, Moved, Record


@dataclass(frozen=True, kw_only=True)
class Below:
    """What the stack below says of the model: what it pins, serves and answers, and its ledger."""

    stack: str
    pinned: Pin | None
    served: ServedRelease | None
    answers: Answer
    rolling: bool
    records: Sequence[Record] = ()


def served(below: Below) -> list[Gate]:
    """Only what the stack below serves, healthy, and has delivered to the end comes any further."""
    pinned, now = Moved.of(below.pinned), below.served
    same = pinned is not None and pinned == Moved.of(now)
    version = None if now is None else now.version
    return [
        Gate(
            name="served",
            passed=same,
            saw=_release(now),
            wanted=_release(pinned),
            text=f"{below.stack} serves what its file pins"
            if same
            else f"{below.stack} pins {_release(pinned)} and serves {_release(now)}; "
            f"run `ferry deliver --stack {below.stack}` first",
        ),
        _healthy(below, version),
        _history(below, pinned),
    ]


def _release(one: ServedRelease | Moved | None) -> str:
    return "nothing" if one is None else f"version {one.version} ({one.evidence[:19]}…)"


def _healthy(below: Below, version: int | None) -> Gate:
    answers = below.answers
    said = answers.get("versions") if isinstance(answers, dict) else answers
    passed = version is not None and said == [str(version)]
    text = (
        f"{below.stack} answers as version {version}"
        if passed
        else f"{below.stack} answers {said!r:.200} where version {version} was to answer"
    )
    return Gate(name="health", passed=passed, saw=str(said), wanted=str([str(version)]), text=text)


def _history(below: Below, pinned: Moved | None) -> Gate:
    """The ledger's last word on the delivery of exactly this release must be `live`."""
    last = None
    for record in below.records:
        if record.action == "deliver" and pinned is not None and record.tried == pinned:
            last = record
    said = "no delivery" if last is None else last.outcome
    passed = said == "live" or (below.rolling and last is None and pinned is not None)
    text = f"the ledger of {below.stack} says of this release: {said}"
    if last is not None and last.reason and not passed:
        text += f" ({last.reason})"
    if passed and last is None:
        text = f"delivery in {below.stack} is rolling: that it answers is enough"
    elif not passed:
        text += f"; `ferry deliver --stack {below.stack}` has to end well with it first"
    return Gate(name="history", passed=passed, saw=said, wanted="live", text=text)
