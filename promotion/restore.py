"""Restore: a copy of MLflow's databases takes the place of those that a stack has."""

from collections.abc import Callable
from datetime import datetime

from requests import RequestException, get
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from promotion import aliases, backups, evidence
from promotion.backups import Backup, Version
from promotion.cluster import Cluster
from promotion.models import ModelRegistry
from promotion.promote import origin_of
from promotion.refusals import DependencyDown, GateRefused, UsageRefused
from promotion.stack import Stack, all_in

_SERVER, _JOB, _LOGINS = "mlflow", "mlflow-restore", "mlflow-logins"
_PATIENCE = 120  # seconds for the server to answer, once its pod is ready


def restore(stack: Stack, at: datetime | None, say: Callable[[str], None]) -> Backup:
    """Put back the newest copy that will do; see `backups.chosen`.

    The server is stopped meanwhile. A call that was killed can be made again: each step finds
    what the last call did. Raises `GateRefused` where nothing can be put back, or where a pinned
    version is missing afterwards.
    """
    if stack.settings.platform.mlflow.database == "rds":
        raise UsageRefused(
            f"{stack.file.name} keeps MLflow's databases in RDS, which goes back to any second of "
            "the last 35 days by its own means: docs/backup.md has the steps"
        )
    if stack.settings.platform.backup is None:
        raise UsageRefused(
            f"{stack.file.name} has no ferry:platform.backup, and so no job that puts one back: "
            "set it, `pulumi up`, and run this again"
        )
    above = [each for each in all_in(stack.directory) if origin_of(each).name == stack.name]
    wanted = frozenset(
        (model, pin.version) for each in above for model, pin in each.settings.pins.items()
    )
    bucket = stack.bucket()
    backup = backups.chosen(
        backups.listed(bucket),
        lambda key: evidence.read(bucket, key),
        at=at,
        wanted=wanted,
        say=say,
    )
    cluster = Cluster(stack)
    job = cluster.template(_JOB, f"{_JOB}-asked", BACKUP_KEY=backup.key)
    say(f"putting back {backup.key}; MLflow of {stack.name} stops meanwhile")
    cluster.stop(_SERVER)
    try:
        cluster.finish(job)
    except GateRefused:
        cluster.start(_SERVER)  # nothing was touched
        raise
    except DependencyDown as error:
        raise DependencyDown(
            f"{error}; MLflow stays stopped, since its databases may be half put back: "
            "run `ferry restore` again"
        ) from error
    cluster.start(_SERVER)
    _answers(f"{stack.outputs.mlflow.url}/health")
    # Users of the copy are those of its day.
    cluster.finish(cluster.template(_LOGINS, f"{_LOGINS}-asked"))
    for each in above:
        aliases.mirror(each, say)
    _registered(stack, wanted)
    return backup


def _answers(url: str) -> None:
    again = Retrying(
        retry=retry_if_result(lambda well: not well),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_fixed(1),
        retry_error_callback=lambda state: False,
    )
    if not again(_well, url):
        raise DependencyDown(f"{url} does not answer {_PATIENCE} s after its pod was ready")


def _well(url: str) -> bool:
    try:
        return get(url, timeout=10).ok
    except RequestException:
        return False


def _registered(stack: Stack, wanted: frozenset[Version]) -> None:
    if not wanted:
        return
    registry = ModelRegistry(stack)
    missing = []
    for model, version in sorted(wanted):
        try:
            registry.version(model, version)
        except GateRefused as refusal:
            missing.append(str(refusal))
    if missing:
        raise GateRefused(
            "\n".join([*missing, "the backup was put back; it is older than what is pinned"])
        )
