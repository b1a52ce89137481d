"""What each component promises, one sentence a test."""

import configparser
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.bucket import Bucket, BucketArgs
from components.model_service import ModelService, ModelServiceArgs
from components.traffic import Gateway
from preview.record import DIGEST, GENERATED
from tests.program.recorder import PINNED, ROOT, Build, Platform, Recorder

GATEWAY = Gateway(class_name="traefik", domain="dev.ferry.test", namespace="traefik")
PARTS = {
    "BucketVersioning",
    "BucketObjectLockConfiguration",
    "BucketServerSideEncryptionConfiguration",
    "BucketPublicAccessBlock",
    "BucketLifecycleConfiguration",
}


SIGNER = "sha256:" + "e" * 64


def bucket(build: Build, **changes: Any) -> Recorder:  # noqa: ANN401
    given: dict[str, Any] = {"keep": False, "lock_days": 90, "passing": ("mlflow/",), **changes}
    return build(lambda: Bucket("ferry-dev", BucketArgs(**given)))


def model(**changes: Any) -> ModelServiceArgs:  # noqa: ANN401
    given: dict[str, Any] = {
        "namespace": "dev-models",
        "gateway": GATEWAY,
        "monitoring": "dev-monitoring",
        "image": f"registry/credit@{DIGEST}",
        "version": 7,
        "weights": DIGEST,
        "signer": SIGNER,
        **changes,
    }
    return ModelServiceArgs(**given)


def serving(build: Build, **changes: Any) -> Recorder:  # noqa: ANN401
    return build(lambda: ModelService("credit", model(**changes)))


def container(seen: Recorder, kind: str, name: str) -> dict[str, Any]:
    (only,) = seen.one(kind, name)["spec"]["template"]["spec"]["containers"]
    return only


