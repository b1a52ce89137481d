"""Who judges a release under way, and who waits for its end: two Jobs of one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.access import LOOK, grant, rule
from components.labels import labels
from components.pull_secret import pulls_with
from components.traffic import Gateway

_MIRROR_PORT = 8080
_PROMETHEUS_PORT = 9090
_GRACE = 60  # seconds beyond its own deadline that a Job may take to say why it ends
# How the controller tells a template of analysis which pods are of which release.
ANALYSIS = (
    {"name": "stable-hash", "valueFrom": {"podTemplateHashValue": "Stable"}},
    {"name": "canary-hash", "valueFrom": {"podTemplateHashValue": "Latest"}},
)


@dataclass(frozen=True, kw_only=True)
class Judge:
    image: pulumi.Input[str]
    """With the modules `analysis.judge` and `analysis.delivered`."""
    prometheus: pulumi.Input[str]
    """Where Prometheus answers inside the cluster."""
    minimum_requests: int
    deadline: int
    """In seconds; without enough evidence by then a release is rolled back."""


class Judged(NamedTuple):
    template: pulumi.Output[str]
    """The name of the template of analysis."""
    mirror: k8s.core.v1.Service
    """Leads mirrored requests to the judge while there is one."""


def judge(
    model: str,
    *,
    namespace: pulumi.Input[str],
    gateway: Gateway,
    monitoring: pulumi.Input[str],
    judge: Judge,
    urls: Sequence[pulumi.Input[str]],
    pull_secret: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> Judged:
    """What analysis of the model needs; `urls` are those of its stable release and its new one."""
    name = f"{model}-judge"
    stable, canary = urls
    command = _command(
        "judge",
        model=model,
        stable_hash="{{args.stable-hash}}",
        canary_hash="{{args.canary-hash}}",
        prometheus=judge.prometheus,
        stable_url=stable,
        canary_url=canary,
        minimum_requests=str(judge.minimum_requests),
        deadline=str(judge.deadline),
        port=str(_MIRROR_PORT),
    )
    template: Any = {
        "metadata": {"labels": labels(name)},
        "spec": {
            **hardening.pod(hardening.service_account(name, namespace, opts)),
            **_once(command, judge.image, pull_secret),
        },
    }
    # A typed Job inside an untyped object: the SDK spells its fields as Kubernetes does.
    job = k8s.batch.v1.JobSpecArgs(
        backoff_limit=0, active_deadline_seconds=judge.deadline + _GRACE, template=template
    )
    resource = k8s.apiextensions.CustomResource(
        name,
        api_version="argoproj.io/v1alpha1",
        kind="AnalysisTemplate",
        metadata={"name": model, "namespace": namespace, "labels": labels(model)},
        spec={
            "args": [{"name": each["name"]} for each in ANALYSIS],
            "metrics": [
                {
                    "name": "verdict",
                    "count": 1,
                    "failureLimit": 0,
                    "provider": {"job": {"metadata": {"labels": labels(name)}, "spec": job}},
                }
            ],
        },
        opts=opts,
    )
    traffic.allow(
        name,
        namespace=namespace,
        callers=[gateway.namespace],
        egress=[
            traffic.to(model, namespace),
            {"to": [traffic.pods_of(monitoring)], "ports": [{"port": _PROMETHEUS_PORT}]},
        ],
        opts=opts,
    )
    traffic.admit(model, namespace=namespace, caller=name, opts=opts)
    mirror = traffic.service(f"{model}-mirror", namespace, opts, of=name)
    return Judged(template=traffic.once(model, resource), mirror=mirror)


def delivered(
    model: str,
    *,
    namespace: pulumi.Input[str],
    judge: Judge,
    rollout: pulumi.Input[str],
    deployment: pulumi.Input[str],
    image: pulumi.Input[str],
    template: pulumi.Input[str],
    seconds: int,
    at_once: bool,
    pull_secret: pulumi.Input[str] | None,
    opts: pulumi.ResourceOptions,
) -> None:
    """The Job that succeeds when the release is live, and else fails with the verdict's reason.

    One for each delivery: its name is new each time, so that none takes the word of a Job that a
    killed update left behind, and nothing that the Job is made of keeps it from being made. Another
    `template` of the release's pods, which `deployment` holds, has it run again.
    """
    name = f"{model}-delivery"
    account = hardening.service_account(name, namespace, opts)
    digest = pulumi.Output.from_input(image).apply(lambda full: full.rpartition("@")[2])
    command = _command(
        "delivered",
        namespace=namespace,
        rollout=rollout,
        image=digest,
        deadline=str(seconds),
    )
    if at_once:
        command.append("--at-once")
    ready: list[pulumi.Resource] = [
        grant(
            name,
            namespace=namespace,
            rules=_rules(model, deployment),
            account=account,
            home=namespace,
            opts=opts,
        ),
        traffic.allow(name, namespace=namespace, egress=[traffic.API_SERVER], opts=opts),
    ]
    k8s.batch.v1.Job(
        name,
        metadata={
            "namespace": namespace,
            "labels": labels(name),
            # One that failed is asked again by the next update, whatever it changes.
            "annotations": {"pulumi.com/replaceUnready": "true"},
        },
        spec={
            "backoff_limit": 0,
            "active_deadline_seconds": seconds + _GRACE,
            "template": {
                "metadata": {"labels": labels(name), "annotations": {"ferry.dev/of": template}},
                "spec": {
                    **hardening.pod(account),
                    "automount_service_account_token": True,
                    **_once(command, judge.image, pull_secret),
                },
            },
        },
        opts=pulumi.ResourceOptions.merge(
            opts,
            pulumi.ResourceOptions(
                depends_on=ready,
                custom_timeouts=pulumi.CustomTimeouts(
                    create=f"{seconds + 2 * _GRACE}s", update=f"{seconds + 2 * _GRACE}s"
                ),
            ),
        ),
    )


def _rules(model: str, deployment: pulumi.Input[str]) -> list[k8s.rbac.v1.PolicyRuleArgsDict]:
    """What shows how the model's Rollout is and why an analysis failed; what ends its steps."""
    return [
        rule("argoproj.io", ["rollouts/status"], ["patch"], [model]),
        rule("argoproj.io", ["rollouts"], ["get"], [model]),
        rule("apps", ["deployments"], ["get"], [deployment]),
        rule("apps", ["replicasets"], LOOK),
        rule("argoproj.io", ["analysisruns"], LOOK),
        rule("", ["pods"], LOOK),
    ]


