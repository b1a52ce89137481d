"""The jobs of one model's road: the daily ingest, the retraining, and a template of batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components import hardening, traffic
from components.cron_job import HOUR, cron_job
from components.labels import labels
from components.pull_secret import pulls_with

REGISTRY = "/registry"
# Up to which day rows have arrived, the table's definition knows; DAY, set in a Job, is another.
# Later steps are told which snapshot: with DAY it need not be the newest.
_SNAPSHOT = "/tmp/snapshot.json"  # noqa: S108
_INGEST = (
    'python -m app.ingest --model "$0" ${DAY:+--day "$DAY"} --json'
    f" > {_SNAPSHOT} && cat {_SNAPSHOT}"
)
# A snapshot that is refused stands in quarantine, and the newest good one is trained on.
_VALIDATE = f'python -m app.validate --model "$0" --snapshot {_SNAPSHOT} || [ $? -eq 3 ]'
_VERSION = "/tmp/version.json"  # noqa: S108
_REGISTER = f'python -m app.register --model "$0" --json > {_VERSION} && cat {_VERSION}'

# So that a report bears its Job's name.
_OWN_NAME: k8s.core.v1.EnvVarArgsDict = {
    "name": "JOB_NAME",
    "value_from": {"field_ref": {"field_path": "metadata.labels['batch.kubernetes.io/job-name']"}},
}

Step = tuple[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class ModelJobsArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    """By digest: `host/repository@sha256:…`."""
    schedule: str
    retrain: str
    """Cron lines, in UTC: when new rows are taken in, and when the model is trained again."""
    environment: Sequence[k8s.core.v1.EnvVarArgsDict]
    registry_claim: pulumi.Input[str]
    """The claim for the volume with the feature registry, mounted at REGISTRY."""
    egress: Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]
    pull_secret: pulumi.Input[str] | None = None
    release: tuple[str, str] | None = None
    """Run and weights of the pinned release, which batch scoring uses; None: no such job."""


class ModelJobs(pulumi.ComponentResource):
    """Each job's steps run one after the other in one pod, and the first that fails ends it.

    A Job of any of them, at any time: `kubectl create job NAME --from=cronjob/<model>-<job>`. A
    retraining ends with a registered version and a report on it; nothing that serves is touched.
    """

    def __init__(
        self, name: str, args: ModelJobsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:jobs:ModelJobs", name, {"schedule": args.schedule}, opts)
        taken: Step = ("ingest", ["sh", "-c", _INGEST, name])
        features: Step = ("features", _command("features", name))
        ingest: list[Step] = [
            taken,
            ("validate", [*_command("validate", name), "--snapshot", _SNAPSHOT]),
            features,
        ]
        training: list[Step] = [
            taken,
            ("validate", ["sh", "-c", _VALIDATE, name]),
            features,
            ("train", _command("train", name)),
            ("register", ["sh", "-c", _REGISTER, name]),
            ("report", [*_command("challenge", name), "--registered", _VERSION]),
        ]
        self._job(name, "ingest", ingest, args, schedule=args.schedule)
        self._job(name, "train", training, args, schedule=args.retrain)
        if args.release is not None:
            run, weights = args.release
            batch = [*_command("batch", name), "--run", run, "--weights", weights]
            self._job(name, "batch", [("batch", batch)], args, schedule=None)
        self.register_outputs({})

    def _job(
        self,
        model: str,
        job: str,
        steps: Sequence[Step],
        args: ModelJobsArgs,
        *,
        schedule: str | None,
    ) -> None:
        """Without a `schedule` it is a template alone."""
        child = pulumi.ResourceOptions(parent=self)
        name = f"{model}-{job}"
        of_model = {**labels(name), "ferry.dev/model": model}
        *before, last = (_container(step, args) for step in steps)
        traffic.allow(name, namespace=args.namespace, egress=args.egress, opts=child)
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        claim = {"claim_name": args.registry_claim}
        cron_job(
            name,
            namespace=args.namespace,
            labels=of_model,
            schedule=schedule or args.schedule,
            suspended=schedule is None,
            deadline=4 * HOUR,
            pod={
                **hardening.pod(account),
                "image_pull_secrets": pulls_with(args.pull_secret),
                "init_containers": before,
                "volumes": [
                    {"name": "registry", "persistent_volume_claim": claim},
                    hardening.scratch("384Mi"),
                ],
            },
            containers=[last],
            opts=child,
        )


def _command(module: str, model: str) -> list[str]:
    return ["python", "-m", f"app.{module}", "--model", model]


def _container(step: Step, args: ModelJobsArgs) -> k8s.core.v1.ContainerArgsDict:
    name, command = step
    return {
        "name": name,
        "image": args.image,
        "command": list(command),
        "env": [*args.environment, _OWN_NAME],
        "security_context": hardening.CONTAINER,
        "resources": hardening.resources(
            cpu="250m", memory="512Mi", cpu_limit="2", memory_limit="2Gi"
        ),
        "termination_message_policy": "FallbackToLogsOnError",
        "volume_mounts": [
            {"name": "registry", "mount_path": REGISTRY},
            {"name": "tmp", "mount_path": "/tmp"},  # noqa: S108
        ],
    }
