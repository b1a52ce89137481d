"""When the alerts of a model's accuracy, rows, outcomes and retraining fire."""

from collections.abc import Mapping

from tests.lab.alerting.case import Case

LOANS = {"model": "loans"}
FIRST = {"model": "loans", "version": "1"}
V1, V2 = 'model="loans",version="1"', 'model="loans",version="2"'


def _fall(
    says: str,
    looks: Mapping[str, list[dict[str, str]]],
    now: str,
    *,
    then: str = "0.9",
    upper: str = "0.88",
    lower: str = "0.895",
    model: str = "loans",
) -> Case:
    """The accuracy was `then` for 10 hours, and has been `now` since; every 5 minutes."""
    name, of = "model:prediction_accuracy", f'{{model="{model}"}}'
    return Case(
        rule="ModelDriftDetected",
        says=says,
        series={
            f"{name}:outcomes{of}": f"{then}x119 {now}x600",
            f"{name}:upper{of}": f"0.905x119 {upper}x600",
            f"{name}:lower{of}": f"{lower}x119 0.86x600",
        },
        looks=looks,
        every="5m",
    )


# A day ago there is something to compare with, from 24 h on.
_DRIFT = (
    _fall(
        "accuracy fell by 2.1 points, until a day ago it was as low",
        {"24h": [], "24h5m": [LOANS], "33h": [LOANS], "36h": []},
        now="0.879",
    ),
    _fall("1.9 points are too few", {"26h": []}, now="0.881", upper="0.885"),
    _fall("it rose", {"26h": []}, now="0.95", upper="0.96"),
    _fall("both intervals overlap: it may be chance", {"26h": []}, now="0.85", upper="0.897"),
    _fall("they touch", {"26h": []}, now="0.85", upper="0.895"),
    _fall("2 points exactly", {"26h": []}, now="0", then="0.02", upper="0.01", lower="0.015"),
    Case(
        rule="ModelDriftDetected",
        says="nothing was scraped from 45 minutes before a day ago",
        series={
            'model:prediction_accuracy:outcomes{model="loans"}': "0.9x15 _x100 0.8x300",
            'model:prediction_accuracy:upper{model="loans"}': "0.91x15 _x100 0.81x300",
            'model:prediction_accuracy:lower{model="loans"}': "0.89x15 _x100 0.79x300",
        },
        looks={"26h": [LOANS]},
        every="5m",
    ),
    Case(
        rule="ModelDriftDetected",
        says="it was scraped last 90 minutes before a day ago",
        series={
            'model:prediction_accuracy:outcomes{model="loans"}': "0.9x6 _x109 0.8x300",
            'model:prediction_accuracy:upper{model="loans"}': "0.91x6 _x109 0.81x300",
            'model:prediction_accuracy:lower{model="loans"}': "0.89x6 _x109 0.79x300",
        },
        looks={"26h": []},
        every="5m",
    ),
    *(
        Case(
            rule="ModelDriftDetected",
            says=f"the {side} of a day ago was scraped last {minutes} minutes before it",
            series={
                'model:prediction_accuracy:outcomes{model="loans"}': "0.9x200 0.8x300"
                if side == "bound"
                else gap.format("0.9", "0.8"),
                'model:prediction_accuracy:upper{model="loans"}': "0.91x200 0.81x300",
                'model:prediction_accuracy:lower{model="loans"}': "0.89x200 0.79x300"
                if side == "accuracy"
                else gap.format("0.89", "0.79"),
            },
            looks={"26h": fires},
            every="5m",
        )
        for side in ("accuracy", "bound")
        for minutes, gap, fires in (
            (45, "{}x15 _x100 {}x300", [LOANS]),
            (90, "{}x6 _x109 {}x300", []),
        )
    ),
    Case(rule="ModelDriftDetected", says="no model", series={}, looks={"20m": []}, every="5m"),
)


