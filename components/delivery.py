"""How traffic moves to a new release of one model: by weights, or at once, after a verdict."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components import judging, traffic
from components.judging import ANALYSIS, Judge
from components.labels import labels
from components.traffic import Gateway

API = "argoproj.io/v1alpha1"
# Of the requests to the model; each is sent once more to either release.
_MIRRORED = 20
_PROGRESS = 180  # seconds that pods may take to become ready, at each step
_VERDICT = 60  # seconds for the judge's pod to come and go
_REST = 10  # seconds until Traefik has surely taken over new weights


@dataclass(frozen=True, kw_only=True)
class How:
    """`steps` in percent of the traffic, each judged; none: all at once, judged before."""

    steps: Sequence[int]
    judge: Judge
    controller: list[pulumi.Resource]
    """What makes Rollouts move; they end before it does."""
    at_once: bool = False
    """Without steps or verdict: the release goes back to one that served before."""

    @property
    def seconds(self) -> int:
        """The longest that a release may take to be live or rolled back."""
        return (len(self.steps) or 1) * (_PROGRESS + self.judge.deadline + _VERDICT) + _PROGRESS


@dataclass(frozen=True, kw_only=True)
class DeliveryArgs:
    namespace: pulumi.Input[str]
    gateway: Gateway
    """Traefik's, whose kinds carry the weights."""
    monitoring: pulumi.Input[str]
    """The namespace that Prometheus answers in."""
    host: str
    grpc_host: str
    image: pulumi.Input[str]
    """The release's, by digest."""
    deployment: pulumi.Input[str]
    """The Deployment without replicas that holds the pods' template."""
    template: k8s.core.v1.PodTemplateSpecArgsDict
    how: How
    pull_secret: pulumi.Input[str] | None = None


class Delivery(pulumi.ComponentResource):
    """A Rollout behind Traefik's weights; the update ends when the release is live or refused.

    What the controller and the autoscaler write is left out of the inputs: replicas, weights, and
    the selector of each Service by the hash of a template.
    """

    rollout: pulumi.Output[str]
    """The name of the Rollout, known when it is there."""

    def __init__(
        self, name: str, args: DeliveryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:serving:Delivery", name, {"image": args.image}, opts)
        how = args.how
        child = pulumi.ResourceOptions(parent=self, depends_on=how.controller)
        stable, canary = (
            traffic.release_service(f"{name}-{which}", args.namespace, child, of=name)
            for which in ("stable", "canary")
        )
        services: list[pulumi.Resource] = [stable, canary]
        weighted = f"{name}-weights"
        if how.steps:
            services.append(_weights(weighted, args, stable, canary, child))
            strategy: dict[str, Any] = {"canary": _canary(how, stable, canary, weighted)}
        else:
            strategy = {"blueGreen": _blue_green(stable, canary)}
        judged = judging.judge(
            name,
            namespace=args.namespace,
            gateway=args.gateway,
            monitoring=args.monitoring,
            judge=how.judge,
            urls=[_url(stable), _url(canary)],
            pull_secret=args.pull_secret,
            opts=child,
        )
        analysis = {"templates": [{"templateName": judged.template}], "args": list(ANALYSIS)}
        if how.steps:
            strategy["canary"]["steps"] = [
                step
                for percent in how.steps
                for step in ({"setWeight": percent}, {"analysis": analysis})
            ]
        else:
            strategy["blueGreen"]["prePromotionAnalysis"] = analysis
        rollout = k8s.apiextensions.CustomResource(
            name,
            api_version=API,
            kind="Rollout",
            metadata={"name": name, "namespace": args.namespace, "labels": labels(name)},
            spec={
                "workloadRef": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": args.deployment,
                },
                # Time under analysis counts where all traffic moves at once.
                "progressDeadlineSeconds": _PROGRESS
                if how.steps
                else _PROGRESS + how.judge.deadline + _VERDICT,
                "progressDeadlineAbort": True,
                "strategy": strategy,
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=services),
        )
        self.rollout = traffic.once(name, rollout)
        after = pulumi.ResourceOptions(parent=self, depends_on=[rollout])
        _routes(name, args, stable, judged.mirror, after)
        judging.delivered(
            name,
            namespace=args.namespace,
            judge=how.judge,
            rollout=self.rollout,
            deployment=args.deployment,
            image=args.image,
            template=pulumi.Output.json_dumps(args.template).apply(_digest),
            seconds=how.seconds,
            at_once=how.at_once,
            pull_secret=args.pull_secret,
            opts=child,
        )
        self.register_outputs({})


def _weights(
    name: str,
    args: DeliveryArgs,
    stable: k8s.core.v1.Service,
    canary: k8s.core.v1.Service,
    opts: pulumi.ResourceOptions,
) -> pulumi.Resource:
    return traffic.traefik(
        "TraefikService",
        name,
        namespace=args.namespace,
        # The whole list is the controller's once it has set a weight in it.
        annotations={"pulumi.com/patchForce": "true"},
        spec={
            "weighted": {
                "services": [
                    {"name": each.metadata["name"], "port": "http"} for each in (stable, canary)
                ]
            }
        },
        opts=opts,
    )


def _routes(
    name: str,
    args: DeliveryArgs,
    stable: k8s.core.v1.Service,
    mirror: k8s.core.v1.Service,
    opts: pulumi.ResourceOptions,
) -> None:
    main = (
        {"name": f"{name}-weights", "kind": "TraefikService"}
        if args.how.steps
        else {"name": stable.metadata["name"], "port": "http"}
    )
    mirrored = {"name": mirror.metadata["name"], "port": "http", "percent": _MIRRORED}
    traffic.traefik(
        "TraefikService",
        name,
        namespace=args.namespace,
        # A body is held in memory until the mirror has it.
        spec={"mirroring": {**main, "maxBodySize": 1 << 20, "mirrors": [mirrored]}},
        opts=opts,
    )
    http = {"name": name, "kind": "TraefikService"}
    grpc = {"name": stable.metadata["name"], "port": "grpc", "scheme": "h2c"}
    for route, host, to in ((name, args.host, http), (f"{name}-grpc", args.grpc_host, grpc)):
        traffic.traefik(
            "IngressRoute",
            route,
            namespace=args.namespace,
            annotations={"kubernetes.io/ingress.class": args.gateway.class_name},
            spec={"routes": [{"kind": "Rule", "match": f"Host(`{host}`)", "services": [to]}]},
            opts=opts,
        )


def _canary(
    how: How, stable: k8s.core.v1.Service, canary: k8s.core.v1.Service, weighted: str
) -> dict[str, Any]:
    return {
        "stableService": stable.metadata["name"],
        "canaryService": canary.metadata["name"],
        "trafficRouting": {"traefik": {"weightedTraefikServiceName": weighted}},
        "maxSurge": 1,
        "maxUnavailable": 0,
        "abortScaleDownDelaySeconds": _REST,
        "scaleDownDelaySeconds": 3 * _REST,
    }


def _blue_green(stable: k8s.core.v1.Service, canary: k8s.core.v1.Service) -> dict[str, Any]:
    return {
        "activeService": stable.metadata["name"],
        "previewService": canary.metadata["name"],
        "autoPromotionEnabled": True,
        "abortScaleDownDelaySeconds": _REST,
        # A release whose pods wait for their end goes live unjudged when it is offered again.
        "scaleDownDelayRevisionLimit": 0,
    }


def _url(service: k8s.core.v1.Service) -> pulumi.Output[str]:
    return pulumi.Output.format(
        "http://{0}.{1}", service.metadata["name"], service.metadata["namespace"]
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
