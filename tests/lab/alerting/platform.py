"""When the alerts of the platform fire."""

from collections.abc import Iterator, Mapping

from tests.lab.alerting.case import Case

_ASKED = {"instance": "http://it/health"}


def _probe(rule: str, job: str) -> Iterator[Case]:
    of = f'job="{job}",instance="http://it/health"'
    yield Case(
        rule=rule,
        says="it does not answer, then it does",
        series={
            f'probe_success{{pod="a",{of}}}': "1x4 0x20 1x20",
            'probe_success{job="other",instance="http://other"}': "0x60",
        },
        looks={"9m": [], "10m": [_ASKED], "25m": [_ASKED], "26m": []},
    )
    yield Case(
        rule=rule,
        says="of two that ask one gets an answer",
        series={
            f'probe_success{{pod="a",{of}}}': "0x60",
            f'probe_success{{pod="b",{of}}}': "1x60",
            f'probe_success{{job="{job}",instance="http://second"}}': "1x60",
        },
        looks={"30m": []},
    )
    yield Case(rule=rule, says="nobody asks", series={}, looks={"20m": []})


_TARGET = {"job": "mlflow", "instance": "10.0.0.1:80"}
_TARGETS = (
    Case(
        rule="TargetDown",
        says="one of its two endpoints cannot be read",
        series={
            'up{job="mlflow",instance="10.0.0.1:80",endpoint="http"}': "1x4 0x30 1x20",
            'up{job="mlflow",instance="10.0.0.1:80",endpoint="grpc"}': "1x60",
            'up{job="mlflow",instance="10.0.0.2:80"}': "1x60",
            'up{job="other",instance="10.0.0.1:80"}': "1x60",
        },
        looks={"14m": [], "15m": [_TARGET], "35m": [_TARGET], "36m": []},
    ),
    Case(rule="TargetDown", says="there is none", series={}, looks={"20m": []}),
)

_WEEKS = 1_209_600
_CERTIFICATES = (
    Case(
        rule="CertificateExpiring",
        says="two weeks are left at the 20th minute; it is renewed two hours later",
        series={
            f'probe_ssl_earliest_cert_expiry{{pod="a",{_of}}}': f"{_WEEKS + 1200}x6 9999999x9"
            for _of in ('instance="https://it"',)
        }
        | {
            'probe_ssl_earliest_cert_expiry{pod="b",instance="https://it"}': "9999999x200",
            'probe_ssl_earliest_cert_expiry{pod="b",instance="https://other"}': "9999999x200",
        },
        looks={
            "80m": [],
            "100m": [{"instance": "https://it"}],
            "120m": [{"instance": "https://it"}],
            "140m": [],
        },
        every="20m",
    ),
    Case(
        rule="CertificateExpiring",
        says="nothing has one",
        series={},
        looks={"20m": []},
        every="20m",
    ),
)


def _disk(says: str, free: str, looks: Mapping[str, list[dict[str, str]]]) -> Iterator[Case]:
    """Percents of 100 bytes, every 5 minutes; on another disk there is enough."""
    claim = 'namespace="dev-platform",persistentvolumeclaim="{}"'
    device = 'instance="10.0.0.1:9100",device="{}",fstype="ext4"'
    for rule, names, avail, size, full, enough in (
        (
            "DiskFilling/volume",
            {"namespace": "dev-platform", "persistentvolumeclaim": "mlflow"},
            "kubelet_volume_stats_available_bytes",
            "kubelet_volume_stats_capacity_bytes",
            claim.format("mlflow"),
            claim.format("registry"),
        ),
        (
            "DiskFilling/node",
            {"instance": "10.0.0.1:9100", "device": "/dev/sda1"},
            "node_filesystem_avail_bytes",
            "node_filesystem_size_bytes",
            device.format("/dev/sda1"),
            device.format("/dev/sdb1"),
        ),
    ):
        yield Case(
            rule=rule,
            says=says,
            series={
                f'{avail}{{pod="a",{full}}}': free,
                f'{size}{{pod="a",{full}}}': "100x300",
                f'{avail}{{pod="b",{full}}}': "90x300",
                f'{size}{{pod="b",{full}}}': "100x300",
                f"{avail}{{{enough}}}": "90x300",
                f"{size}{{{enough}}}": "100x300",
            },
            looks={at: [names] if fires else [] for at, fires in looks.items()},
            every="5m",
        )


