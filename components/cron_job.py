"""A CronJob of ours: one at a time, in UTC, and what is final is not tried again."""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

HOUR = 3600
# Exit codes of our programs: a usage error and a refusal are the same however often they are tried.
_FINAL = [2, 3]


def cron_job(
    name: str,
    *,
    namespace: pulumi.Input[str],
    labels: dict[str, str],
    schedule: str,
    suspended: bool,
    deadline: int,
    pod: dict[str, Any],
    containers: list[k8s.core.v1.ContainerArgsDict],
    opts: pulumi.ResourceOptions,
) -> None:
    """Its Jobs end within `deadline` seconds; `suspended`, it is a template alone."""
    k8s.batch.v1.CronJob(
        name,
        metadata={"name": name, "namespace": namespace, "labels": labels},
        spec={
            "schedule": schedule,
            "time_zone": "Etc/UTC",
            "suspend": suspended,
            "concurrency_policy": "Forbid",
            "starting_deadline_seconds": HOUR,
            "successful_jobs_history_limit": 3,
            "failed_jobs_history_limit": 3,
            "job_template": {
                "metadata": {"labels": labels},
                "spec": {
                    "backoff_limit": 3,
                    "active_deadline_seconds": deadline,
                    "ttl_seconds_after_finished": 7 * 24 * HOUR,
                    "pod_failure_policy": {
                        "rules": [
                            {
                                "action": "FailJob",
                                "on_exit_codes": {"operator": "In", "values": _FINAL},
                            }
                        ]
                    },
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {**pod, "restart_policy": "Never", "containers": containers},
                    },
                },
            },
        },
        opts=opts,
    )
