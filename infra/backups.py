"""The copies of MLflow's databases in the stack's bucket, where the stack file wants them."""

import pulumi

from components.bucket_access import BucketAccess
from components.mlflow_backup import MlflowBackup, MlflowBackupArgs
from components.mlflow_container import ArtifactStore
from components.mlflow_server import MlflowServer
from infra import accounts
from infra.foundations import Foundation, Store
from infra.settings import Platform


def backups(
    platform: Platform, foundation: Foundation, bucket: BucketAccess, mlflow: MlflowServer
) -> None:
    """The Job that takes copies on a schedule, and the template of the one that puts one back."""
    if platform.backup is None:
        return
    MlflowBackup(
        "mlflow-backup",
        MlflowBackupArgs(
            namespace=foundation.namespaces["platform"],
            server=mlflow,
            bucket=artifacts(foundation.store, bucket, accounts.BACKUP),
            schedule=platform.backup.schedule,
            lock_days=platform.data.lock_days,
        ),
        pulumi.ResourceOptions(provider=foundation.cluster),
    )


def artifacts(store: Store, bucket: BucketAccess, account: str) -> ArtifactStore:
    """The bucket, as one account reaches it from inside the cluster."""
    return ArtifactStore(
        bucket=bucket.bucket,
        endpoint=store.internal_endpoint,
        region=store.region,
        keys=store.accounts.get(account),
        ways=store.ways,
    )
