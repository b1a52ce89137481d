"""When the platform's people are told: what does not answer, fills, expires or does not start."""

from monitoring.alerts import Alert


def alerts() -> tuple[Alert, ...]:
    """All of them."""
    return (*_answers(), *_space(), *_pods(), *_copies(), *_own())


def _answers() -> tuple[Alert, ...]:
    asked = (
        ("MlflowDown", "mlflow", "MLflow", "No model can be trained or registered."),
        ("RegistryDown", "registry", "The registry", "No pod can pull an image it lacks."),
        ("ObjectStoreDown", "object-store", "The object store", "No data, evidence or logs."),
        ("ModelDown", "models", "A model", "Its clients get nothing."),
    )
    return (
        *(
            Alert(
                name=name,
                expression=f'max by (instance) (probe_success{{job="{probe}"}}) == 0',
                hold="5m",
                severity="critical",
                team="platform",
                summary=f"{what} does not answer.",
                description=f"{{{{ $labels.instance }}}} was asked from outside of it. {meaning}",
            )
            for name, probe, what, meaning in asked
        ),
        Alert(
            name="TargetDown",
            expression="min by (job, instance) (up) == 0",
            hold="10m",
            severity="warning",
            team="platform",
            summary="{{ $labels.job }} tells no metrics.",
            description="Prometheus cannot read {{ $labels.instance }}; what it says is missing"
            " from every rule and screen.",
        ),
        Alert(
            name="CertificateExpiring",
            expression="min by (instance) (probe_ssl_earliest_cert_expiry) - time() < 1209600",
            hold="1h",
            severity="warning",
            team="platform",
            summary="The certificate of {{ $labels.instance }} ends within two weeks.",
            description="It has {{ $value | humanizeDuration }} left.",
        ),
    )


def _space() -> tuple[Alert, ...]:
    asked = (
        (
            "volume",
            "namespace, persistentvolumeclaim",
            "kubelet_volume_stats_available_bytes",
            "kubelet_volume_stats_capacity_bytes",
            "The volume {{ $labels.persistentvolumeclaim }} of {{ $labels.namespace }}",
        ),
        (
            "node",
            "instance, device",
            "node_filesystem_avail_bytes",  # of disks alone: the exporter leaves out the others
            "node_filesystem_size_bytes",
            "The disk {{ $labels.device }} of {{ $labels.instance }}",
        ),
    )
    return tuple(
        Alert(
            name="DiskFilling",
            expression=f"min by ({labels}) ({free} / {size}) < 0.1"
            f" or min by ({labels}) ({free} / {size}) < 0.4"
            f" and min by ({labels}) (predict_linear({free}[6h], 86400)) < 0",
            hold="5m",
            severity="warning",
            team="platform",
            summary=f"{what} runs full.",
            description="{{ $value | humanizePercentage }} is free; as it fills, not for a day.",
            labels={"disk": disk},
        )
        for disk, labels, free, size, what in asked
    )


def _pods() -> tuple[Alert, ...]:
    crashing = 'kube_pod_container_status_waiting_reason{reason="CrashLoopBackOff"}'
    unready = 'kube_pod_status_ready{condition="false"}'
    wanted = 'kube_pod_status_phase{phase=~"Pending|Running|Unknown"}'
    return (
        Alert(
            name="PodCrashLooping",
            # It is running again between two crashes: hence the last minutes.
            expression=f"max by (namespace, pod, container) (max_over_time({crashing}[5m])) == 1",
            hold="10m",
            severity="warning",
            team="platform",
            summary="{{ $labels.container }} of {{ $labels.pod }} starts and ends again.",
            description="In {{ $labels.namespace }}; Kubernetes waits longer before each start.",
        ),
        Alert(
            name="PodNotReady",
            expression=f"max by (namespace, pod) ({unready}) == 1"
            f" and max by (namespace, pod) ({wanted}) == 1",
            hold="15m",
            severity="warning",
            team="platform",
            summary="{{ $labels.pod }} is not ready.",
            description="In {{ $labels.namespace }}; it gets no traffic, or does not start at all.",
        ),
    )


def _copies() -> tuple[Alert, ...]:
    by = "by (namespace, cronjob)"
    asked = 'kube_cronjob_status_last_schedule_time{cronjob="mlflow-backup"}'
    done = "kube_cronjob_status_last_successful_time"
    return (
        Alert(
            name="BackupFailed",
            # Whatever the schedule is: an hour after the last one there is no newer success.
            expression=f"max {by} ({asked}) > max {by} ({done})"
            f" or (group {by} ({asked}) unless group {by} ({done}))",
            hold="1h",
            severity="warning",
            team="platform",
            summary="MLflow's databases are not copied.",
            description="The last Job of {{ $labels.cronjob }} in {{ $labels.namespace }} did not"
            " succeed; older copies are untouched.",
        ),
    )


def _own() -> tuple[Alert, ...]:
    return (
        Alert(
            name="RuleFailing",
            expression="sum by (rule_group)"
            " (increase(prometheus_rule_evaluation_failures_total[15m])) > 0",
            hold="5m",
            severity="warning",
            team="platform",
            summary="Rules of {{ $labels.rule_group }} cannot be evaluated.",
            description="What they would tell is told by nobody.",
        ),
        Alert(
            name="NotificationsFailing",
            expression="sum by (integration)"
            " (increase(alertmanager_notifications_failed_total[15m])) > 0",
            hold="5m",
            severity="critical",
            team="platform",
            summary="Alertmanager cannot tell people by {{ $labels.integration }}.",
            description="Others of its receivers may work: this alert came by one.",
        ),
        Alert(
            name="AlertmanagerAbsent",
            expression="max by (pod) (prometheus_notifications_alertmanagers_discovered) == 0",
            hold="10m",
            severity="warning",
            team="platform",
            summary="Prometheus knows no Alertmanager.",
            description="Alerts fire and nobody is told; this one is seen on the screens alone.",
        ),
    )
