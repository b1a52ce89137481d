"""The accounts of the object store: what each part of the platform may do, prefix by prefix."""

from collections.abc import Iterator

from components.bucket_access import Grant
from infra.models import with_roads
from infra.settings import Platform

MLFLOW = "mlflow"
JOBS = "jobs"
BACKUP = "backup"

_LIST = ("s3:ListBucket",)
_READ = ("s3:GetObject", "s3:GetObjectVersion")
_WRITE = ("s3:PutObject",)
_BOTH = (*_READ, *_WRITE)


def server(model: str) -> str:
    """The account of a model's servers."""
    return f"server-{model}"


def watch(model: str) -> str:
    """The account of a model's watch."""
    return f"watch-{model}"


def accounts(platform: Platform) -> list[str]:
    """Every account of a stack, beside the root's."""
    return list(dict.fromkeys(grant.account for grant in grants(platform)))


def grants(platform: Platform) -> list[Grant]:
    """What the accounts may do.

    Nobody but the root writes below `evidence/` and `ledger/`, or deletes anything but artifacts of
    MLflow's. Whoever may list sees all keys: to everybody else S3 says 403 of what is not there.
    """
    models = list(with_roads(platform.models))
    found = list(_mlflow())
    if platform.backup is not None:
        # It lists none: which one is put back, whoever restores tells it.
        actions = (*_BOTH, "s3:PutObjectRetention")
        found.append(Grant(account=BACKUP, prefix="backups/mlflow/", actions=actions))
    if models:
        found += _jobs()
    for model in models:
        found += [*_server(model), *_watch(model)]
    return found


def _mlflow() -> Iterator[Grant]:
    parts = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
    yield Grant(account=MLFLOW, prefix=None, actions=_LIST)
    yield Grant(account=MLFLOW, prefix="mlflow/", actions=(*_BOTH, "s3:DeleteObject", *parts))


def _jobs() -> Iterator[Grant]:
    yield Grant(account=JOBS, prefix=None, actions=_LIST)
    # What is written once is locked by its writer.
    yield Grant(account=JOBS, prefix="data/", actions=(*_BOTH, "s3:PutObjectRetention"))
    yield Grant(account=JOBS, prefix="manifests/", actions=_BOTH)
    yield Grant(account=JOBS, prefix="validations/", actions=_BOTH)
    yield Grant(account=JOBS, prefix="quarantine/", actions=_WRITE)
    yield Grant(account=JOBS, prefix="signals/retrain/", actions=_WRITE)
    yield Grant(account=JOBS, prefix="reports/", actions=_BOTH)


def _server(model: str) -> Iterator[Grant]:
    yield Grant(account=server(model), prefix=f"requests/{model}/", actions=_WRITE)


def _watch(model: str) -> Iterator[Grant]:
    account = watch(model)
    yield Grant(account=account, prefix=None, actions=_LIST)
    for prefix, actions in {
        f"evidence/{model}/": _READ,
        f"requests/{model}/": _READ,
        f"labels/{model}/": _BOTH,
        f"reports/drift/{model}/": _BOTH,
        f"reports/retraining/{model}/": _READ,
        "signals/retrain/": _READ,
        f"signals/retraining/{model}/": _BOTH,
    }.items():
        yield Grant(account=account, prefix=prefix, actions=actions)
