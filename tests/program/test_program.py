"""The whole program, for the stack files as they are."""

import json
from collections import Counter

import pulumi
import pytest
from pulumi.runtime.config import set_all_config

from infra.outputs import StackOutputs, credentials
from infra.program import main
from preview.record import DIGEST, GENERATED, concealed
from tests.program.recorder import (
    PIN,
    PINNED,
    Build,
    Platform,
    Recorder,
)

STACKS = ["dev", "prod"]
COMPONENTS = Counter(
    {
        "ferry:cluster:Namespace": 4,
        "ferry:storage:ObjectStore": 1,
        "ferry:storage:Bucket": 1,
        "ferry:storage:BucketAccess": 1,
        "ferry:images:Registry": 1,
        "ferry:tracking:MlflowServer": 1,
        "ferry:tracking:MlflowBackup": 1,
        "ferry:tracking:MlflowLogins": 1,
        "ferry:cluster:PeopleAccess": 1,
        "ferry:features:OnlineStore": 1,
        "ferry:jobs:ModelJobs": 1,
        **dict.fromkeys(
            (
                "ferry:monitoring:Monitoring",
                "ferry:monitoring:PrometheusOperator",
                "ferry:monitoring:Prometheus",
                "ferry:monitoring:Alertmanager",
                "ferry:monitoring:NodeExporter",
                "ferry:monitoring:BlackboxExporter",
                "ferry:monitoring:KubeStateMetrics",
            ),
            1,
        ),
    }
)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("pins", [{}, PINNED], ids=["platform only", "pinned"])
def test_a_stack_is_the_platform_and_a_service_and_a_watch_for_each_pin(
    platform: Platform, stack: str, pins: dict
) -> None:
    seen = platform(stack, pins)
    components = Counter(each.typ for each in seen.resources if each.typ.startswith("ferry:"))
    for_each = ("ferry:serving:ModelService", "ferry:watch:ModelWatch")
    assert components == COMPONENTS + Counter(dict.fromkeys(for_each, len(pins)))


@pytest.mark.parametrize("stack", STACKS)
def test_what_a_killed_update_made_is_taken_over_by_the_next(
    platform: Platform, stack: str
) -> None:
    seen = platform(stack, PINNED)
    kinds = (
        *("Deployment", "StatefulSet", "CronJob"),
        *("HorizontalPodAutoscaler", "PodDisruptionBudget"),
    )
    unnamed = [
        each.name
        for each in seen.resources
        if each.typ.endswith(kinds) and each.inputs["metadata"].get("name") != each.name
    ]
    assert unnamed == []
    provider = next(each for each in seen.resources if each.typ == "pulumi:providers:kubernetes")
    assert provider.inputs["upsertExistingObjects"] in (True, "true")


@pytest.mark.parametrize("stack", STACKS)
def test_namespaces_are_named_by_environment_and_role(platform: Platform, stack: str) -> None:
    names = {
        each["metadata"]["name"]
        for each in platform(stack, {}).of("Namespace")
        if "metadata" in each
    }
    assert names == {f"{stack}-{role}" for role in ("platform", "monitoring", "models", "jobs")}


def test_a_pinned_model_is_served_by_the_digest_of_its_pin(platform: Platform) -> None:
    pod = platform("dev", PINNED).one("Deployment", "credit-default")["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == (
        f"registry.dev.ferry.test/credit-default@{PIN['image']}"
    )


def test_a_pin_without_settings_is_served_with_the_defaults(platform: Platform) -> None:
    scaling = platform("dev", {"other": PIN}).one("HorizontalPodAutoscaler", "other")["spec"]
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (2, 4)


def test_a_model_is_scaled_as_its_stack_says(platform: Platform) -> None:
    scaling = platform("prod", PINNED).one("HorizontalPodAutoscaler")["spec"]
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (3, 12)


