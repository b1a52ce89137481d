"""Making a Job through the cluster's API: what is asked, with whose token, and what a no means."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.watch.jobs import Api, Unavailable, manifest, start
from app.watch.retraining import Reason

REASON = Reason(kind="drift", text="3 of 5 windows drifted", figures={"income": 0.31})
CRONJOB: dict[str, Any] = {
    "metadata": {"name": "loans-train", "namespace": "dev-jobs", "uid": "u-1"},
    "spec": {
        "schedule": "0 3 * * 1",
        "jobTemplate": {
            "metadata": {"labels": {"ferry.dev/model": "loans"}},
            "spec": {
                "backoffLimit": 3,
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/name": "loans-train"}},
                    "spec": {
                        "serviceAccountName": "loans-train",
                        "initContainers": [{"name": "train", "env": [{"name": "A", "value": "1"}]}],
                        "containers": [{"name": "report"}],
                    },
                },
            },
        },
    },
}


@dataclass
class Cluster:
    """An API server with one CronJob, that remembers what it was asked."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)
    refuses: int | None = None
    url: str = ""

    def answer(self, method: str, path: str, token: str, body: bytes) -> tuple[int, Any]:
        self.asked.append((method, path, token))
        if self.refuses:
            return self.refuses, {"message": "no"}
        if method == "GET":
            return 200, CRONJOB
        job = json.loads(body)
        name = job["metadata"]["name"]
        if name in self.made:
            return 409, {"reason": "AlreadyExists"}
        self.made[name] = job
        return 201, job


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers["Authorization"]
            code, document = found.answer(self.command, self.path, token, body)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def api(cluster: Cluster, tmp_path: Path) -> Api:
    (tmp_path / "token").write_text("first\n")
    return Api(url=cluster.url, account=tmp_path)


def test_a_job_is_made_from_its_cronjob_with_the_pods_token(cluster: Cluster, api: Api) -> None:
    assert start(api, "dev-jobs", "loans-train", "loans-retrain-1", REASON)
    jobs = "/apis/batch/v1/namespaces/dev-jobs"
    assert cluster.asked == [
        ("GET", f"{jobs}/cronjobs/loans-train", "Bearer first"),
        ("POST", f"{jobs}/jobs", "Bearer first"),
    ]
    assert list(cluster.made) == ["loans-retrain-1"]


def test_the_same_name_again_makes_no_second_job(cluster: Cluster, api: Api) -> None:
    assert start(api, "dev-jobs", "loans-train", "loans-retrain-1", REASON)
    assert not start(api, "dev-jobs", "loans-train", "loans-retrain-1", REASON)
    assert len(cluster.made) == 1


def test_a_renewed_token_is_the_one_that_is_sent(cluster: Cluster, api: Api) -> None:
    api.get("/x")
    (api.account / "token").write_text("second")
    api.get("/x")
    assert [token for *_, token in cluster.asked] == ["Bearer first", "Bearer second"]


@pytest.mark.parametrize("code", [401, 403, 404, 422, 500])
def test_a_no_is_told_with_the_answer(cluster: Cluster, api: Api, code: int) -> None:
    cluster.refuses = code
    with pytest.raises(
        Unavailable, match=f'GET .*cronjobs/loans-train: {code} {{"message": "no"}}'
    ):
        start(api, "dev-jobs", "loans-train", "loans-retrain-1", REASON)


def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first")
    with pytest.raises(Unavailable, match="GET /x: "):
        Api(url="http://127.0.0.1:1", account=tmp_path).get("/x")


def test_a_server_is_trusted_by_the_pods_own_authority_alone(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first")
    with pytest.raises(Unavailable, match="No such file"):  # it has no ca.crt
        Api(url="https://127.0.0.1:1", account=tmp_path).get("/x")


@pytest.mark.parametrize(("host", "url"), [("10.0.0.1", "10.0.0.1"), ("fd00::1", "[fd00::1]")])
def test_a_pod_knows_its_api_server(monkeypatch: pytest.MonkeyPatch, host: str, url: str) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert Api.of_this_pod().url == f"https://{url}:443"


def test_a_job_is_the_template_with_its_reason_in_every_step() -> None:
    job = manifest(CRONJOB, "loans-retrain-1", REASON)
    template = CRONJOB["spec"]["jobTemplate"]["spec"]
    assert job["metadata"]["labels"] == {"ferry.dev/model": "loans"}
    assert job["metadata"]["annotations"]["ferry.dev/reason"] == "drift: 3 of 5 windows drifted"
    assert job["spec"]["backoffLimit"] == 3
    pod = job["spec"]["template"]
    assert pod["metadata"] == template["template"]["metadata"]
    assert pod["spec"]["serviceAccountName"] == "loans-train"
    given = {"name": "RETRAIN_REASON", "value": json.dumps(REASON.document())}
    (train,), (report,) = pod["spec"]["initContainers"], pod["spec"]["containers"]
    assert train["env"] == [{"name": "A", "value": "1"}, given]
    assert report["env"] == [given]
    assert "RETRAIN_REASON" not in json.dumps(CRONJOB)


def test_a_job_goes_with_its_cronjob_and_asks_for_no_right_to_finalizers() -> None:
    (owner,) = manifest(CRONJOB, "loans-retrain-1", REASON)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("CronJob", "loans-train", "u-1")
    assert owner["controller"] is True
    assert "blockOwnerDeletion" not in owner