_DISKS = (
    *_disk(
        "9 % are free, then half", "9.5x12 50x200", {"0m": [], "5m": [{}], "60m": [{}], "70m": []}
    ),
    *_disk("11 % are free, and stay so", "11x200", {"8h": []}),
    *_disk("10 % exactly", "10x200", {"8h": []}),
    # 1.75 an hour: at 39 it has 22 hours; 1.58: 24.7.
    *_disk("39 % in 22 hours", "49.5-0.1458x200", {"5h": [], "6h5m": [{}]}),
    *_disk("39 % in 25 hours", "48.5-0.1317x200", {"6h5m": []}),
    *_disk("60 % in a day", "75-0.25x200", {"6h": []}),
    *_disk("40 % by growing", "20+0.1x200", {"6h": []}),
    # A trend of the last hour is none of 6, and one of 6 is one.
    *_disk("34 % by shrinking for an hour", "41x60 41-0.55x40", {"6h": []}),
    *_disk("29 % by shrinking for 4 hours", "39.9x50 39.9-0.2x80", {"8h25m": [{}]}),
    *_disk("40 % exactly, after shrinking", "76-0.5x72 40x3", {"6h5m": []}),
)

_LOOPING = {"namespace": "dev-models", "pod": "loans-1", "container": "model"}
_OF_LOOPING = ",".join(f'{name}="{value}"' for name, value in _LOOPING.items())
_WAITING = "kube_pod_container_status_waiting_reason"
_PODS = (
    Case(
        rule="PodCrashLooping",
        says="it waits in every fifth minute",
        series={
            f'{_WAITING}{{reason="CrashLoopBackOff",uid="u",{_OF_LOOPING}}}': "0x4"
            " 1 0x3 1 0x3 1 0x3 1 0x3 0x40",
            f'{_WAITING}{{reason="CrashLoopBackOff",uid="v",{_OF_LOOPING}}}': "0x60",
        },
        looks={"14m": [], "15m": [_LOOPING], "23m": [_LOOPING], "27m": []},
    ),
    Case(
        rule="PodCrashLooping",
        says="it waits in every eighth minute",
        series={
            f'{_WAITING}{{reason="CrashLoopBackOff",{_OF_LOOPING}}}': "1 0x6 1 0x6 1 0x6 1 0x6"
        },
        looks={"12m": [], "20m": [], "30m": []},
    ),
    Case(
        rule="PodCrashLooping",
        says="it waits for its image",
        series={f'{_WAITING}{{reason="ContainerCreating",{_OF_LOOPING}}}': "1x60"},
        looks={"30m": []},
    ),
    Case(rule="PodCrashLooping", says="no pod", series={}, looks={"20m": []}),
)


def _ready(says: str, ready: str, phase: str, looks: Mapping[str, bool]) -> Case:
    pod = {"namespace": "dev-models", "pod": "loans-1"}
    of = ",".join(f'{name}="{value}"' for name, value in pod.items())
    return Case(
        rule="PodNotReady",
        says=says,
        series={
            f'kube_pod_status_ready{{condition="false",uid="u",{of}}}': ready,
            f'kube_pod_status_ready{{condition="false",uid="before",{of}}}': "0x60",
            f'kube_pod_status_ready{{condition="true",uid="u",{of}}}': "0x60",
            **{
                f'kube_pod_status_phase{{phase="{each}",uid="u",{of}}}': "1x60"
                if each == phase
                else "0x60"
                for each in ("Pending", "Running", "Succeeded", "Failed", "Unknown")
            },
            'kube_pod_status_ready{condition="false",namespace="dev-models",pod="b"}': "0x60",
            'kube_pod_status_phase{phase="Running",namespace="dev-models",pod="b"}': "1x60",
        },
        looks={at: [pod] if fires else [] for at, fires in looks.items()},
    )