def test_the_outputs_are_the_contract(platform: Platform) -> None:
    outputs = StackOutputs.read(platform("dev", PINNED).outputs)
    assert outputs.model_dump(by_alias=True, exclude_none=True) == {
        "environment": "dev",
        "namespaces": {
            "platform": "dev-platform",
            "monitoring": "dev-monitoring",
            "models": "dev-models",
            "jobs": "dev-jobs",
        },
        "bucket": {
            "name": "ferry-dev-a1b2c3d",
            "endpoint": "http://s3.dev.ferry.test",
            "region": "us-east-1",
        },
        "registry": {"url": "http://registry.dev.ferry.test"},
        "mlflow": {
            "url": "http://mlflow.dev.ferry.test",
            "internalUrl": "http://mlflow.dev-platform.svc",
        },
        "prometheus": {"url": "http://prometheus.dev.ferry.test"},
        "alertmanager": {"url": "http://alertmanager.dev.ferry.test"},
        "models": {
            "credit-default": {
                "url": "http://credit-default.dev.ferry.test",
                "grpcUrl": "grpc://credit-default-grpc.dev.ferry.test:80",
                "namespace": "dev-models",
                "rollout": "credit-default",
                "release": {
                    "version": 7,
                    "image": PIN["image"],
                    "weights": PIN["weights"],
                    "evidence": PIN["evidence"],
                },
            }
        },
    }


