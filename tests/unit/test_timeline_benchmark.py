"""A delivery's phases follow from what the Rollout said, and every request belongs to its own."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.live.timeline import SETTLE, Mark, delivered, join, marked, reach, split
from benchmarks.load import Answer


def mark(at: float, weight: int, *, aborted: bool = False) -> Mark:
    return Mark(at=at, weight=weight, phase="Progressing", aborted=aborted)


GOOD = [mark(1, 0), mark(2, 10), mark(3, 10), mark(4, 50), mark(6, 100), mark(7, 0)]


def test_a_good_canary_has_a_start_its_steps_and_a_promotion() -> None:
    assert delivered(0, 9, GOOD) == {
        "start": [(0, 2)],
        "step 10 %": [(2, 4)],
        "step 50 %": [(4, 6)],
        "promote": [(6, 9 + SETTLE)],
    }


def test_from_the_abort_on_everything_is_putting_back() -> None:
    marks = [mark(2, 10), mark(5, 0, aborted=True), mark(6, 50), mark(7, 0)]
    assert delivered(0, 9, marks) == {
        "start": [(0, 2)],
        "step 10 %": [(2, 5)],
        "abort": [(5, 9 + SETTLE)],
    }


def test_without_a_canary_all_of_it_is_the_start() -> None:
    assert delivered(0, 9, [mark(1, 0), mark(2, 100)]) == {"start": [(0, 9 + SETTLE)]}


@given(st.lists(st.tuples(st.integers(0, 100), st.booleans()), max_size=20))
def test_phases_follow_each_other_without_a_gap(steps: list[tuple[int, bool]]) -> None:
    marks = [mark(n + 1, weight, aborted=aborted) for n, (weight, aborted) in enumerate(steps)]
    spans = sorted(time for times in delivered(0, 30, marks).values() for time in times)
    assert (spans[0][0], spans[-1][1]) == (0, 30 + SETTLE)
    assert all(one[1] == two[0] for one, two in itertools.pairwise(spans))


def test_each_request_is_counted_in_the_phase_that_it_was_due_in() -> None:
    answers = [Answer(at, 0, 0.1, "1") for at in (0, 2, 3.9, 4, 20)]
    spans = join([{"a": [(0, 4)]}, {"a": [(20, 21)], "b": [(4, 5)]}])
    assert {name: [each.due for each in found] for name, found in split(answers, spans)} == {
        "a": [0, 2, 3.9, 20],
        "b": [4],
    }


def test_a_release_is_seen_from_its_first_answer_to_its_last() -> None:
    answers = [Answer(at, 0, 0.1, said) for at, said in ((1, "1"), (2, "2"), (5, "2"), (6, "1"))]
    assert reach(answers, "2") == (2, 5)
    assert reach(answers, "3") is None


def test_a_rollout_is_read_as_the_api_server_has_it() -> None:
    status = {"phase": "Degraded", "abort": True, "canary": {"weights": {"canary": {"weight": 10}}}}
    assert marked({"status": status}, 3) == Mark(at=3, weight=10, phase="Degraded", aborted=True)
    assert marked({}, 3) == Mark(at=3, weight=0, phase="", aborted=False)
