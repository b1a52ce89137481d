"""The road's jobs and the online store: what runs when, with what, and what it may reach."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.config import set_all_config
from ruamel.yaml import YAML

from infra.program import main
from preview.record import DIGEST, GENERATED, concealed
from tests.program.recorder import (
    PIN,
    PINNED,
    ROOT,
    Build,
    Platform,
    Recorder,
)

MODEL = "credit-default"
ADDRESS = "online-store.dev-platform.svc:6379"
JOBS = ["ingest", "train", "batch"]


def job(seen: Recorder, name: str) -> dict[str, Any]:
    return seen.one("CronJob", f"{MODEL}-{name}")["spec"]


def pod(seen: Recorder, name: str) -> dict[str, Any]:
    return job(seen, name)["jobTemplate"]["spec"]["template"]["spec"]


def steps(seen: Recorder, name: str) -> list[dict[str, Any]]:
    """A job's containers in the order in which they run."""
    return [*pod(seen, name)["initContainers"], *pod(seen, name)["containers"]]


def without_road(build: Build) -> Recorder:
    config = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    del config["ferry:platform"]["models"][MODEL]["road"]
    config["ferry:pins"] = PINNED
    set_all_config({key: json.dumps(value) for key, value in config.items()})
    return build(main, "dev")


# Jobs