def _promise(
    says: str, now: str, upper: str, *fires: dict[str, str], more: Mapping[str, str] | None = None
) -> Case:
    """Held-out rows said 0.82; told by three pods, of which one still loads."""
    return Case(
        rule="AccuracyBelowHeldOut",
        says=says,
        series={
            f'prediction_accuracy{{basis="held_out",pod="a",{V1}}}': "0.82x200",
            f'prediction_accuracy{{basis="held_out",pod="b",{V1}}}': "0x9",
            f'prediction_accuracy{{basis="held_out",pod="c",{V1}}}': "0.82x9",
            f'prediction_accuracy{{basis="outcomes",pod="w",{V1}}}': f"{now}x4 0.82x9",
            f'prediction_accuracy_bound{{bound="upper",pod="w",{V1}}}': f"{upper}x200",
            f'prediction_accuracy_bound{{bound="lower",pod="w",{V1}}}': "0.7x200",
            **(more or {}),
        },
        looks={"40m": [], "60m": [*fires], "120m": []},
        every="20m",
    )


_PROMISED = (
    _promise(
        "2.1 points below, as two watches know, of which one knows less",
        "0.799",
        "0.81",
        FIRST,
        more={
            f'prediction_accuracy{{basis="outcomes",pod="x",{V1}}}': "0.7x4 0.82x9",
            f'prediction_accuracy_bound{{bound="upper",pod="x",{V1}}}': "0.78x9",
        },
    ),
    _promise("1.9 points below", "0.801", "0.81"),
    _promise("more", "0.9", "0.95"),
    _promise("the interval reaches it", "0.799", "0.82"),
    _promise(
        "another version is as it was",
        "0.799",
        "0.81",
        FIRST,
        more={
            f'prediction_accuracy{{basis="held_out",pod="c",{V2}}}': "0.95x200",
            f'prediction_accuracy{{basis="outcomes",pod="w",{V2}}}': "0.95x200",
            f'prediction_accuracy_bound{{bound="upper",pod="w",{V2}}}': "0.96x200",
        },
    ),
    _promise(
        "of two watches the one that knows more is right",
        "0.799",
        "0.81",
        more={
            f'prediction_accuracy{{basis="outcomes",pod="x",{V1}}}': "0.815x200",
        },
    ),
    _promise(
        "of two watches one is unsure",
        "0.799",
        "0.81",
        more={
            f'prediction_accuracy_bound{{bound="upper",pod="x",{V1}}}': "0.83x200",
        },
    ),
    Case(
        rule="AccuracyBelowHeldOut",
        says="there are no outcomes yet",
        series={f'prediction_accuracy{{basis="held_out",{V1}}}': "0.82x200"},
        looks={"80m": []},
        every="20m",
    ),
    Case(
        rule="AccuracyBelowHeldOut",
        says="exactly 2 points and an interval that ends there",
        series={
            f'prediction_accuracy{{basis="held_out",{V1}}}': "0.02x9",
            f'prediction_accuracy{{basis="outcomes",{V1}}}': "0x9",
            f'prediction_accuracy_bound{{bound="upper",{V1}}}': "0.01x9",
        },
        looks={"80m": []},
        every="20m",
    ),
)


def _windows(
    says: str, drifted: str, steady: str, last: str, looks: Mapping[str, list[dict[str, str]]]
) -> Case:
    """Counts every half hour; those of version 2, whose watch runs, and of an older pod."""
    return Case(
        rule="FeatureDriftDetected",
        says=says,
        series={
            f'drift_windows_total{{verdict="drifted",pod="a",{V2}}}': drifted,
            f'drift_windows_total{{verdict="steady",pod="a",{V2}}}': steady,
            f'drift_windows_total{{verdict="short",pod="a",{V2}}}': "0+1x40",
            f'drift_windows_total{{verdict="steady",pod="old",{V1}}}': "7x40",
            f'drift_detected{{pod="a",{V2}}}': last,
            f'drift_detected{{pod="old",{V1}}}': "0x40",
        },
        looks=looks,
        every="30m",
    )


