"""What was live, why, and what to go back to, told from the ledger's records alone."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.outputs import ServedModel
from infra.settings import Pin
from promotion.differing import Difference, Side, differences
from promotion.history import live_at, of_model, previous_live
from promotion.record import START, Gate, Moved, Record
from tests.unit.test_ledger import NOON, a_moved
from tests.unit.test_pins import a_pin

Step = tuple[str, str, int | None, int | None, str]
"""Model, action, version before, version after, outcome."""


def release(version: int | None) -> Moved | None:
    return None if version is None else a_moved(version)


def told(*steps: Step) -> list[Record]:
    """A record a minute, from one minute after noon on."""
    return [
        Record(
            sequence=number,
            previous=START,
            at=NOON + timedelta(minutes=number),
            stack="dev",
            model=model,
            action=action,  # ty: ignore[invalid-argument-type]
            who=f"writer{number}",
            commit=None,
            before=release(before),
            after=release(after),
            gates=(Gate(name="auc", passed=True, saw=0.8),),
            outcome=outcome,  # ty: ignore[invalid-argument-type]
            reason=None,
        )
        for number, (model, action, before, after, outcome) in enumerate(steps, start=1)
    ]


DELETION: Step = ("churn", "delete", None, None, "moved")


def delivery(after: int | None, outcome: str = "live", before: int | None = None) -> Step:
    return ("churn", "deliver", before, after, outcome)


def tried(version: int, *, back_to: int | None) -> Step:
    """A canary that was judged bad: the file is put back, so it moves from what was tried."""
    return ("churn", "deliver", version, back_to, "rolled-back")


def back(before: int, after: int) -> tuple[Step, Step]:
    return ("churn", "rollback", before, after, "moved"), delivery(after, before=before)


def forth(after: int) -> tuple[Step, Step]:
    return ("churn", "promote", None, after, "moved"), delivery(after)


def versions_at(records: list[Record], minutes: float) -> dict[str, int]:
    found = live_at(records, NOON + timedelta(minutes=minutes))
    return {model: live.release.version for model, live in found.items()}


def test_a_release_is_live_from_its_delivery_on_and_not_a_moment_before() -> None:
    records = told(("churn", "promote", None, 1, "moved"), delivery(1))
    assert versions_at(records, 1.999) == {}
    assert versions_at(records, 2) == {"churn": 1}
    assert versions_at(records, 9999) == {"churn": 1}


def test_live_says_who_moved_it_with_which_gates_and_who_approved_it() -> None:
    records = told(
        ("churn", "approve", None, 2, "approved"),
        ("churn", "approve", None, 1, "approved"),
        ("churn", "promote", None, 1, "refused"),
        ("churn", "promote", None, 1, "moved"),
        ("churn", "promote", None, 2, "moved"),
        ("churn", "approve", None, 1, "approved"),
        delivery(1),
        ("churn", "approve", None, 1, "approved"),
        ("churn", "pin", None, 1, "moved"),
    )
    live = live_at(records, NOON + timedelta(days=1))["churn"]
    assert live.delivered == records[6]
    assert live.moved == records[3]
    assert live.approvals == (records[1], records[5])


def test_a_delivery_that_was_rolled_back_leaves_what_was_live_with_its_own_time() -> None:
    records = told(delivery(1), tried(2, back_to=1))
    live = live_at(records, NOON + timedelta(days=1))["churn"]
    assert live.release == a_moved(1)
    assert live.delivered == records[0]


def test_after_a_first_delivery_that_was_rolled_back_nothing_is_live() -> None:
    assert versions_at(told(tried(1, back_to=None)), 5) == {}


def test_a_release_that_came_back_another_way_is_live_since_the_record_that_says_so() -> None:
    records = told(delivery(1), delivery(2), tried(3, back_to=1))
    assert live_at(records, NOON + timedelta(days=1))["churn"].delivered == records[2]


def test_a_removed_model_is_live_no_more() -> None:
    assert versions_at(told(delivery(1), delivery(None, before=1)), 5) == {}


def test_a_failed_delivery_casts_doubt_until_the_next_that_ends() -> None:
    records = told(delivery(1), delivery(2, "failed", before=1), delivery(1, before=1))
    assert live_at(records, records[1].at)["churn"].doubt == records[1]
    assert live_at(records, records[1].at)["churn"].release == a_moved(1)
    assert live_at(records, records[2].at)["churn"].doubt is None


def test_moving_a_pin_alone_makes_nothing_live() -> None:
    moves = [
        ("churn", action, None, 1, "moved") for action in ("promote", "pin", "rollback", "delete")
    ]
    assert versions_at(told(*moves), 99) == {}


steps = st.lists(
    st.tuples(
        st.sampled_from(["churn", "credit-default"]),
        st.sampled_from(["promote", "rollback", "deliver", "approve"]),
        st.none() | st.integers(1, 3),
        st.none() | st.integers(1, 3),
        st.sampled_from(["moved", "live", "rolled-back", "failed", "refused", "approved"]),
    ),
    max_size=14,
)


@given(steps, st.integers(-1, 15))
@settings(max_examples=100, deadline=None)
def test_what_is_live_is_what_the_last_settled_delivery_left(
    given_steps: list[Step], minutes: int
) -> None:
    expected: dict[str, int] = {}
    for number, (model, action, _, after, outcome) in enumerate(given_steps, start=1):
        if number <= minutes and action == "deliver" and outcome in ("live", "rolled-back"):
            expected.pop(model, None)
            if after is not None:
                expected[model] = after
    assert versions_at(told(*given_steps), minutes) == expected


@pytest.mark.parametrize(
    ("history", "current", "expected"),
    [
        ([], 1, None),
        ([*forth(1)], 1, None),
        ([*forth(1), *forth(2)], 2, 1),
        ([*forth(1), *forth(2), *forth(3)], 3, 2),
        ([*forth(1), *forth(2), delivery(2)], 2, 1),
        ([*forth(1), *forth(2), *forth(3), *back(3, 2)], 2, 1),
        ([*forth(1), *forth(2), *forth(3), *back(3, 2), *back(2, 1)], 1, None),
        ([*forth(1), *forth(2), *back(2, 1), *forth(3)], 3, 1),
        ([*forth(1), *forth(2), *forth(1)], 1, 2),
        ([*forth(1), *forth(2), *forth(1), *back(1, 2)], 2, 1),
        ([*forth(1), *forth(2)], 3, 2),
        ([*forth(1), tried(2, back_to=1)], 2, 1),
        ([tried(2, back_to=1)], 2, 1),
        ([*forth(1), *forth(2), tried(3, back_to=2)], 2, 1),
        ([*forth(1), *forth(2), tried(3, back_to=1)], 1, None),
        ([*forth(1), *forth(2), *forth(3), tried(4, back_to=1)], 4, 1),
        ([*forth(1), *forth(2), *forth(3), back(3, 2)[0], DELETION, delivery(2)], 2, 1),
        ([*forth(3), *forth(1), *forth(2), back(2, 1)[0], delivery(3)], 3, 2),
        ([*forth(1), delivery(2, "failed", before=1)], 2, 1),
        ([*forth(1), *forth(2), delivery(None, before=2)], None, 2),
    ],
)
def test_a_rollback_goes_to_what_was_live_before_and_never_to_what_a_rollback_left(
    history: list[Step], current: int | None, expected: int | None
) -> None:
    records = told(*history, ("credit-default", "deliver", None, 9, "live"))
    assert previous_live(records, "churn", release(current)) == release(expected)


@given(steps, st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_what_to_go_back_to_was_live_and_is_another_release(
    given_steps: list[Step], current: int
) -> None:
    records = told(*given_steps)
    found = previous_live(records, "churn", a_moved(current))
    served = [
        each.after
        for each in of_model(records, "churn")
        if each.action == "deliver" and each.outcome in ("live", "rolled-back")
    ]
    assert found is None or (found in served and found != a_moved(current))


def served(pin: Pin, url: str = "http://churn.dev.ferry.test") -> ServedModel:
    names = ("version", "image", "weights", "evidence")
    return ServedModel.model_validate(
        {
            "url": url,
            "namespace": "models",
            "rollout": "churn",
            "release": {name: getattr(pin, name) for name in names},
        }
    )


def test_stacks_that_pin_and_serve_the_same_do_not_differ_for_their_urls() -> None:
    dev = Side(pins={"churn": a_pin(1)}, served={"churn": served(a_pin(1))})
    prod = Side(pins={"churn": a_pin(1)}, served={"churn": served(a_pin(1), "http://other")})
    assert differences(dev, prod) == []


def test_each_field_that_differs_is_named_once() -> None:
    other = a_pin(2).model_copy(update={"data": a_pin().data.model_copy(update={"key": "d"})})
    dev = Side(pins={"churn": other}, served={"churn": served(a_pin(2))})
    prod = Side(pins={"churn": a_pin(1)}, served={"churn": served(a_pin(1))})
    assert differences(dev, prod) == [
        Difference(model="churn", field="pin.version", left=2, right=1),
        Difference(model="churn", field="pin.data.key", left="d", right="data/loans.parquet"),
        Difference(model="churn", field="served.version", left=2, right=1),
    ]


def test_a_model_that_one_stack_lacks_differs_in_every_field_of_its_pin() -> None:
    found = differences(Side(pins={"churn": a_pin()}, served={}), Side(pins={}, served=None))
    assert {each.field for each in found} >= {"pin.version", "pin.image", "pin.data.sha256"}
    assert all(each.right is None for each in found)


def test_a_stack_without_outputs_is_compared_by_its_pins_alone() -> None:
    dev = Side(pins={"churn": a_pin()}, served={"churn": served(a_pin())})
    assert differences(dev, Side(pins={"churn": a_pin()}, served=None)) == []