_READY = (
    _ready(
        "it runs and is not, then it is",
        "0x4 1x30 0x20",
        "Running",
        {"19m": False, "20m": True, "35m": True, "36m": False},
    ),
    _ready("it has to wait for a place", "1x60", "Pending", {"15m": True}),
    _ready("its node is gone", "1x60", "Unknown", {"15m": True}),
    _ready("it has done its work", "1x60", "Succeeded", {"30m": False}),
    _ready("it is", "0x60", "Running", {"30m": False}),
    Case(rule="PodNotReady", says="no pod", series={}, looks={"20m": []}),
)


def _failing(rule: str, series: str, labels: dict[str, str]) -> Iterator[Case]:
    of = ",".join(f'{name}="{value}"' for name, value in labels.items())
    yield Case(
        rule=rule,
        says="it fails once",
        series={
            f'{series}{{pod="a",{of}}}': "0x10 1x60",
            f'{series}{{pod="b",{of}}}': "0x60",
        },
        looks={"15m": [], "16m": [labels], "24m": [labels], "27m": []},
    )
    yield Case(rule=rule, says="it never fails", series={}, looks={"20m": []})


_OWN = (
    *_failing("RuleFailing", "prometheus_rule_evaluation_failures_total", {"rule_group": "models"}),
    *_failing(
        "NotificationsFailing", "alertmanager_notifications_failed_total", {"integration": "slack"}
    ),
    Case(
        rule="AlertmanagerAbsent",
        says="there is none, then one; another Prometheus knows it",
        series={
            'prometheus_notifications_alertmanagers_discovered{pod="a",endpoint="x"}': "0x20 1x20",
            'prometheus_notifications_alertmanagers_discovered{pod="b"}': "1x60",
        },
        looks={"9m": [], "10m": [{"pod": "a"}], "20m": [{"pod": "a"}], "21m": []},
    ),
    Case(rule="AlertmanagerAbsent", says="no Prometheus", series={}, looks={"20m": []}),
)

_BACKUP = {"namespace": "dev-platform", "cronjob": "mlflow-backup"}
_OF = 'namespace="dev-platform",cronjob="mlflow-backup"'
_ASKED_FOR = "kube_cronjob_status_last_schedule_time{"
_DONE = "kube_cronjob_status_last_successful_time{"
_COPIES = (
    Case(
        rule="BackupFailed",
        says="the next Job fails, and one by hand succeeds; others' jobs are no copies",
        series={
            f'{_ASKED_FOR}pod="a",{_OF}}}': "350 350 600x30",
            f'{_ASKED_FOR}pod="b",{_OF}}}': "340x32",
            f'{_DONE}pod="a",{_OF}}}': "400x19 700x20",
            f'{_DONE}pod="b",{_OF}}}': "300x40",
            f'{_ASKED_FOR}namespace="dev-platform",cronjob="late"}}': "900x40",
            f'{_DONE}namespace="dev-platform",cronjob="late"}}': "100x40",
            f'{_ASKED_FOR}namespace="dev-platform",cronjob="never"}}': "900x40",
        },
        looks={"65m": [], "70m": [_BACKUP], "95m": [_BACKUP], "105m": []},
        every="5m",
    ),
    Case(
        rule="BackupFailed",
        says="none ever succeeded",
        series={f"{_ASKED_FOR}{_OF}}}": "_ _ 600x30"},
        looks={"65m": [], "70m": [_BACKUP]},
        every="5m",
    ),
    Case(
        rule="BackupFailed",
        says="it succeeds in the second that it was asked for",
        series={f"{_ASKED_FOR}{_OF}}}": "600x30", f"{_DONE}{_OF}}}": "600x30"},
        looks={"90m": []},
        every="5m",
    ),
    Case(rule="BackupFailed", says="no copies are wanted", series={}, looks={"90m": []}),
)

CASES = (
    *_probe("MlflowDown", "mlflow"),
    *_probe("RegistryDown", "registry"),
    *_probe("ObjectStoreDown", "object-store"),
    *_probe("ModelDown", "models"),
    *_TARGETS,
    *_CERTIFICATES,
    *_DISKS,
    *_PODS,
    *_READY,
    *_COPIES,
    *_OWN,
)