def test_the_secret_output_alone_holds_what_was_generated(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    telling = {name for name, value in seen.outputs.items() if GENERATED in json.dumps(value)}
    assert telling == {"credentials"} == seen.secret_outputs
    known = credentials(seen.outputs)
    assert known.mlflow.password == f"{GENERATED}mlflow-admin"
    assert known.people == {}
    assert known.registry is not None
    assert known.registry.password == f"{GENERATED}registry-login"
    assert known.object_store is not None
    assert known.object_store.secret_key == f"{GENERATED}object-store-secret"
    assert GENERATED not in repr(known)


@pytest.mark.parametrize("stack", STACKS)
def test_generated_secrets_are_in_clear_nowhere(platform: Platform, stack: str) -> None:
    seen = platform(stack, PINNED).resources
    telling = [each.typ for each in seen if GENERATED in json.dumps(concealed(each.inputs))]
    assert telling == []


@pytest.mark.parametrize("stack", STACKS)
def test_generated_secrets_go_to_secret_objects_and_logins_only(
    platform: Platform, stack: str
) -> None:
    seen = platform(stack, PINNED).resources
    assert {each.typ for each in seen if GENERATED in json.dumps(each.inputs)} == {
        "kubernetes:core/v1:Secret",
        "pulumi:providers:aws",
        "docker:index/image:Image",
    }


def test_secrets_are_marked_as_such_on_the_way_to_a_login(build: Build) -> None:
    def program() -> None:
        from components.registry import Registry, RegistryArgs
        from components.traffic import Gateway

        gateway = Gateway(class_name="traefik", domain="dev.ferry.test", namespace="traefik")
        args = RegistryArgs(namespace="n", gateway=gateway, monitoring="m", size="1Gi", keep=False)
        registry = Registry("registry", args)
        pulumi.export("password", registry.password)
        pulumi.export("docker config", registry.docker_config_json)
        pulumi.export("url", registry.url)

    assert build(program).secret_outputs == {"password", "docker config"}


@pytest.mark.parametrize(("stack", "kept"), [("dev", False), ("prod", True)])
def test_data_is_protected_where_the_stack_says_keep(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, stack: str, kept: bool
) -> None:
    seen: dict[str, tuple[bool | None, bool | None]] = {}
    original = pulumi.CustomResource.__init__

    def spy(self, t, name, props=None, opts=None, *rest, **more) -> None:  # noqa: ANN001, ANN002, ANN003
        if opts and t.endswith(("PersistentVolumeClaim", "bucket:Bucket")):
            seen[name] = (opts.protect, opts.retain_on_delete)
        original(self, t, name, props, opts, *rest, **more)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", spy)
    platform(stack, {"seen-by-this-test-alone": PIN})
    workloads = ("object-store", "registry", "mlflow", "online-store")
    data = (*workloads, "feature-registry", f"ferry-{stack}")
    assert seen == dict.fromkeys(data, (kept, kept))


def test_the_images_of_the_platform_are_pulled_with_the_registrys_login(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    pulled = {
        name: pod["spec"]["imagePullSecrets"]
        for name, pod in seen.pods()
        if any("registry.dev.ferry.test" in c["image"] for c in pod["spec"]["containers"])
    }
    assert pulled == {
        "Deployment mlflow": [{"name": "pull-platform-auto"}],
        "Job mlflow-upgrade": [{"name": "pull-platform-auto"}],
        "CronJob mlflow-backup": [{"name": "pull-platform-auto"}],
        "CronJob mlflow-restore": [{"name": "pull-platform-auto"}],
        "Job mlflow-logins": [{"name": "pull-platform-auto"}],
        "CronJob mlflow-logins": [{"name": "pull-platform-auto"}],
        "Deployment credit-default": [{"name": "pull-models-auto"}],
        "CronJob credit-default-ingest": [{"name": "pull-jobs-auto"}],
        "CronJob credit-default-train": [{"name": "pull-jobs-auto"}],
        "CronJob credit-default-batch": [{"name": "pull-jobs-auto"}],
        "Deployment credit-default-watch": [{"name": "pull-jobs-auto"}],
    }
    (login,) = json.loads(seen.one("Secret", "pull-models")["stringData"][".dockerconfigjson"])[
        "auths"
    ].items()
    assert login[0] == "registry.dev.ferry.test"
    assert login[1]["username"] == "ferry"


def test_mlflow_starts_only_after_its_database_was_upgraded(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[str] = []
    original = pulumi.CustomResource.__init__

    def spy(self, t, name, props=None, opts=None, *rest, **more) -> None:  # noqa: ANN001, ANN002, ANN003
        if opts and (t, name) == ("kubernetes:apps/v1:Deployment", "mlflow"):
            waits.extend(each._name for each in opts.depends_on)
        original(self, t, name, props, opts, *rest, **more)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", spy)
    platform("dev", {"waiting-seen-by-this-test-alone": PIN})
    assert waits == ["mlflow-upgrade"]


def test_mlflow_runs_the_image_that_was_pushed(platform: Platform) -> None:
    pods = dict(platform("dev", {}).pods())
    images = {
        pods[name]["spec"]["containers"][0]["image"]
        for name in ("Deployment mlflow", "Job mlflow-upgrade")
    }
    assert images == {f"registry.dev.ferry.test/mlflow@{DIGEST}"}


def test_wrong_settings_stop_the_program_before_anything_registers(
    build: Build, record: Recorder
) -> None:
    set_all_config({"ferry:platform": json.dumps({"enviroment": "dev"}), "ferry:pins": "{}"})
    with pytest.raises(pulumi.RunError, match="did you mean environment") as refused:
        build(main)
    assert "ferry:platform.ingress: found nothing" in str(refused.value)
    assert record.resources == []


def test_what_is_not_built_yet_is_refused_by_name(build: Build, record: Recorder) -> None:
    of_account = "eu-west-1:123456789012"
    aws = {
        "kind": "aws",
        "region": "eu-west-1",
        "account": "123456789012",
        "administrators": ["arn:aws:iam::123456789012:role/platform"],
        "certificate": f"arn:aws:acm:{of_account}:certificate/1",
    }
    canary = {"kind": "canary", "steps": [10], "minimumRequests": 1, "deadline": "1m"}
    wanted = {
        "environment": "dev",
        "foundation": aws,
        "ingress": {"class": "nginx", "domain": "dev.ferry.test"},
        "data": {"keep": False, "lockDays": 1},
        "models": {"credit-default": {"delivery": canary}},
    }
    set_all_config({"ferry:platform": json.dumps(wanted)})
    with pytest.raises(pulumi.RunError) as refused:
        build(main)
    for key in ("ingress.class", "models.credit-default.delivery.kind"):
        assert f"Pulumi.dev.yaml: ferry:platform.{key}: " in str(refused.value)
    assert record.resources == []


def test_the_platforms_parts_and_every_model_are_asked_whether_they_answer(
    platform: Platform,
) -> None:
    asked = {
        each["metadata"]["name"]: each["spec"]["targets"]["staticConfig"]["static"]
        for each in platform("dev", PINNED).of("Probe")
    }
    assert asked == {
        "mlflow": ["http://mlflow.dev-platform.svc/health"],
        "object-store": ["http://object-store.dev-platform.svc/health"],
        "registry": ["http://registry.dev-platform.svc/"],
        "models": ["http://credit-default.dev.ferry.test/v2/health/ready"],
        "api-server": ["https://kubernetes.default.svc/livez"],
    }