def _command(module: str, **options: pulumi.Input[str]) -> list[pulumi.Input[str]]:
    words: list[pulumi.Input[str]] = ["python", "-m", f"analysis.{module}"]
    for option, value in options.items():
        words += [f"--{option.replace('_', '-')}", value]
    return words


def _once(
    command: list[pulumi.Input[str]],
    image: pulumi.Input[str],
    pull_secret: pulumi.Input[str] | None,
) -> k8s.core.v1.PodSpecArgsDict:
    """The part of a pod's spec that runs `command` once, and keeps its last words."""
    return {
        "restart_policy": "Never",
        "termination_grace_period_seconds": 5,
        "image_pull_secrets": pulls_with(pull_secret),
        "containers": [
            {
                "name": "analysis",
                "image": image,
                "command": command,
                "ports": [{"name": "http", "container_port": _MIRROR_PORT}],
                "security_context": hardening.CONTAINER,
                "resources": hardening.resources(
                    cpu="50m", memory="96Mi", cpu_limit="1", memory_limit="256Mi"
                ),
                "termination_message_policy": "FallbackToLogsOnError",
                "volume_mounts": [{"name": "tmp", "mount_path": "/tmp"}],  # noqa: S108
            }
        ],
        "volumes": [hardening.scratch("16Mi")],
    }
