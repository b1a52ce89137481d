"""Retraining: what asks for it, what holds it back, and that nothing is asked in vain."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from app.watch.answer import answer, signals
from app.watch.damping import Rule, Start, Starts, held
from app.watch.retraining import Reason, Signal, Window, decide

HOUR, DAY = 3600.0, 24 * 3600.0
RULE = Rule(drifted=3, of=5, cooldown=DAY, weekly=3, longest=4 * HOUR)
CHANGE = Signal(name="day one", text="column income is missing")


class Memory:
    """The bucket."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.full = False

    def put_json(self, key: str, document: dict[str, Any]) -> str:
        if self.full and key.startswith("signals/retraining/"):
            raise OSError("full")
        self.objects[key] = json.dumps(document).encode()
        return "1"

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def report(self, job: str, at: float, kind: str = "schedule") -> None:
        self.put_json(f"reports/retraining/loans/{job}.json", {"at": at, "kind": kind})
        self.objects[f"reports/retraining/loans/{job}.md"] = b"#"


def windows(*drifted: bool | None, since: float = 0.0) -> list[Window]:
    return [
        Window(ended=since + (1 + number) * HOUR, drifted=each, figures={"number": number})
        for number, each in enumerate(drifted)
    ]


def began(at: float, *, ended: bool = True, job: str = "before", **rest: Any) -> Start:  # noqa: ANN401
    return Start(job=job, at=at, kind="drift", ended=ended, **rest)


# What asks for it


def test_three_drifted_windows_of_five_ask_for_retraining() -> None:
    reason = decide(windows(True, False, True, False, True), [], [], 5 * HOUR, RULE)
    assert reason == Reason(
        kind="drift", text="3 of the last 5 windows drifted", figures={"number": 4}
    )


@pytest.mark.parametrize(
    "seen",
    [
        (),
        (False,) * 9,
        (True, True),
        (True, False, False, True, False, True),
        (True, True, True, False, False, False),
    ],
)
def test_fewer_ask_for_nothing(seen: tuple[bool, ...]) -> None:
    assert decide(windows(*seen), [], [], 9 * HOUR, RULE) is None


def test_windows_with_too_few_rows_count_neither_way() -> None:
    assert decide(windows(True, None, None, True, None, True), [], [], 9 * HOUR, RULE)
    assert decide(windows(True, None, None, True, None, False), [], [], 9 * HOUR, RULE) is None


def test_what_drifted_before_the_last_start_was_answered_by_it() -> None:
    seen = windows(True, True, True)
    assert decide(seen, [], [began(3 * HOUR)], 100 * HOUR, RULE) is None
    again = [*seen, *windows(True, True, True, since=3 * HOUR)]
    assert decide(again, [], [began(3 * HOUR)], 100 * HOUR, RULE)


def test_a_signal_asks_at_once_and_is_told_with_its_text() -> None:
    reason = decide([], [CHANGE], [], 0.0, RULE)
    assert reason == Reason(kind="schema", text=CHANGE.text, signals=("day one",))


def test_a_signal_is_answered_once() -> None:
    assert decide([], [CHANGE], [began(0.0, signals=("day one",))], 100 * DAY, RULE) is None
    other = Signal(name="day two", text="column age is new")
    reason = decide([], [CHANGE, other], [began(0.0, signals=("day one",))], 100 * DAY, RULE)
    assert reason is not None
    assert reason.signals == ("day two",)


# What holds it back


@pytest.mark.parametrize(
    ("past", "now", "says"),
    [
        ([], 0.0, None),
        ([began(0.0)], DAY, None),
        ([began(0.0)], DAY - 1, "began less than 86400 s ago"),
        ([began(0.0)], -HOUR, "began less than 86400 s ago"),
        ([began(0.0, ended=False)], 4 * HOUR - 1, "has not ended"),
        ([began(0.0), began(DAY), began(2 * DAY)], 7 * DAY - 1, "3 began in the last seven days"),
        ([began(0.0), began(DAY), began(2 * DAY)], 7 * DAY, None),
    ],
)
def test_a_start_is_held_back(past: list[Start], now: float, says: str | None) -> None:
    found = held(past, now, RULE)
    assert found == says if says is None else found is not None and says in found


def test_one_that_never_ended_holds_back_no_longer_than_it_may_last() -> None:
    quick = Rule(cooldown=60.0, longest=HOUR)
    assert held([began(0.0, ended=False)], HOUR - 1, quick) == "before has not ended"
    assert held([began(0.0, ended=False)], HOUR, quick) is None


@pytest.mark.parametrize(
    "wrong", [{"drifted": 6}, {"drifted": 0}, {"cooldown": -1.0}, {"weekly": 0}]
)
def test_a_rule_without_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no rule"):
        Rule(**wrong)


# What is kept


def test_a_scheduled_retraining_counts_as_well() -> None:
    bucket = Memory()
    bucket.report("loans-train-291", 5 * HOUR)
    (past,) = Starts(bucket, "loans").past()
    assert (past.job, past.at, past.kind, past.ended) == (
        "loans-train-291", 5 * HOUR, "schedule", True,
    )  # fmt: skip
    drifted = windows(True, True, True, since=5 * HOUR)
    held_back = answer(Starts(bucket, "loans"), drifted, [], 9 * HOUR, RULE, lambda *_: None)
    assert held_back.held == "loans-train-291 began less than 86400 s ago"