_SHORT = "0 0 1 1 2 2"  # a window an hour
_FEATURES = (
    _windows(
        "three of three windows drifted, and no more for 6 hours",
        f"{_SHORT} 3x40",
        "0x40",
        "0 0 1x40",
        {"2h30m": [], "3h": [], "3h30m": [LOANS], "6h": [LOANS], "7h": []},
    ),
    _windows("the last one is steady", f"{_SHORT} 3x40", "0x40", "0 0 1x5 0x40", {"4h30m": []}),
    _windows("only two drifted", f"{_SHORT} 2x40", "0x40", "0 0 1x40", {"4h30m": []}),
    _windows("three of seven", f"{_SHORT} 3x40", "0+1x4 4x40", "0 0 1x40", {"5h": []}),
    _windows("four of seven", f"{_SHORT} 3 3 4x40", "0+1x3 3x40", "0 0 1x40", {"5h": [LOANS]}),
    _windows(
        "steady ones long ago", "0x16 0 0 1 1 2 2 3x40", "0+1x8 8x40", "1x80", {"12h": [LOANS]}
    ),
    _windows("three in more than 6 hours", "0 0 1 1 2x12 3x40", "0x40", "1x40", {"9h30m": []}),
    Case(
        rule="FeatureDriftDetected",
        says="windows of two versions count together: three of five",
        series={
            f'drift_windows_total{{verdict="drifted",pod="a",{V1}}}': "0 0 1 1 2x40",
            f'drift_windows_total{{verdict="drifted",pod="b",{V2}}}': "0 0 1x40",
            f'drift_windows_total{{verdict="steady",pod="a",{V1}}}': "0 0 0 1 2x40",
            f'drift_windows_total{{verdict="steady",pod="b",{V2}}}': "0x40",
            f'drift_detected{{pod="a",{V1}}}': "1x40",
            f'drift_detected{{pod="b",{V2}}}': "1x40",
        },
        looks={"4h30m": [LOANS]},
        every="30m",
    ),
    Case(
        rule="FeatureDriftDetected",
        says="it happens at the minute",
        series={
            f'drift_windows_total{{verdict="drifted",{V2}}}': "0x10 1x10 2x10 3x40",
            f'drift_windows_total{{verdict="steady",{V2}}}': "0x80",
            f"drift_detected{{{V2}}}": "1x80",
        },
        looks={"33m": [], "34m": [LOANS]},
    ),
    Case(rule="FeatureDriftDetected", says="no watch", series={}, looks={"20m": []}),
)


def _refused(
    says: str, refused: str, answered: str, looks: Mapping[str, list[dict[str, str]]]
) -> Case:
    """Over two pods; errors of another kind are no refusals."""
    return Case(
        rule="SchemaErrors",
        says=says,
        series={
            f'inference_error_total{{reason="range",pod="a",{V1}}}': refused,
            f'inference_error_total{{reason="missing",pod="b",{V1}}}': "0x200",
            f'inference_error_total{{reason="internal",pod="a",{V1}}}': "0+1000x200",
            f'inference_error_total{{reason="too_large",pod="a",{V1}}}': "0+1000x200",
            f'prediction_latency_seconds_count{{pod="a",{V1}}}': answered,
            f'prediction_latency_seconds_count{{pod="b",{V1}}}': "0x200",
        },
        looks=looks,
    )


