"""What the people of a stack may do: each one's login of MLflow, and groups in Kubernetes."""

import pulumi

from components.mlflow_logins import MlflowLogins, MlflowLoginsArgs
from components.mlflow_server import MlflowServer
from components.people_access import PeopleAccess, PeopleAccessArgs
from infra.foundations import Foundation
from infra.models import with_roads
from infra.settings import Platform


def group(environment: str, part: str) -> str:
    """What Kubernetes calls people of that part: who is in it, whoever logs them in says."""
    return f"ferry:{environment}:{part}s"


def people(platform: Platform, foundation: Foundation, mlflow: MlflowServer) -> MlflowLogins:
    inside = pulumi.ResourceOptions(provider=foundation.cluster)
    PeopleAccess(
        "people",
        PeopleAccessArgs(
            namespaces=foundation.namespaces,
            data_scientists=group(platform.environment, "data-scientist"),
            auditors=group(platform.environment, "auditor"),
        ),
        inside,
    )
    return MlflowLogins(
        "mlflow-logins",
        MlflowLoginsArgs(
            namespace=foundation.namespaces["platform"],
            server_name="mlflow",
            server=mlflow,
            people=platform.people,
            models=list(with_roads(platform.models)),
        ),
        inside,
    )
