"""The watch before a real API server, with the rights that the program gives it and no others."""

from pathlib import Path
from typing import Any

import pytest

from app.watch.jobs import Api, Unavailable, start
from app.watch.retraining import Reason
from infra.settings import parse
from lab.rehearsal.control_plane import ControlPlane
from lab.standins.kubernetes import kubeconfig
from lab.standins.kubernetes.client import Client
from preview.reach import pins
from preview.record import record

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
NAMESPACE, MODEL = "dev-jobs", "credit-default"
WATCH, TRAIN = f"{MODEL}-watch", f"{MODEL}-train"
JOB = f"{MODEL}-retrain-1"
REASON = Reason(kind="drift", text="2 of the last 3 windows drifted", figures={"rows": 900})
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"


@pytest.fixture(scope="module")
def cluster(plane: ControlPlane) -> Client:
    """The API with what the program makes of the watch, and of the Job it may start."""
    api = Client(kubeconfig.load(str(plane.kubeconfig), None))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    api.create(space, "test", dry_run=False)
    settings = parse((ROOT / "Pulumi.dev.yaml").read_text(), stack="dev")
    wanted = {
        *((kind, WATCH) for kind in ("ServiceAccount", "Role", "RoleBinding")),
        *(("ServiceAccount", TRAIN), ("CronJob", TRAIN)),
    }
    made = set()
    for each in record("dev", ROOT, pins=pins(settings)):
        kind = each["type"].rpartition(":")[2]
        if (kind, each["name"]) in wanted:
            described = {"name": f"{each['name']}-auto", **each["props"]["metadata"]}
            manifest = _whole({**each["props"], "metadata": described})
            api.create(manifest, "test", dry_run=False)
            made.add((kind, each["name"]))
    assert made == wanted
    return api


@pytest.fixture(scope="module")
def watch(cluster: Client, plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The API as the watch's own token opens it."""
    folder = tmp_path_factory.mktemp("account")
    asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{WATCH}/token"
    (folder / "token").write_text(cluster.request("POST", path, None, asked)["status"]["token"])
    (folder / "ca.crt").write_text((plane.kubeconfig.parent / "apiserver.crt").read_text())
    return Api(url=plane.server, account=folder)


def test_the_watch_starts_the_retraining_once(cluster: Client, watch: Api) -> None:
    assert start(watch, NAMESPACE, TRAIN, JOB, REASON)
    assert not start(watch, NAMESPACE, TRAIN, JOB, REASON)
    job = cluster.request("GET", f"{JOBS}/{JOB}")
    assert job["metadata"]["annotations"]["ferry.dev/reason"] == f"drift: {REASON.text}"
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("CronJob", TRAIN)
    steps = job["spec"]["template"]["spec"]
    for step in (*steps["initContainers"], *steps["containers"]):
        assert "RETRAIN_REASON" in {each["name"] for each in step["env"]}
        named = next(each for each in step["env"] if each["name"] == "JOB_NAME")
        assert "job-name" in named["valueFrom"]["fieldRef"]["fieldPath"]


@pytest.mark.parametrize(
    "path",
    [
        JOBS,
        f"{JOBS}/{JOB}",
        f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs",
        f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs/{MODEL}-ingest",
        f"/api/v1/namespaces/{NAMESPACE}/secrets",
        f"/api/v1/namespaces/{NAMESPACE}/pods",
        f"/apis/batch/v1/namespaces/default/cronjobs/{TRAIN}",
    ],
)
def test_the_watch_reads_nothing_else(watch: Api, path: str) -> None:
    with pytest.raises(Unavailable, match=": 403 "):
        watch.get(path)


@pytest.mark.parametrize(
    ("path", "kind", "version"),
    [
        (f"/api/v1/namespaces/{NAMESPACE}/pods", "Pod", "v1"),
        (f"/apis/batch/v1/namespaces/{NAMESPACE}/cronjobs", "CronJob", "batch/v1"),
        ("/apis/batch/v1/namespaces/default/jobs", "Job", "batch/v1"),
    ],
)
def test_the_watch_makes_nothing_else(watch: Api, path: str, kind: str, version: str) -> None:
    manifest: dict[str, Any] = {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}}
    with pytest.raises(Unavailable, match=": 403 "):
        watch.create(path, manifest)


def test_a_stranger_is_told_to_go_away(watch: Api, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("made-up")
    (tmp_path / "ca.crt").write_text((watch.account / "ca.crt").read_text())
    with pytest.raises(Unavailable, match=": 401 "):
        Api(url=watch.url, account=tmp_path).get(JOBS)


def _whole(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """As the engine's providers send it: on the wire it has no whole numbers."""
    match value:
        case dict():
            return {name: _whole(each) for name, each in value.items() if each is not None}
        case list():
            return [_whole(each) for each in value]
        case float() if value.is_integer():
            return int(value)
    return value