_SCHEMA = (
    _refused(
        "5.6 % of what it answers; then no more",
        "0+56x60 3360x40",
        "0+1000x100",
        {"10m": [], "11m": [LOANS], "60m": [LOANS], "76m": []},
    ),
    _refused("4.6 %", "0+4.6x200", "0+100x200", {"60m": []}),
    _refused("it begins", "0x60 0+6x100", "0+100x200", {"80m": [], "85m": [LOANS]}),
    _refused(
        "fewer are answered", "0+6x200", "0+200x60 12000+100x200", {"80m": [], "85m": [LOANS]}
    ),
    _refused("a few of a few", "0+0.55x200", "0+1x200", {"60m": []}),
    _refused("some of a few begin", "0x60 0+0.72x100", "0+1x200", {"79m": [], "85m": [LOANS]}),
    _refused("nobody asks", "0x200", "0x200", {"60m": []}),
    Case(
        rule="SchemaErrors",
        says="every reason of a row counts, over pods",
        series={
            f'inference_error_total{{reason="too_many_rows",pod="a",{V1}}}': "0+3x60",
            f'inference_error_total{{reason="missing",pod="b",{V1}}}': "0+3x60",
            f'prediction_latency_seconds_count{{pod="a",{V1}}}': "0+100x60",
        },
        looks={"30m": [LOANS]},
    ),
    Case(
        rule="SchemaErrors",
        says="a few of a few, over pods",
        series={
            f'inference_error_total{{reason="missing",pod="a",{V1}}}': "0+0.4x60",
            f'inference_error_total{{reason="missing",pod="b",{V1}}}': "0+0.4x60",
            f'prediction_latency_seconds_count{{pod="a",{V1}}}': "0+1x60",
        },
        looks={"45m": [LOANS]},
    ),
    Case(
        rule="SchemaErrors",
        says="answers over pods count",
        series={
            f'inference_error_total{{reason="range",pod="a",{V1}}}': "0+6x60",
            f'prediction_latency_seconds_count{{pod="a",{V1}}}': "0+100x60",
            f'prediction_latency_seconds_count{{pod="b",{V1}}}': "0+100x60",
        },
        looks={"30m": []},
    ),
)

_DROPPED = (
    Case(
        rule="RequestLogDropped",
        says="a row was dropped within an hour",
        series={
            f'request_log_dropped_total{{pod="a",{V1}}}': "0x10 1x200",
            f'request_log_dropped_total{{pod="b",{V1}}}': "0x200",
        },
        looks={"15m": [], "16m": [LOANS], "65m": [LOANS], "75m": []},
    ),
    Case(rule="RequestLogDropped", says="none ever", series={}, looks={"20m": []}),
)


def _missing(says: str, ratio: str, looks: Mapping[str, list[dict[str, str]]]) -> Case:
    return Case(
        rule="OutcomesMissing",
        says=says,
        series={
            f'outcomes_missing_ratio{{pod="a",{V1}}}': ratio,
            f'outcomes_missing_ratio{{pod="b",{V1}}}': "0.05x200",
        },
        looks=looks,
        every="20m",
    )


_OUTCOMES = (
    _missing("21 %", "0.21x4 0.1x9", {"40m": [], "60m": [FIRST], "80m": [FIRST], "100m": []}),
    _missing("19 %", "0.19x9", {"80m": []}),
    _missing("exactly 20 %", "0.2x9", {"80m": []}),
    Case(rule="OutcomesMissing", says="none is due", series={}, looks={"20m": []}, every="20m"),
)

_SUCCESS = "watch_last_success_timestamp_seconds"
_ERRORS = 'watch_errors_total{step="drift",'
_STALLED = (
    Case(
        rule="WatchStalled",
        says="a tick a minute ends well, until the tenth minute, and again from the fortieth",
        series={
            f'{_SUCCESS}{{pod="a",{V1}}}': "0+60x10 600x29 2400+60x60",
            f'{_SUCCESS}{{pod="old",{V1}}}': "300x100",
            f"{_ERRORS}{V1}}}": "0x100",
        },
        looks={"20m": [], "30m": [], "31m": [LOANS], "39m": [LOANS], "41m": []},
    ),
    Case(
        rule="WatchStalled",
        says="no tick ever ended well",
        series={f"{_ERRORS}{V1}}}": "0x100"},
        looks={"4m": [], "5m": [LOANS]},
    ),
    Case(
        rule="WatchStalled",
        says="the watch of a version before is gone",
        series={
            f'{_SUCCESS}{{pod="a",{V1}}}': "0x100",
            f'{_SUCCESS}{{pod="b",{V2}}}': "0+60x100",
            f'{_ERRORS}pod="b",{V2}}}': "0x100",
        },
        looks={"60m": []},
    ),
    Case(
        rule="WatchStalled",
        says="15 minutes to the second are not more",
        series={f"{_SUCCESS}{{{V1}}}": "0x15 960+60x60"},
        looks={"19m": []},
    ),
    Case(rule="WatchStalled", says="no watch", series={}, looks={"20m": []}),
)

