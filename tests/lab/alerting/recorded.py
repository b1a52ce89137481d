"""What the recordings are."""

from collections.abc import Iterator

from monitoring import slo
from monitoring.contract import reasons
from tests.lab.alerting.case import Recorded

_V1, _V2 = 'model="loans",version="1"', 'model="loans",version="2"'
_V3 = 'model="loans",version="3"'
_CARDS = 'model="cards",version="1"'
_LOANS = '{model="loans"}'

_ACCURACY = (
    Recorded(
        rule="model:prediction_accuracy:outcomes",
        says="each version weighs as many outcomes as it has",
        series={
            f'prediction_accuracy{{basis="outcomes",{_V1}}}': "0.9x9",
            f'prediction_accuracy{{basis="outcomes",{_V2}}}': "0.6x9",
            f'prediction_accuracy{{basis="held_out",{_V1}}}': "0.1x9",
            f"outcomes_matured{{{_V1}}}": "200x9",
            f"outcomes_matured{{{_V2}}}": "100x9",
        },
        looks={"5m": {_LOANS: 0.8}},
    ),
    Recorded(
        rule="model:prediction_accuracy:outcomes",
        says="a version without any counts nothing",
        series={
            f'prediction_accuracy{{basis="outcomes",{_V1}}}': "0.9x9",
            f'prediction_accuracy{{basis="outcomes",{_V2}}}': "NaN NaN NaN NaN NaN NaN NaN",
            f"outcomes_matured{{{_V1}}}": "1x9",
            f"outcomes_matured{{{_V2}}}": "0x9",
            f'prediction_accuracy{{basis="outcomes",{_CARDS}}}': "0.7x9",
            f"outcomes_matured{{{_CARDS}}}": "3x9",
        },
        looks={"5m": {_LOANS: 0.9, '{model="cards"}': 0.7}},
    ),
    Recorded(
        rule="model:prediction_accuracy:outcomes",
        says="no outcome, no accuracy",
        series={
            f'prediction_accuracy{{basis="held_out",{_V1}}}': "0.9x9",
            f"outcomes_matured{{{_V1}}}": "0x9",
        },
        looks={"5m": {}},
    ),
    *(
        Recorded(
            rule=f"model:prediction_accuracy:{bound}",
            says="the widest of two versions",
            series={
                f'prediction_accuracy_bound{{bound="lower",{_V1}}}': "0.8x9",
                f'prediction_accuracy_bound{{bound="upper",{_V1}}}': "0.9x9",
                f'prediction_accuracy_bound{{bound="lower",{_V2}}}': "0.7x9",
                f'prediction_accuracy_bound{{bound="upper",{_V2}}}': "0.85x9",
                f'prediction_accuracy_bound{{bound="lower",{_V3}}}': "0.97x9",  # no pair
                f'prediction_accuracy_bound{{bound="upper",{_V3}}}': "0.6x9",
            },
            looks={"5m": {_LOANS: widest}},
        )
        for bound, widest in (("lower", 0.7), ("upper", 0.9))
    ),
)


def _rates() -> Iterator[Recorded]:
    """Two pods: 4 answers a second, of which 3 are quick; each server's fault once a minute."""
    series = {
        f'prediction_latency_seconds_count{{pod="a",{_V1}}}': "0+180x30",
        f'prediction_latency_seconds_count{{pod="b",{_V2}}}': "0+60x30",
        f'prediction_latency_seconds_bucket{{le="0.1",pod="a",{_V1}}}': "0+150x30",
        f'prediction_latency_seconds_bucket{{le="0.1",pod="b",{_V2}}}': "0+30x30",
        f'prediction_latency_seconds_bucket{{le="0.025",pod="a",{_V1}}}': "0+50x30",
        f'prediction_latency_seconds_bucket{{le="+Inf",pod="a",{_V1}}}': "0+180x30",
        f'inference_error_total{{reason="range",pod="a",{_V1}}}': "0+6000x30",
        f'inference_error_total{{reason="timeout",pod="a",{_V1}}}': "0+6000x30",
        **{
            f'inference_error_total{{reason="{reason}",pod="a",{_V1}}}': "0+60x30"
            for reason in reasons("server")
        },
        f'inference_error_total{{reason="internal",pod="b",{_V2}}}': "0+60x30",
    }
    failed = float(len(reasons("server")) + 1)
    for recording, objective, value in (
        (slo.ERRORS, "availability", failed),
        (slo.REQUESTS, "availability", 4 + failed),
        (slo.ERRORS, "latency", 1.0),
        (slo.REQUESTS, "latency", 4.0),
    ):
        rule = f"{recording}/{objective}"
        yield Recorded(rule=rule, says="a second", series=series, looks={"20m": {_LOANS: value}})
        # What doubles its pace shows in 5 minutes, half of it after half of them.
        faster = {
            f'prediction_latency_seconds_count{{pod="a",{_V1}}}': "0+60x20 1320+120x20",
            f'prediction_latency_seconds_bucket{{le="0.1",pod="a",{_V1}}}': "0+30x20 660+60x20",
            **{
                f'inference_error_total{{reason="{reason}",pod="a",{_V1}}}': "0+60x20 1320+120x20"
                if reason == "shed"
                else "0x40"
                for reason in reasons("server")
            },
        }
        before = {
            (slo.REQUESTS, "availability"): 2.0,
            (slo.ERRORS, "latency"): 0.5,
        }.get((recording, objective), 1.0)
        yield Recorded(
            rule=rule,
            says="its pace doubles",
            series=faster,
            looks={
                "20m30s": {_LOANS: before},
                "22m30s": {_LOANS: before * 1.5},
                "25m30s": {_LOANS: before * 2},
            },
            step="30s",  # no sample lies where a window ends
        )
        yield Recorded(rule=rule, says="no model", series={}, looks={"20m": {}})


def _ratios() -> Iterator[Recorded]:
    for window in slo.WINDOWS:
        rule = slo.ratio(window)
        length = int(window[:-1]) * {"m": 1, "h": 60, "d": 1440}[window[-1]]
        of = 'model="loans",slo="availability"'
        every = max(1, length // 30)  # minutes; a window has 30 samples, and none where it ends
        labels = f"{{{of}}}"
        ratio = {"5m": 0.5}.get(window, 0.18)
        yield Recorded(
            rule=rule,
            says="the quiet half of the window weighs little",
            series={
                # 15 steps of one error in ten, then as many of one in two, but few are asked.
                f"{slo.ERRORS}{{{of}}}": "0.2x44 0.25x15",
                f"{slo.REQUESTS}{{{of}}}": "2x44 0.5x15",
            },
            looks={f"{59 * every * 60 + every * 30}s": {labels: ratio}},
            every=f"{every}m",
            step=f"{every * 30}s",
        )
        yield Recorded(rule=rule, says="no model", series={}, looks={"5m": {}})


CASES = (*_ACCURACY, *_rates(), *_ratios())