def test_a_start_has_ended_once_its_report_is_there() -> None:
    bucket = Memory()
    starts = Starts(bucket, "loans")
    starts.keep(began(0.0, job="loans-retrain-1", ended=False, signals=("day one",)))
    assert [start.ended for start in starts.past()] == [False]
    bucket.report("loans-retrain-1", 0.0, "drift")
    for read in (starts, Starts(bucket, "loans")):
        (past,) = read.past()
        assert past.ended
        assert past.signals == ("day one",)


def test_another_models_retrainings_are_not_this_ones() -> None:
    bucket = Memory()
    Starts(bucket, "loans-small").keep(began(0.0, job="loans-small-retrain-1"))
    assert Starts(bucket, "loans").past() == []


def test_a_job_that_could_not_be_made_is_tried_again_under_the_same_name() -> None:
    asked: list[str] = []

    def refuse(job: str, _: Reason) -> None:
        asked.append(job)
        raise OSError("the API is away")

    starts = Starts(Memory(), "loans")
    for _ in range(2):
        with pytest.raises(OSError, match="away"):
            answer(starts, [], [CHANGE], 0.0, RULE, refuse)
    assert asked == ["loans-retrain-1"] * 2
    assert starts.past() == []


def test_what_asks_and_is_held_back_is_told() -> None:
    starts = Starts(Memory(), "loans")
    starts.keep(began(0.0))
    told = answer(starts, [], [CHANGE], HOUR, RULE, lambda *_: None)
    assert told.job is None
    assert told.reason is not None
    assert told.held is not None


def test_a_schema_change_is_a_signal_of_its_dataset_and_asks_again_with_other_bytes() -> None:
    bucket = Memory()
    document = {
        "reason": "schema change",
        "day": "2016-03-31",
        "changes": ["column income is missing", "column age is new"],
        "snapshot": {"sha256": "a" * 64},
    }
    bucket.put_json("signals/retrain/loans/2016-03-31.json", document)
    bucket.put_json("signals/retrain/other/2016-03-31.json", document)
    (found,) = signals(bucket, "loans")
    assert found.text == (
        "schema change of 2016-03-31: column income is missing, column age is new"
    )
    document["snapshot"] = {"sha256": "b" * 64}
    bucket.put_json("signals/retrain/loans/2016-03-31.json", document)
    assert signals(bucket, "loans")[0].name != found.name


# Whatever happens


class Life(RuleBasedStateMachine):
    """A watch that sees windows and signals, dies and starts again, and an API that fails."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = Memory()
        self.starts = Starts(self.bucket, "loans")
        self.now = 0.0
        self.seen: list[Window] = []
        self.made: dict[str, tuple[float, Reason]] = {}
        self.away = False

    def look(self) -> None:
        def make(job: str, reason: Reason) -> None:
            if self.away:
                raise OSError("away")
            self.made.setdefault(job, (self.now, reason))

        try:
            answer(self.starts, self.seen, signals(self.bucket, "table"), self.now, RULE, make)
        except OSError:
            assert self.away or self.bucket.full

    @rule(drifted=st.sampled_from([True, True, False, None]), hours=st.floats(0.1, 30))
    def a_window_passes(self, drifted: bool | None, hours: float) -> None:
        self.now += hours * HOUR
        self.seen.append(Window(ended=self.now, drifted=drifted))
        self.look()

    @rule(day=st.integers(1, 9), content=st.sampled_from("ab"))
    def the_schema_changes(self, day: int, content: str) -> None:
        document = {"day": day, "changes": ["x"], "snapshot": {"sha256": content * 64}}
        self.bucket.put_json(f"signals/retrain/table/{day}.json", document)
        self.look()

    @rule()
    def the_watch_starts_again_and_forgets_its_windows(self) -> None:
        self.starts, self.seen = Starts(self.bucket, "loans"), []
        self.look()

    @rule(away=st.booleans(), full=st.booleans())
    def the_api_and_the_bucket_come_and_go(self, away: bool, full: bool) -> None:
        self.away, self.bucket.full = away, full

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def a_job_ends(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(sorted(self.made)))
        at, reason = self.made[job]
        self.bucket.report(job, at, reason.kind)

    @rule()
    def drift_that_stands_is_answered_in_the_end(self) -> None:
        before, self.away, self.bucket.full = len(self.made), False, False
        for _ in range(9 * 4):
            self.now += 6 * HOUR
            self.seen.append(Window(ended=self.now, drifted=True))
            self.look()
        assert len(self.made) > before

    @invariant()
    def no_two_begin_within_the_cooldown(self) -> None:
        times = sorted(at for at, _ in self.made.values())
        assert all(b - a >= RULE.cooldown for a, b in pairwise(times))

    @invariant()
    def no_more_than_three_begin_in_a_week(self) -> None:
        times = [at for at, _ in self.made.values()]
        assert all(sum(0 <= other - at < 7 * DAY for other in times) <= 3 for at in times)

    @invariant()
    def no_signal_is_answered_twice(self) -> None:
        names = [name for _, reason in self.made.values() for name in reason.signals]
        assert len(names) == len(set(names))


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=80, stateful_step_count=20, deadline=None)
