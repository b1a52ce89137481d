"""The screen of the platform: what answers, what is scraped, the node, workloads, volumes."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboards.panels import Panel, lines, number, screen, states


def board() -> Dashboard:
    """Of the whole stack."""
    rows = (
        ("Now", _now()),
        ("What answers", _answers()),
        ("The nodes", _nodes()),
        ("Workloads", _workloads()),
        ("Prometheus and Alertmanager", _own()),
    )
    return screen("platform", "Platform", rows)


def _now() -> tuple[Panel, ...]:
    return (
        number(
            "Targets down",
            "Of all that Prometheus scrapes.",
            "count(up == 0) or vector(0)",
            bad_from=1,
        ),
        number(
            "Parts that do not answer",
            "MLflow, registry, object store and models, asked from outside of them.",
            "count(probe_success == 0) or vector(0)",
            bad_from=1,
        ),
        number(
            "Alerts",
            "Firing now.",
            'count(ALERTS{alertstate="firing"}) or vector(0)',
            bad_from=1,
        ),
        number(
            "Disk",
            "Of the fullest file system of a node.",
            "max(1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)",
            unit="percentunit",
            bad_from=0.85,
        ),
    )


def _answers() -> tuple[Panel, ...]:
    return (
        states("Probes", "1: it answered.", ("probe_success", "{{instance}}")),
        lines(
            "Time to answer", "Of each probe.", ("probe_duration_seconds", "{{instance}}"), unit="s"
        ),
        states("Scraped", "1: its metrics were read.", ("min by (job) (up)", "{{job}}")),
    )


def _nodes() -> tuple[Panel, ...]:
    busy = 'rate(node_cpu_seconds_total{mode!="idle"}[$__rate_interval])'
    return (
        lines("CPU", "Busy CPUs of each node.", (f"sum by (instance) ({busy})", "{{instance}}")),
        lines(
            "Memory",
            "In use, of each node.",
            ("node_memory_MemTotal_bytes - node_memory_MemAvailable_bytes", "{{instance}}"),
            unit="bytes",
        ),
        lines(
            "Disk",
            "Free, by file system.",
            ("node_filesystem_avail_bytes", "{{instance}} {{mountpoint}}"),
            unit="bytes",
        ),
    )


def _workloads() -> tuple[Panel, ...]:
    used = "rate(container_cpu_usage_seconds_total[$__rate_interval])"
    return (
        lines("CPU", "Used, by namespace.", (f"sum by (namespace) ({used})", "{{namespace}}")),
        lines(
            "Memory",
            "Working set, by namespace.",
            ("sum by (namespace) (container_memory_working_set_bytes)", "{{namespace}}"),
            unit="bytes",
        ),
        lines(
            "Restarts in an hour",
            "By pod; only those that have any.",
            (
                "sum by (namespace, pod) "
                "(increase(kube_pod_container_status_restarts_total[1h])) > 0",
                "{{namespace}}/{{pod}}",
            ),
        ),
        lines(
            "Volumes",
            "Share that is used.",
            (
                "kubelet_volume_stats_used_bytes / kubelet_volume_stats_capacity_bytes",
                "{{namespace}}/{{persistentvolumeclaim}}",
            ),
            unit="percentunit",
            top=1,
        ),
    )


def _own() -> tuple[Panel, ...]:
    return (
        lines(
            "Series",
            "Held by Prometheus.",
            ("prometheus_tsdb_head_series", "series"),
        ),
        lines(
            "Rules",
            "Time that a group of them takes.",
            ("prometheus_rule_group_last_duration_seconds", "{{rule_group}}"),
            unit="s",
        ),
        lines(
            "Notifications",
            "Sent by Alertmanager, and failed.",
            (
                "sum by (integration) (increase(alertmanager_notifications_total[1h]))",
                "{{integration}}",
            ),
            (
                "sum by (integration) (increase(alertmanager_notifications_failed_total[1h]))",
                "{{integration}}, failed",
            ),
        ),
    )