def test_the_ingest_runs_daily_the_retraining_weekly_and_the_batch_is_a_template(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    assert {name: (job(seen, name)["suspend"], job(seen, name)["schedule"]) for name in JOBS} == {
        "ingest": (False, "0 2 * * *"),
        "train": (False, "0 3 * * 1"),
        "batch": (True, "0 2 * * *"),
    }
    assert {job(seen, name)["timeZone"] for name in JOBS} == {"Etc/UTC"}


def test_the_ingest_takes_a_day_in_checks_just_that_and_makes_features_of_it(
    platform: Platform,
) -> None:
    ingest, *rest = steps(platform("dev", PINNED), "ingest")
    assert ingest["command"][:2] == ["sh", "-c"]
    assert ingest["command"][3] == MODEL
    assert ingest["command"][2].startswith('python -m app.ingest --model "$0" ')
    assert "--json > /tmp/snapshot.json" in ingest["command"][2]
    assert [each["command"] for each in rest] == [
        ["python", "-m", "app.validate", "--model", MODEL, "--snapshot", "/tmp/snapshot.json"],
        ["python", "-m", "app.features", "--model", MODEL],
    ]


def test_the_retraining_walks_the_road_to_a_registered_version_and_its_report(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    walked = steps(seen, "train")
    assert [each["name"] for each in walked] == [
        *("ingest", "validate", "features", "train", "register", "report"),
    ]
    assert walked[0]["command"] == steps(seen, "ingest")[0]["command"]
    assert walked[3]["command"] == ["python", "-m", "app.train", "--model", MODEL]
    assert walked[5]["command"] == [
        *("python", "-m", "app.challenge", "--model", MODEL),
        *("--registered", "/tmp/version.json"),
    ]


@pytest.mark.parametrize(
    ("step", "code", "ends"),
    [("validate", 0, 0), ("validate", 3, 0), ("validate", 5, 1), ("register", 3, 3)],
)
def test_a_refused_day_does_not_end_a_retraining_and_anything_else_does(
    platform: Platform, tmp_path: Path, step: str, code: int, ends: int
) -> None:
    (tmp_path / "python").write_text(f"#!/bin/sh\nexit {code}\n")
    (tmp_path / "python").chmod(0o755)
    (found,) = (each for each in steps(platform("dev", PINNED), "train") if each["name"] == step)
    command = [part.replace("/tmp/", f"{tmp_path}/") for part in found["command"]]
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(command, env=variables, check=False).returncode == ends


def test_a_step_knows_its_job_by_name(platform: Platform) -> None:
    for step in steps(platform("dev", PINNED), "train"):
        (given,) = (each for each in step["env"] if each["name"] == "JOB_NAME")
        path = given["valueFrom"]["fieldRef"]["fieldPath"]
        assert path == "metadata.labels['batch.kubernetes.io/job-name']"


def test_the_batch_scores_with_the_pinned_run_and_weights(platform: Platform) -> None:
    (batch,) = steps(platform("dev", PINNED), "batch")
    assert batch["command"][-4:] == ["--run", PIN["run"], "--weights", PIN["weights"]]


def test_a_model_that_is_not_pinned_yet_has_its_road_but_nothing_to_score_with(
    platform: Platform,
) -> None:
    names = {each["metadata"]["name"] for each in platform("dev", {}).of("CronJob")}
    assert {each for each in names if each.startswith(MODEL)} == {
        f"{MODEL}-ingest",
        f"{MODEL}-train",
    }


def test_without_a_road_there_are_no_jobs_no_image_for_them_and_no_online_store(
    build: Build,
) -> None:
    seen = without_road(build)
    names = {each["metadata"]["name"] for each in seen.of("CronJob")}
    assert names == {"mlflow-backup", "mlflow-restore", "mlflow-logins"}
    assert len(seen.of("Image")) == 1
    assert not any("online-store" in json.dumps(each.inputs) for each in seen.resources)
    policy = seen.one("NetworkPolicy", MODEL)["spec"]
    assert policy["egress"] == []


@pytest.mark.parametrize("name", JOBS)
def test_a_job_runs_once_at_a_time_ends_and_is_cleared_away(platform: Platform, name: str) -> None:
    spec = job(platform("dev", PINNED), name)
    template = spec["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] >= 600
    assert spec["successfulJobsHistoryLimit"] > 0
    assert spec["failedJobsHistoryLimit"] > 0
    assert 0 < template["backoffLimit"] <= 5
    assert template["activeDeadlineSeconds"] <= 24 * 3600
    # A failure on Friday evening is still there on Monday.
    assert template["ttlSecondsAfterFinished"] >= 3 * 24 * 3600


@pytest.mark.parametrize("name", JOBS)
def test_a_refusal_ends_the_job_and_an_outage_is_tried_again(platform: Platform, name: str) -> None:
    template = job(platform("dev", PINNED), name)["jobTemplate"]["spec"]
    (rule,) = template["podFailurePolicy"]["rules"]
    assert rule == {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [2, 3]}}
    assert template["template"]["spec"]["restartPolicy"] == "Never"


def test_all_steps_of_all_jobs_run_the_one_image_that_was_pushed(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    images = {each["image"] for name in JOBS for each in steps(seen, name)}
    assert images == {f"registry.dev.ferry.test/jobs@{DIGEST}"}


def test_every_step_has_the_variables_of_ferry_exec_and_those_of_the_features(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    content = seen.one("Secret", "jobs-connection")["stringData"]
    for name in JOBS:
        for step in steps(seen, name):
            hidden = {
                each["name"]: each["valueFrom"]["secretKeyRef"]
                for each in step["env"]
                if "secretKeyRef" in each.get("valueFrom", ())
            }
            assert {key: ref["key"] for key, ref in hidden.items()} == {key: key for key in content}
            assert {ref["name"] for ref in hidden.values()} == {"jobs-connection-auto"}
            assert {e["name"]: e["value"] for e in step["env"] if "value" in e} == {
                "MLFLOW_TRACKING_URI": "http://mlflow.dev-platform.svc",
                "MLFLOW_TRACKING_USERNAME": "jobs",
                "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
                "AWS_ENDPOINT_URL_S3": "http://object-store.dev-platform.svc",
                "AWS_REGION": "us-east-1",
                "FERRY_BUCKET": "ferry-dev-a1b2c3d",
                "FERRY_STACK": "dev",
                "FERRY_REGISTRY": "http://registry.dev.ferry.test",
                "FERRY_LOCK_DAYS": "1",
                "FERRY_STATE": "/registry",
                "FEATURE_REGISTRY": "sqlite:////registry/features.db",
            }
    assert content == {
        "MLFLOW_TRACKING_PASSWORD": f"{GENERATED}mlflow-logins-jobs",
        "AWS_ACCESS_KEY_ID": "id-object-store-jobs-access",
        "AWS_SECRET_ACCESS_KEY": f"{GENERATED}object-store-jobs-secret",
        "ONLINE_STORE": f"{ADDRESS},password={GENERATED}online-store-login",
    }


def test_all_jobs_share_the_feature_registry_and_have_scratch_of_their_own(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    for name in JOBS:
        volumes = {each["name"]: each for each in pod(seen, name)["volumes"]}
        claim = volumes["registry"]["persistentVolumeClaim"]
        assert claim == {"claimName": "feature-registry-auto"}
        assert "emptyDir" in volumes["tmp"]
        for step in steps(seen, name):
            places = {mount["name"]: mount["mountPath"] for mount in step["volumeMounts"]}
            assert places == {"registry": "/registry", "tmp": "/tmp"}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_reaches_the_store_mlflow_and_the_online_store_and_nobody_reaches_it(
    platform: Platform, name: str
) -> None:
    seen = platform("dev", PINNED)
    policy = seen.one("NetworkPolicy", f"{MODEL}-{name}")["spec"]
    labels = job(seen, name)["jobTemplate"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []
    assert _ways_out(policy) == {
        ("dev-platform", "object-store", "http"),
        ("dev-platform", "mlflow", "http"),
        ("dev-platform", "online-store", "redis"),
    }


def test_each_job_has_an_account_of_its_own(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    accounts = [pod(seen, name)["serviceAccountName"] for name in JOBS]
    assert len(set(accounts)) == len(JOBS)


@pytest.mark.parametrize(
    ("day", "given"), [(None, []), ("", []), ("2016-03-31", ["--day", "2016-03-31"])]
)
def test_a_job_for_another_day_says_so_in_a_variable(
    platform: Platform, tmp_path: Path, day: str | None, given: list[str]
) -> None:
    (tmp_path / "python").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "python").chmod(0o755)
    ingest, *_ = steps(platform("dev", PINNED), "ingest")
    command = [part.replace("/tmp/", f"{tmp_path}/") for part in ingest["command"]]
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"} | ({} if day is None else {"DAY": day})
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-m", "app.ingest", "--model", MODEL, *given, "--json"]


def test_an_ingest_that_is_refused_says_so_to_the_cluster(
    platform: Platform, tmp_path: Path
) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "python").chmod(0o755)
    ingest, *_ = steps(platform("dev", PINNED), "ingest")
    command = [part.replace("/tmp/", f"{tmp_path}/") for part in ingest["command"]]
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    assert subprocess.run(command, env=variables, check=False).returncode == 3


# Online store


def test_the_online_store_knows_its_password_by_a_hash_and_asks_everybody_for_it(
    platform: Platform,
) -> None:
    files = platform("dev", PINNED).one("Secret", "online-store")["stringData"]
    users = dict(line.split(" ", 2)[1:] for line in files["users.acl"].splitlines())
    digest = hashlib.sha256(f"{GENERATED}online-store-login".encode()).hexdigest()
    assert set(users) == {"default", "probe"}
    assert users["default"].startswith(f"on #{digest} ")
    assert {"-@admin", "-@dangerous"} <= set(users["default"].split())
    assert users["probe"] == "on nopass -@all +ping"
    assert "aclfile /etc/redis/users.acl" in files["redis.conf"]
    assert GENERATED not in json.dumps(files)


def test_the_online_store_keeps_its_rows_on_a_volume_and_never_drops_one_silently(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    config = seen.one("Secret", "online-store")["stringData"]["redis.conf"].splitlines()
    assert {"dir /data", "appendonly yes", "maxmemory-policy noeviction"} <= set(config)
    spec = seen.one("StatefulSet", "online-store")["spec"]
    (redis,) = spec["template"]["spec"]["containers"]
    assert {"name": "data", "mountPath": "/data"} in redis["volumeMounts"]
    assert redis["image"] == "docker.io/library/redis:7.0.15"


def test_a_server_finds_the_online_store_in_a_secret_and_may_go_there(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    spec = seen.one("Deployment", MODEL)["spec"]["template"]["spec"]
    (given,) = (each for each in spec["containers"][0]["env"] if each["name"] == "ONLINE_STORE")
    assert given["valueFrom"] == {
        "secretKeyRef": {"name": "online-store-connection-auto", "key": "connection"}
    }
    secret = seen.one("Secret", "online-store-connection")
    assert secret["metadata"]["namespace"] == "dev-models"
    assert secret["stringData"] == {
        "connection": f"{ADDRESS},password={GENERATED}online-store-login"
    }
    policy = seen.one("NetworkPolicy", MODEL)["spec"]
    assert ("dev-platform", "online-store", "redis") in _ways_out(policy)


def test_a_pinned_model_without_a_road_is_told_of_no_online_store(platform: Platform) -> None:
    seen = platform("dev", {**PINNED, "other": PIN})
    (container,) = seen.one("Deployment", "other")["spec"]["template"]["spec"]["containers"]
    assert "ONLINE_STORE" not in {each["name"] for each in container["env"]}
    assert seen.one("NetworkPolicy", "other")["spec"]["egress"] == []


def test_the_password_is_in_clear_in_no_pod(platform: Platform) -> None:
    for each in platform("dev", PINNED).resources:
        assert f"{GENERATED}online-store" not in json.dumps(concealed(each.inputs)), each.name


def _ways_out(policy: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Namespace, workload and port of each."""
    found = set()
    for rule in policy["egress"]:
        (peer,), (port,) = rule["to"], rule["ports"]
        namespace = peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        found.add((namespace, peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
                   port["port"]))  # fmt: skip
    return found