_JOB = 'namespace="dev-jobs",job_name="loans-train-1"'
_FAILED_JOB = {"namespace": "dev-jobs", "job_name": "loans-train-1"}
_RETRAINING = (
    Case(
        rule="RetrainingFailed",
        says="a job fails, and is old news a day after its start",
        series={
            f'kube_job_failed{{condition="true",{_JOB}}}': "0x10 1x400",
            f'kube_job_failed{{condition="false",{_JOB}}}': "0x400",
            f"kube_job_status_start_time{{{_JOB}}}": "600x400",
        },
        looks={"55m": [], "60m": [_FAILED_JOB], "24h5m": [_FAILED_JOB], "24h10m": []},
        every="5m",
    ),
    Case(
        rule="RetrainingFailed",
        says="at the minute",
        series={
            f'kube_job_failed{{condition="true",pod="a",{_JOB}}}': "0x9 1x20",
            f'kube_job_failed{{condition="true",pod="b",{_JOB}}}': "0x30",
            f'kube_job_failed{{condition="true",pod="c",{_JOB}}}': "0x9 1x20",
            f'kube_job_status_start_time{{pod="a",{_JOB}}}': "0x30",
            f'kube_job_status_start_time{{pod="b",{_JOB}}}': "-90000x30",
        },
        looks={"10m": [], "11m": [_FAILED_JOB]},
    ),
    Case(
        rule="RetrainingFailed",
        says="it may have succeeded",
        series={
            f'kube_job_failed{{condition="true",{_JOB}}}': "0x60",
            f'kube_job_failed{{condition="false",{_JOB}}}': "1x60",
            f"kube_job_status_start_time{{{_JOB}}}": "0x60",
        },
        looks={"30m": []},
    ),
    Case(
        rule="RetrainingFailed",
        says="one of two failed, and another's namespace is none of ours",
        series={
            f'kube_job_failed{{condition="true",{_JOB}}}': "1x60",
            f"kube_job_status_start_time{{{_JOB}}}": "0x60",
            'kube_job_failed{condition="true",namespace="dev-jobs",job_name="b"}': "0x60",
            'kube_job_status_start_time{namespace="dev-jobs",job_name="b"}': "0x60",
            'kube_job_failed{condition="true",namespace="other",job_name="c"}': "1x60",
            'kube_job_status_start_time{namespace="other",job_name="c"}': "0x60",
        },
        looks={"30m": [_FAILED_JOB]},
    ),
    Case(rule="RetrainingFailed", says="no job", series={}, looks={"20m": []}),
)

_ABSENT = tuple(
    case
    for emitter, series in (
        ("server", "prediction_latency_seconds_count{"),
        ("watch", _ERRORS),
    )
    for case in (
        Case(
            rule=f"MetricsAbsent/{emitter}",
            says="its pods go, and 6 hours later nobody remembers",
            series={
                f'{series}pod="a",{V1}}}': "0+1x2 stale",
                f'{series}pod="b",{V1}}}': "0+1x6 stale",
                f'{series}pod="b",model="cards",version="1"}}': "0+1x100",
            },
            looks={"30m": [], "40m": [], "45m": [LOANS], "6h25m": [LOANS], "6h35m": []},
            every="5m",
        ),
        Case(rule=f"MetricsAbsent/{emitter}", says="no model", series={}, looks={"20m": []}),
    )
)

CASES = (
    *_DRIFT,
    *_PROMISED,
    *_FEATURES,
    *_SCHEMA,
    *_DROPPED,
    *_OUTCOMES,
    *_STALLED,
    *_RETRAINING,
    *_ABSENT,
)
