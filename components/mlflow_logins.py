"""The users of MLflow beside its administrator: their passwords, and the Job that makes them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s
import pulumi_random as random

from components import hardening, traffic
from components.cron_job import HOUR, cron_job
from components.labels import labels
from components.mlflow_container import process
from components.mlflow_image import VERSION
from components.mlflow_jobs import job
from components.mlflow_server import MlflowServer
from components.pull_secret import pulls_with

JOBS = "jobs"
"""The user that the models' jobs log in as, and its role."""
ADMINISTRATOR = "engineer"
"""The role of people who may do everything, as the administrator may."""

_PROGRAM, _FILES = "/opt/mlflow/logins.py", "/etc/logins"
_NEVER = "0 0 1 1 *"
_TOP = ("experiment", "registered_model")
_IN_THEM = (
    *("run", "logged_model", "registered_model_version", "trace", "assessment"),
    "review_queue",
)
_UNUSED_BY_THE_STACK = [
    (kind, "*", "DENY")
    for kind in (
        *("prompt", "scorer", "mcp_server"),
        *("gateway_secret", "gateway_endpoint", "gateway_model_definition"),
    )
]
_ROLES = {
    "data-scientist": [(kind, "*", "READ") for kind in _TOP],
    # Nobody can be kept from making a container of its own. What is granted of its content holds
    # there, too, so it stays empty.
    "auditor": [
        *((kind, "*", "READ") for kind in (*_TOP, *_IN_THEM)),
        *_UNUSED_BY_THE_STACK,
    ],
}


def grants(models: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
    """By role: a type of resource, the name of one or `*`, and what it may do with that.

    Jobs do with their models what `app.train`, `app.register` and `app.challenge` ask for.
    """
    written = [(kind, model, "EDIT") for model in sorted(models) for kind in _TOP]
    return {**_ROLES, JOBS: [*written, *_UNUSED_BY_THE_STACK]}


@dataclass(frozen=True, kw_only=True)
class MlflowLoginsArgs:
    namespace: pulumi.Input[str]
    server_name: str
    server: MlflowServer
    people: Mapping[str, str]
    """By user: `data-scientist`, `auditor` or `engineer`."""
    models: Sequence[str]
    """Names of the experiments and registered models that jobs write to."""

    def __post_init__(self) -> None:
        unknown = {*self.people.values()} - {*_ROLES, ADMINISTRATOR}
        if unknown or JOBS in self.people or self.server.username in self.people:
            raise ValueError(f"need people with known roles and names of their own: {self.people}")


class MlflowLogins(pulumi.ComponentResource):
    """Users that are not told here are deleted.

    Once more: `kubectl create job NAME --from=cronjob/<name>`, which `ferry restore` does, since
    the logins of a backup are those of its day.
    """

    passwords: Mapping[str, pulumi.Output[str]]
    """By user, JOBS among them; known when MLflow takes them."""

    def __init__(
        self, name: str, args: MlflowLoginsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:tracking:MlflowLogins", name, {"people": dict(args.people)}, opts)
        child = pulumi.ResourceOptions(parent=self)
        made = {
            user: random.RandomPassword(f"{name}-{user}", length=40, special=False, opts=child)
            for user in sorted([JOBS, *args.people])
        }
        passwords = {user: pulumi.Output.secret(each.result) for user, each in made.items()}
        wanted = _wanted(args, passwords)
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": labels(name)},
            string_data={"logins.json": wanted},
            opts=child,
        )
        account = hardening.service_account(name, args.namespace, child, fixed=True)
        pod = {
            **hardening.pod(account),
            "image_pull_secrets": pulls_with(args.server.pull_secret),
            "volumes": [
                {"name": "logins", "secret": {"secret_name": secret.metadata["name"]}},
                hardening.scratch("64Mi"),
                hardening.scratch("64Mi", "home"),
            ],
        }
        common = process(args.server.image, volume=False)
        mount: k8s.core.v1.VolumeMountArgsDict = {
            "name": "logins",
            "mount_path": _FILES,
            "read_only": True,
        }
        container: k8s.core.v1.ContainerArgsDict = {
            **common,
            "name": "logins",
            "command": ["python", _PROGRAM, f"{_FILES}/logins.json"],
            "volume_mounts": [*common["volume_mounts"], mount],
        }
        way = traffic.to(args.server_name, args.namespace)
        traffic.allow(name, namespace=args.namespace, egress=[way], opts=child)
        traffic.admit(args.server_name, namespace=args.namespace, caller=name, opts=child)
        cron_job(
            name,
            namespace=args.namespace,
            labels=labels(name, version=VERSION),
            schedule=_NEVER,
            suspended=True,
            deadline=HOUR // 6,
            pod=pod,
            containers=[container],
            opts=child,
        )
        ran = job(
            name,
            args.server_name,
            args.namespace,
            _digest(args.server.image, wanted),
            pod,
            container,
            # Its address is known when it answers.
            pulumi.ResourceOptions(parent=self, depends_on=[args.server]),
        )
        self.passwords = {user: traffic.once(each, ran) for user, each in passwords.items()}
        self.register_outputs({})


def _wanted(
    args: MlflowLoginsArgs, passwords: Mapping[str, pulumi.Output[str]]
) -> pulumi.Output[str]:
    """What `components/mlflow/logins.py` reads: a user without a role is an administrator."""
    roles = {**args.people, JOBS: JOBS}
    return pulumi.Output.json_dumps(
        {
            "url": args.server.internal_url,
            "admin": {"username": args.server.username, "password": args.server.password},
            "roles": grants(args.models),
            "users": {
                user: {
                    "password": password,
                    "role": None if roles[user] == ADMINISTRATOR else roles[user],
                }
                for user, password in passwords.items()
            },
        },
        sort_keys=True,
    )


def _digest(image: pulumi.Output[str], wanted: pulumi.Output[str]) -> pulumi.Output[str]:
    """Of what the Job does; nobody learns a password of 40 letters from a part of it."""
    both = pulumi.Output.all(image, wanted)
    return pulumi.Output.unsecret(
        both.apply(lambda known: hashlib.sha256(json.dumps(known).encode()).hexdigest()[:12])
    )
