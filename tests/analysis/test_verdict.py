"""The verdict: evidence promotes, its want holds, and no number that is none ever passes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, ks_2samp

from analysis import words
from analysis.evidence import Counts, Evidence, Pairs
from analysis.measures import FLIPS, Distance, Share, measured
from analysis.verdict import FALSE_ABORT, FALSE_PROMOTION, FIRST, Looks, _spent

MINIMUM = 300
RANDOM = np.random.default_rng(7)
SCORES = tuple(RANDOM.beta(1.2, 8, 4000).tolist())
SECONDS = tuple(RANDOM.lognormal(-5.5, 0.5, 4000).tolist())


def counts(requests: float = 2000, server: float = 0, schema: float = 0, **more: float) -> Counts:
    """A release whose latency and scores are all alike, but for what `more` says."""
    answered = requests - server - schema
    slow = more.get("slow", 0)
    low = more.get("low", answered / 2)
    return Counts(
        requests=requests,
        server_errors=server,
        schema_errors=schema,
        latency={0.005: answered - slow, 0.01: answered - slow, math.inf: answered},
        scores={0.05: low, 0.1: answered, math.inf: answered},
    )


def pairs(number: int = 1000, answers: tuple[float, ...] = SCORES, **more: object) -> Pairs:
    return replace(
        Pairs(
            asked=number,
            stable=SCORES[:number],
            canary=answers[:number],
            stable_seconds=SECONDS[:number],
            canary_seconds=SECONDS[-number:] if number else (),
        ),
        **more,
    )


def evidence(
    canary: Counts | None = None, stable: Counts | None = None, both: Pairs | None = None
) -> Evidence:
    return Evidence(stable=stable or counts(), canary=canary or counts(), pairs=both or pairs())


def word(given: Evidence, minimum: int = MINIMUM) -> str:
    return Looks(minimum).look(given).word


def test_a_canary_like_its_stable_is_promoted() -> None:
    assert word(evidence()) == "promote"


@pytest.mark.parametrize(
    ("canary", "reason"),
    [
        (counts(server=200), "server errors 0.100 beside 0.000"),
        (counts(schema=200), "refused rows"),
        (counts(slow=400), "slow requests"),
        (counts(low=0), "score shift 0.500"),
    ],
)
def test_a_canary_whose_counts_are_worse_is_rolled_back(canary: Counts, reason: str) -> None:
    verdict = Looks(MINIMUM).look(evidence(canary))
    assert verdict.word == "roll back"
    assert reason in verdict.reason


@pytest.mark.parametrize(
    ("both", "reason"),
    [
        (pairs(canary_failed=100), "failed pairs 0.100 beside 0.000"),
        (pairs(canary_seconds=tuple(2.5 * s for s in SECONDS[:1000])), "slow pairs"),
        (pairs(answers=tuple(RANDOM.permutation(SCORES).tolist())), "answers flipped"),
        (pairs(answers=(0.1,) * 4000), "answers flipped"),
        (pairs(answers=(0.9,) * 4000), "answers far apart"),
    ],
)
def test_a_canary_that_answers_otherwise_is_rolled_back(both: Pairs, reason: str) -> None:
    verdict = Looks(MINIMUM).look(evidence(both=both))
    assert verdict.word == "roll back"
    assert reason in verdict.reason


def test_another_training_of_the_same_model_is_promoted() -> None:
    odds = np.log(np.divide(SCORES, np.subtract(1, SCORES)))
    near = 1 / (1 + np.exp(-odds - RANDOM.normal(0, 0.19, len(SCORES))))
    assert word(evidence(both=pairs(2000, tuple(near.tolist())))) == "promote"


def test_a_stable_that_is_as_sick_does_not_condemn_the_canary() -> None:
    sick = counts(6000, server=1800)
    ill = pairs(stable_failed=300, canary_failed=300)
    assert word(evidence(sick, sick, replace(ill, asked=1300))) == "promote"


def test_a_canary_that_is_better_than_a_sick_stable_is_promoted() -> None:
    assert word(evidence(stable=counts(server=600))) == "promote"


@pytest.mark.parametrize("side", ["stable", "canary"])
@pytest.mark.parametrize("lost", [None, Counts(requests=math.nan), Counts(requests=-1)])
def test_a_release_without_numbers_holds(side: str, lost: Counts | None) -> None:
    verdict = Looks(MINIMUM).look(replace(evidence(), **{side: lost}))
    assert verdict.word == "hold"


def test_no_request_at_all_holds_and_is_rolled_back_at_the_deadline() -> None:
    nothing = Evidence(stable=Counts(), canary=Counts(), pairs=Pairs())
    verdict = Looks(MINIMUM).look(nothing)
    assert verdict.word == "hold"
    late = verdict.late()
    assert late.word == "roll back"
    assert late.reason == (
        "not enough evidence: 0 of 300 requests of the canary, 0 of 300 requests of the stable"
    )


def test_the_deadline_does_not_change_a_promotion() -> None:
    verdict = Looks(MINIMUM).look(evidence())
    assert verdict.late() == verdict


def test_without_mirrored_requests_nothing_is_promoted() -> None:
    verdict = Looks(MINIMUM).look(evidence(both=Pairs()))
    assert verdict.word == "hold"
    assert "answers flipped: nothing measured" in verdict.reason


def test_a_total_failure_needs_no_minimum() -> None:
    assert word(evidence(counts(FIRST, server=FIRST))) == "roll back"


def test_no_measure_is_said_to_have_passed_before_the_minimum_is_there() -> None:
    tested = Looks(10**6).look(evidence()).tested
    assert {each.state for each in tested} == {"open"}


def test_what_straddles_the_bound_holds() -> None:
    verdict = Looks(MINIMUM).look(evidence(counts(400, server=8)))
    assert verdict.word == "hold"
    assert verdict.reason.startswith("server errors 0.020 beside 0.000")


def test_a_measure_that_passed_and_is_above_its_bound_by_now_holds() -> None:
    looks = Looks(MINIMUM)
    assert looks.look(evidence(both=Pairs())).word == "hold"
    # Fewer than a quarter more requests: no new test, but the present number is looked at.
    assert looks.look(evidence(counts(2100, server=60))).word == "hold"


def test_a_look_at_the_same_numbers_spends_nothing() -> None:
    looks = Looks(MINIMUM)
    undecided = evidence(counts(400, server=8))
    first = looks.look(undecided)
    for _ in range(50):
        assert looks.look(undecided) == first


def test_each_further_test_is_stricter() -> None:
    looks, lows = Looks(10**9), []
    for _ in range(8):
        tested = looks.look(evidence(counts(4000, server=100)))
        lows.append(next(each.low for each in tested.tested if each.name == "server errors"))
        looks._tests["server errors"].size /= 2
    assert lows == sorted(lows, reverse=True)
    assert len(set(lows)) == len(lows)


def test_the_errors_that_all_tests_may_make_add_up_to_no_more_than_allowed() -> None:
    for alpha in (FALSE_ABORT, FALSE_PROMOTION):
        assert sum(_spent(alpha, test) for test in range(1, 10_000)) <= alpha


rates = st.integers(0, 400)


@settings(max_examples=60, deadline=None)
@given(errors=rates, more=rates, stable=rates, of=st.sampled_from(["server", "schema", "slow"]))
def test_more_errors_of_the_canary_never_turn_to_a_better_word(
    errors: int, more: int, stable: int, of: str
) -> None:
    order = ["promote", "hold", "roll back"]
    beside = counts(**{of: stable})
    few = word(evidence(counts(**{of: errors}), beside))
    many = word(evidence(counts(**{of: errors + more}), beside))
    assert order.index(many) >= order.index(few)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_equal_releases_are_never_rolled_back(
    requests: int, errors: float, slow: float, number: int
) -> None:
    server = round(requests * errors)
    side = counts(requests, server=server, slow=round((requests - server) * slow))
    same = pairs(number, canary_seconds=SECONDS[:number])
    assert word(evidence(side, side, same)) != "roll back"


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2000), st.integers(0, 2000), st.booleans())
def test_less_than_the_minimum_promotes_nothing(minimum: int, seen: int, of: bool) -> None:
    side = counts(min(seen, minimum - 1))
    given_ = evidence(canary=side) if of else evidence(stable=side)
    assert word(given_, minimum) != "promote"


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["requests", "server_errors", "schema_errors"]),
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0]),
    st.sampled_from(["stable", "canary"]),
)
def test_what_is_no_count_promotes_nothing(field: str, value: float, side: str) -> None:
    broken = replace(counts(), **{field: value})
    assert word(replace(evidence(), **{side: broken})) == "hold"


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 500).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_a_share_alone_has_the_exact_limits(sample: tuple[int, int]) -> None:
    hits, size = sample
    share = Share(hits=hits, size=size, bound=FLIPS)
    exact = binomtest(hits, size).proportion_ci(0.98, "exact")
    assert share.low(0.01) == pytest.approx(exact.low, abs=1e-9)
    assert share.high(0.01) == pytest.approx(exact.high, abs=1e-9)


def test_a_distance_reaches_as_far_as_a_test_of_two_samples_does() -> None:
    first, second = RANDOM.random(400), RANDOM.random(900) ** 1.2
    found = ks_2samp(first, second, method="asymp")
    distance = Distance(value=found.statistic, size=400, stable_size=900, bound=1)
    assert distance.low(found.pvalue * 1.2) > 0
    assert distance.low(found.pvalue / 1.2) == 0


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.3])
def test_the_limits_of_a_difference_hold_as_often_as_they_say(rate: float) -> None:
    outside = 0
    for _ in range(2000):
        share = Share(
            hits=RANDOM.binomial(400, rate), size=400,
            stable_hits=RANDOM.binomial(900, rate), stable_size=900, bound=1,
        )  # fmt: skip
        true = -0.25 * rate
        outside += not share.low(0.01) <= true <= share.high(0.01)
    assert outside / 2000 < 0.03


def test_rows_of_one_request_are_no_sample_of_their_own() -> None:
    many = replace(counts(), scores={0.05: 500_000, 0.1: 1_000_000, math.inf: 1_000_000})
    shift = measured(evidence(many, many))["score shift"]
    assert shift is not None
    assert shift.size == 2000


@pytest.mark.parametrize("letter", ["x", "é", '"'])
def test_the_document_fits_a_termination_message(letter: str, tmp_path: Path) -> None:
    verdict = Looks(MINIMUM).look(evidence(counts(server=200)))
    words.last(replace(verdict, reason=letter * 5000).document(), tmp_path / "message")
    written = (tmp_path / "message").read_bytes()
    assert len(written) < words.MOST_BYTES - 200
    assert json.loads(written)["verdict"] == "roll back"


def test_the_document_states_number_interval_bound_and_sample() -> None:
    document = Looks(MINIMUM).look(evidence(counts(server=200))).document()
    errors = next(each for each in document["measures"] if each["name"] == "server errors")
    assert errors["state"] == "failed"
    assert errors["canary"] == 0.1
    assert errors["interval"][0] > errors["bound"]
    assert (errors["sample"], errors["stableSample"]) == (2000, 2000)
    assert document["requests"] == {"canary": 2000, "stable": 2000}
    assert document["pairs"] == 1000