def environment(container: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value") for each in container["env"]}


def parts(seen: Recorder) -> set[str]:
    return {each.typ.rpartition(":")[2] for each in seen.resources} & PARTS


# Bucket


def test_a_bucket_of_a_store_that_lacks_nothing_has_every_part(build: Build) -> None:
    seen = bucket(build)
    assert parts(seen) == PARTS
    assert seen.one("BucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    (encryption,) = seen.one("BucketServerSideEncryptionConfiguration")["rules"]
    assert encryption["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "aws:kms"}
    block = seen.one("BucketPublicAccessBlock")
    assert [block[flag] for flag in block if flag != "bucket"] == [True] * 4


@pytest.mark.parametrize(
    ("lack", "part"),
    [
        ("defaultRetention", "BucketObjectLockConfiguration"),
        ("encryption", "BucketServerSideEncryptionConfiguration"),
        ("publicAccessBlock", "BucketPublicAccessBlock"),
        ("lifecycle", "BucketLifecycleConfiguration"),
    ],
)
def test_a_bucket_leaves_out_what_its_store_lacks_and_no_more(
    build: Build, lack: str, part: str
) -> None:
    assert parts(bucket(build, lacks=frozenset({lack}))) == PARTS - {part}


def test_a_bucket_can_be_locked_from_its_first_day(build: Build) -> None:
    (made,) = (
        each.inputs for each in bucket(build).resources if each.typ == "aws:s3/bucket:Bucket"
    )
    assert made["objectLockEnabled"] is True


def test_versions_are_locked_for_the_days_that_the_stack_says(build: Build) -> None:
    rule = bucket(build, lock_days=90).one("BucketObjectLockConfiguration")["rule"]
    assert rule == {"defaultRetention": {"mode": "GOVERNANCE", "days": 90}}


@pytest.mark.parametrize(("lock_days", "days"), [(1, 30), (90, 90)])
def test_old_versions_go_only_where_nothing_pins_them_and_never_before_the_lock(
    build: Build, lock_days: int, days: int
) -> None:
    rules = bucket(build, lock_days=lock_days).one("BucketLifecycleConfiguration")["rules"]
    (expiring,) = (rule for rule in rules if "noncurrentVersionExpiration" in rule)
    assert expiring["filter"] == {"prefix": "mlflow/"}
    assert expiring["noncurrentVersionExpiration"] == {"noncurrentDays": days}
    assert any("abortIncompleteMultipartUpload" in rule for rule in rules)


@pytest.mark.parametrize("keep", [True, False])
def test_only_a_bucket_that_need_not_be_kept_is_emptied(build: Build, keep: bool) -> None:
    (made,) = (
        each.inputs
        for each in bucket(build, keep=keep).resources
        if each.typ == "aws:s3/bucket:Bucket"
    )
    assert made["forceDestroy"] is not keep


def test_no_prefix_that_a_release_pins_may_lose_old_versions() -> None:
    from infra.program import _PASSING

    assert not {"data/", "evidence/", "ledger/", "labels/", "manifests/"} & set(_PASSING)


# Object store and registry


def test_the_store_keeps_objects_and_versions_on_one_volume(platform: Platform) -> None:
    gateway = container(platform("dev", {}), "StatefulSet", "object-store")
    folders = {
        mount["mountPath"]: mount["subPath"]
        for mount in gateway["volumeMounts"]
        if mount["name"] == "data"
    }
    assert folders == {"/data/objects": "objects", "/data/versions": "versions"}
    assert gateway["args"] == ["posix", "/data/objects"]
    assert environment(gateway)["VGW_VERSIONING_DIR"] == "/data/versions"


def test_buckets_are_made_through_the_stores_ingress_in_path_style(platform: Platform) -> None:
    provider = platform("dev", {}).one("aws")
    assert json.loads(provider["endpoints"]) == [{"s3": "http://s3.dev.ferry.test"}]
    assert provider["s3UsePathStyle"] == "true"


def test_the_registry_never_deletes_and_asks_for_a_password(platform: Platform) -> None:
    files = platform("dev", {}).one("Secret", "registry")["stringData"]
    config = json.loads(files["config.yml"])
    assert config["storage"]["delete"] == {"enabled": False}
    assert config["auth"]["htpasswd"]["path"] == "/etc/distribution/htpasswd"
    assert config["http"]["relativeurls"] is True
    assert re.fullmatch(r"ferry:\$2a\$10\$\S+\n", files["htpasswd"])


@pytest.mark.parametrize("workload", ["registry", "mlflow"])
def test_a_volume_with_one_writer_is_never_given_two(platform: Platform, workload: str) -> None:
    spec = platform("dev", {}).one("Deployment", workload)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


@pytest.mark.parametrize(
    ("workload", "callers"),
    [
        (
            "object-store",
            {"traefik", "dev-platform", "dev-jobs", "dev-models", "dev-monitoring"},
        ),
        ("registry", {"traefik", "dev-monitoring"}),
        ("mlflow", {"traefik", "dev-monitoring", "dev-jobs"}),
        ("online-store", {"dev-jobs", "dev-models"}),
        ("credit-default", {"traefik", "dev-monitoring"}),
    ],
)
def test_a_workload_is_reached_by_those_that_use_it(
    platform: Platform, workload: str, callers: set[str]
) -> None:
    policy = platform("dev", PINNED).one("NetworkPolicy", workload)["spec"]
    (rule,) = policy["ingress"]
    assert {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in rule["from"]
    } == callers
    ports = {"online-store": ["redis"], "credit-default": ["http", "grpc"]}.get(workload, ["http"])
    assert rule["ports"] == [{"port": port} for port in ports]
    assert bool(policy["egress"]) is (workload in ("mlflow", "credit-default"))


def test_the_registrys_metrics_are_told_on_a_port_for_those_who_watch_alone(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    config = json.loads(seen.one("Secret", "registry")["stringData"]["config.yml"])
    assert config["http"]["debug"]["prometheus"] == {"enabled": True, "path": "/metrics"}
    (rule,) = seen.one("NetworkPolicy", "registry-debug")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "debug"}]
    (peer,) = rule["from"]
    chosen = peer["namespaceSelector"]["matchLabels"]
    assert chosen == {"kubernetes.io/metadata.name": "dev-monitoring"}


# MLflow


def test_58_mlflow_asks_everybody_for_a_login_and_grants_nothing_by_default(
    platform: Platform,
) -> None:
    seen = platform("dev", {})
    server = container(seen, "Deployment", "mlflow")
    ini = configparser.ConfigParser()
    ini.read_string(seen.one("Secret", "mlflow")["stringData"]["auth.ini"])
    assert server["args"][server["args"].index("--app-name") + 1] == "basic-auth"
    assert environment(server)["MLFLOW_AUTH_CONFIG_PATH"] == "/etc/mlflow/auth.ini"
    assert environment(server)["MLFLOW_BASIC_AUTH_FAIL_CLOSED"] == "true"
    assert ini["mlflow"]["default_permission"] == "NO_PERMISSIONS"
    assert ini["mlflow"]["admin_password"] == f"{GENERATED}mlflow-admin"
    assert ini["mlflow"]["database_uri"] == "sqlite:////data/auth.db"


def test_59_mlflow_answers_to_its_own_names_only_and_runs_no_jobs_or_commands(
    platform: Platform,
) -> None:
    settings = environment(container(platform("dev", {}), "Deployment", "mlflow"))
    hosts = settings["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    assert {host for host in hosts if ":" not in host} == {
        "mlflow.dev.ferry.test",
        "mlflow",
        "mlflow.dev-platform",
        "mlflow.dev-platform.svc",
        "mlflow.dev-platform.svc.cluster.local",
    }
    assert "mlflow.dev.ferry.test:80" in hosts
    assert settings["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].startswith("http://mlflow.dev.ferry.test")
    assert settings["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert settings["MLFLOW_ENABLE_REMOTE_ASSISTANT"] == "false"
    assert settings["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_the_kubelet_calls_mlflow_by_a_name_that_it_answers_to(platform: Platform) -> None:
    server = container(platform("dev", {}), "Deployment", "mlflow")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        (header,) = server[probe]["httpGet"]["httpHeaders"]
        assert header == {"name": "Host", "value": "mlflow.dev.ferry.test"}


def test_mlflow_has_a_minute_or_more_to_start(platform: Platform) -> None:
    probe = container(platform("dev", {}), "Deployment", "mlflow")["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 60


def test_mlflow_is_one_worker_that_keeps_artifacts_in_the_bucket(platform: Platform) -> None:
    arguments = container(platform("dev", {}), "Deployment", "mlflow")["args"]
    pairs = dict(pairwise(arguments))
    assert pairs["--workers"] == "1"
    assert pairs["--artifacts-destination"] == "s3://ferry-dev-a1b2c3d/mlflow"
    assert "--serve-artifacts" in arguments
    assert pairs["--backend-store-uri"] == "sqlite:////data/mlflow.db"


def test_every_image_of_mlflow_upgrades_the_database_in_a_job_of_its_own(
    platform: Platform,
) -> None:
    seen = platform("dev", {})
    job = seen.one("Job", "mlflow-upgrade")
    assert job["metadata"]["name"] == f"mlflow-upgrade-{DIGEST[7:19]}"
    assert container(seen, "Job", "mlflow-upgrade")["args"] == [
        "db",
        "upgrade",
        "sqlite:////data/mlflow.db",
    ]
    order = [f"{each.typ.rpartition(':')[2]} {each.name}" for each in seen.resources]
    assert order.index("Job mlflow-upgrade") < order.index("Deployment mlflow")


def test_no_job_takes_a_request_meant_for_the_server(platform: Platform) -> None:
    seen = platform("dev", {})
    taken = seen.one("Service", "mlflow")["spec"]["selector"].items()
    for job in seen.of("Job"):
        assert not taken <= job["spec"]["template"]["metadata"]["labels"].items()


def test_60_the_image_holds_the_version_that_the_component_names() -> None:
    from components.mlflow_image import VERSION

    requirements = (ROOT / "components/mlflow/requirements.txt").read_text()
    names = re.findall(r"^([a-z0-9-]+)(?:\[\w+\])?==(\S+) \\$", requirements, flags=re.M)
    assert ("mlflow", VERSION) in names
    assert requirements.count("--hash=sha256:") >= len(names) > 50


def test_62_the_image_runs_as_nobody_and_takes_only_hashed_packages() -> None:
    dockerfile = (ROOT / "components/mlflow/Dockerfile").read_text()
    assert "USER 10001:10001" in dockerfile
    assert "--require-hashes" in dockerfile
    assert not re.search(r"^ADD |sudo|--trusted-host|:latest", dockerfile, flags=re.M)


def test_a_build_is_the_same_from_every_checkout(platform: Platform) -> None:
    contexts = [image["build"]["context"] for image in platform("dev", {}).of("Image")]
    assert len(contexts) == 2
    assert not any(Path(context).is_absolute() for context in contexts)


# Model service


def test_the_number_of_replicas_is_the_autoscalers(build: Build) -> None:
    seen = serving(build, minimum=2, maximum=5, cpu_percent=60)
    assert "replicas" not in seen.one("Deployment")["spec"]
    scaler = seen.one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["metrics"][0]["resource"]["target"]["averageUtilization"] == 60


def test_no_replica_goes_before_its_successor_is_ready(build: Build) -> None:
    spec = serving(build).one("Deployment")["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_leaving_replica_still_serves_until_every_proxy_knows(build: Build) -> None:
    spec = serving(build).one("Deployment")["spec"]["template"]["spec"]
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 0 < pause < spec["terminationGracePeriodSeconds"]


def test_a_replica_is_ready_only_when_the_model_is(build: Build) -> None:
    it = container(serving(build), "Deployment", "credit")
    paths = {
        probe: it[f"{probe}Probe"]["httpGet"]["path"]
        for probe in ("startup", "readiness", "liveness")
    }
    assert paths == {
        "startup": "/v2/health/ready",
        "readiness": "/v2/health/ready",
        "liveness": "/v2/health/live",
    }


def test_a_replica_is_told_what_it_must_find_in_its_image(build: Build) -> None:
    assert environment(container(serving(build), "Deployment", "credit")) == {
        "MODEL_NAME": "credit",
        "MODEL_VERSION": "7",
        "MODEL_WEIGHTS": DIGEST,
        "MODEL_SIGNER": SIGNER,
    }


def test_every_object_of_a_release_names_it(build: Build) -> None:
    deployment = serving(build).one("Deployment")
    for labels in (
        deployment["metadata"]["labels"],
        deployment["spec"]["template"]["metadata"]["labels"],
    ):
        assert labels["ferry.dev/model"] == "credit"
        assert labels["ferry.dev/release"] == "credit-7"
        assert labels["app.kubernetes.io/version"] == "7"
    assert "7" not in deployment["spec"]["selector"]["matchLabels"].values()


def test_replicas_spread_where_they_can_and_start_where_they_cannot(build: Build) -> None:
    spread = serving(build).one("Deployment")["spec"]["template"]["spec"]
    rules = spread["topologySpreadConstraints"]
    assert {rule["topologyKey"].partition("/")[2] for rule in rules} == {"hostname", "zone"}
    assert {rule["whenUnsatisfiable"] for rule in rules} == {"ScheduleAnyway"}


@pytest.mark.parametrize(("minimum", "budgets"), [(1, 0), (2, 1)])
def test_a_budget_is_there_when_a_replica_can_be_spared(
    build: Build, minimum: int, budgets: int
) -> None:
    assert len(serving(build, minimum=minimum).of("PodDisruptionBudget")) == budgets


@pytest.mark.parametrize(("gpu", "limit"), [(0, None), (2, "2")])
def test_a_gpu_is_there_only_when_asked_for(build: Build, gpu: int, limit: str | None) -> None:
    it = container(serving(build, gpu=gpu), "Deployment", "credit")
    assert it["resources"]["limits"].get("nvidia.com/gpu") == limit


@pytest.mark.parametrize(("cpu", "limit"), [("250m", "1000m"), ("2", "8000m"), ("0.5", "2000m")])
def test_a_replica_may_use_more_cpu_than_it_asks_for(build: Build, cpu: str, limit: str) -> None:
    resources = container(serving(build, cpu=cpu), "Deployment", "credit")["resources"]
    assert (resources["requests"]["cpu"], resources["limits"]["cpu"]) == (cpu, limit)


def test_the_url_is_the_models_name_under_the_domain(build: Build) -> None:
    def program() -> None:
        made = ModelService("credit", model())
        pulumi.export("url", made.url)
        pulumi.export("rollout", made.rollout)

    assert build(program).outputs == {
        "url": "http://credit.dev.ferry.test",
        "rollout": "credit",
    }


def test_grpc_has_a_host_of_its_own_that_leads_to_the_same_pods(build: Build) -> None:
    seen = serving(build)
    service = seen.one("Service", "credit-grpc")
    (port,) = service["spec"]["ports"]
    assert (port["name"], port["targetPort"], port["appProtocol"]) == (
        *("grpc", "grpc"),
        "kubernetes.io/h2c",
    )
    assert service["metadata"]["annotations"] == {
        "traefik.ingress.kubernetes.io/service.serversscheme": "h2c"
    }
    assert service["spec"]["selector"] == seen.one("Service", "credit")["spec"]["selector"]
    ingress = seen.one("Ingress", "credit-grpc")
    (rule,) = ingress["spec"]["rules"]
    assert rule["host"] == "credit-grpc.dev.ferry.test"
    (rest,) = seen.one("Ingress", "credit")["spec"]["rules"]
    assert rest["http"]["paths"][0]["backend"]["service"]["port"] == {"name": "http"}
    assert "annotations" not in seen.one("Service", "credit")["metadata"]


def test_both_protocols_are_open_to_those_that_may_call(build: Build) -> None:
    (rule,) = serving(build).one("NetworkPolicy", "credit")["spec"]["ingress"]
    assert [each["port"] for each in rule["ports"]] == ["http", "grpc"]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3, 2)])
def test_impossible_bounds_are_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="minimum <= maximum"):
        model(minimum=low, maximum=high)


def test_an_image_by_tag_is_refused() -> None:
    with pytest.raises(ValueError, match="by digest"):
        model(image="registry/credit:7")
