"""A model whose releases are judged: what its delivery registers, and what it leaves out."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.config import set_all_config

from components.delivery import How
from components.judging import Judge
from components.model_service import ModelService, ModelServiceArgs
from components.rollouts_controller import (
    KINDS,
    RolloutsController,
    RolloutsControllerArgs,
)
from components.traffic import Gateway
from components.upstream import FOLDER
from infra import deliveries
from infra.program import main
from tests.program.recorder import PINNED, ROOT, Build, Recorder

# Of the definitions in https://github.com/argoproj/argo-rollouts, tag v1.8.3,
# manifests/install.yaml, less that of ClusterAnalysisTemplate.
UPSTREAM = "96b8156149b7eb865280377e3ad928355fea91a270c2630f634aff61c88559b6"
IMAGE = "registry.test/credit@sha256:" + "1" * 64
SIGNER = "sha256:" + "2" * 64


def service(
    steps: tuple[int, ...] = (10, 50),
    *,
    at_once: bool = False,
    **changes: Any,  # noqa: ANN401
) -> ModelServiceArgs:
    how = How(
        steps=steps,
        judge=Judge(
            image="registry.test/analysis@sha256:" + "a" * 64,
            prometheus="http://prometheus-operated.dev-monitoring:9090",
            minimum_requests=300,
            deadline=600,
        ),
        controller=[],
        at_once=at_once,
    )
    given: dict[str, Any] = {
        "namespace": "dev-models",
        "gateway": Gateway(class_name="traefik", domain="dev.test", namespace="traefik"),
        "monitoring": "dev-monitoring",
        "image": IMAGE,
        "version": 7,
        "weights": "sha256:" + "0" * 64,
        "signer": SIGNER,
        "delivery": how,
        **changes,
    }
    return ModelServiceArgs(**given)


def delivered(build: Build, steps: tuple[int, ...] = (10, 50), **changes: Any) -> Recorder:  # noqa: ANN401
    return build(lambda: ModelService("credit", service(steps, **changes)))


def rollout(seen: Recorder) -> dict[str, Any]:
    return seen.one("Rollout")["spec"]


def judge(seen: Recorder) -> dict[str, Any]:
    (metric,) = seen.one("AnalysisTemplate")["spec"]["metrics"]
    return metric["provider"]["job"]["spec"]


def options(container: dict[str, Any]) -> dict[str, str]:
    words = container["command"][3:]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_the_definitions_are_upstreams_byte_for_byte() -> None:
    assert hashlib.sha256((FOLDER / KINDS / "kinds.yaml").read_bytes()).hexdigest() == UPSTREAM


def test_a_deployment_without_pods_is_the_rollouts_template(build: Build) -> None:
    seen = delivered(build)
    deployment = seen.one("Deployment")
    assert deployment["spec"]["replicas"] == 0
    assert rollout(seen)["workloadRef"]["name"] == deployment["metadata"]["name"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE


def test_the_template_has_another_name_than_a_rolling_models_deployment(build: Build) -> None:
    assert delivered(build).one("Deployment")["metadata"]["name"] == "credit-template"


def test_a_rolling_models_deployment_has_its_own(build: Build) -> None:
    seen = delivered(build, delivery=None)
    assert seen.one("Deployment")["metadata"]["name"] == "credit"
    assert "replicas" not in seen.one("Deployment")["spec"]
    assert not {each.typ for each in seen.resources if "argoproj" in each.typ}


def test_what_the_controller_and_the_autoscaler_write_is_no_input(build: Build) -> None:
    seen = delivered(build)
    assert "replicas" not in rollout(seen)
    for service in seen.of("Service"):
        assert "rollouts-pod-template-hash" not in service["spec"]["selector"]
    (weighted,) = (each for each in seen.of("TraefikService") if "weighted" in each["spec"])
    for service in weighted["spec"]["weighted"]["services"]:
        assert service.keys() == {"name", "port"}


def test_each_percentage_is_judged_before_the_next(build: Build) -> None:
    steps = rollout(delivered(build, (10, 50)))["strategy"]["canary"]["steps"]
    assert [next(iter(step)) for step in steps] == ["setWeight", "analysis"] * 2
    assert [step["setWeight"] for step in steps[::2]] == [10, 50]
    for step in steps[1::2]:
        assert {each["name"]: each["valueFrom"] for each in step["analysis"]["args"]} == {
            "stable-hash": {"podTemplateHashValue": "Stable"},
            "canary-hash": {"podTemplateHashValue": "Latest"},
        }


def test_all_at_once_is_judged_before(build: Build) -> None:
    seen = delivered(build, ())
    strategy = rollout(seen)["strategy"]["blueGreen"]
    assert (strategy["activeService"], strategy["previewService"]) == (
        "credit-stable",
        "credit-canary",
    )
    assert strategy["prePromotionAnalysis"]["templates"] == [{"templateName": "credit"}]
    (only,) = seen.of("TraefikService")
    assert only["spec"]["mirroring"]["name"] == "credit-stable"


def test_no_refused_release_keeps_pods_that_would_go_live_unjudged_when_offered_again(
    build: Build,
) -> None:
    assert (
        rollout(delivered(build, ()))["strategy"]["blueGreen"]["scaleDownDelayRevisionLimit"] == 0
    )


def test_the_weights_that_move_are_behind_the_host_and_mirrored_to_the_judge(
    build: Build,
) -> None:
    seen = delivered(build)
    routes = {each["metadata"]["name"]: each["spec"] for each in seen.of("IngressRoute")}
    (route,) = routes["credit"]["routes"]
    assert route["match"] == "Host(`credit.dev.test`)"
    assert route["services"] == [{"name": "credit", "kind": "TraefikService"}]
    mirroring = next(
        each["spec"]["mirroring"]
        for each in seen.of("TraefikService")
        if each["metadata"]["name"] == "credit"
    )
    moved = rollout(seen)["strategy"]["canary"]["trafficRouting"]["traefik"]
    assert mirroring["name"] == moved["weightedTraefikServiceName"]
    (mirror,) = mirroring["mirrors"]
    assert (mirror["name"], mirror["percent"]) == ("credit-mirror", 20)
    chosen = seen.one("Service", "credit-mirror")["spec"]["selector"]
    assert chosen.items() <= judge(seen)["template"]["metadata"]["labels"].items()


def test_grpc_goes_to_the_stable_release(build: Build) -> None:
    routes = {
        each["metadata"]["name"]: each["spec"] for each in delivered(build).of("IngressRoute")
    }
    (route,) = routes["credit-grpc"]["routes"]
    assert route["services"] == [{"name": "credit-stable", "port": "grpc", "scheme": "h2c"}]


def test_the_autoscaler_scales_the_rollout(build: Build) -> None:
    target = delivered(build).one("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Rollout", "credit")


def test_the_judge_is_told_whom_to_judge_and_how(build: Build) -> None:
    (container,) = judge(delivered(build))["template"]["spec"]["containers"]
    assert container["command"][:3] == ["python", "-m", "analysis.judge"]
    assert options(container) == {
        "--model": "credit",
        "--stable-hash": "{{args.stable-hash}}",
        "--canary-hash": "{{args.canary-hash}}",
        "--prometheus": "http://prometheus-operated.dev-monitoring:9090",
        "--stable-url": "http://credit-stable.dev-models",
        "--canary-url": "http://credit-canary.dev-models",
        "--minimum-requests": "300",
        "--deadline": "600",
        "--port": "8080",
    }


def test_the_judge_has_no_token_and_is_killed_a_minute_after_its_deadline(build: Build) -> None:
    job = judge(delivered(build))
    assert job["template"]["spec"]["automountServiceAccountToken"] is False
    assert (job["activeDeadlineSeconds"], job["backoffLimit"]) == (660, 0)


def test_the_update_waits_for_a_job_of_the_release(build: Build) -> None:
    job = delivered(build).one("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert options(container) == {
        "--namespace": "dev-models",
        "--rollout": "credit",
        "--image": "sha256:" + "1" * 64,
        "--deadline": str(2 * (180 + 600 + 60) + 180),
    }


def test_the_job_runs_again_for_other_pods_of_the_same_image_only(build: Build) -> None:
    services = [service(), service(), service(memory="1Gi")]
    seen = build(lambda: [ModelService("credit", each) for each in services])
    first, same, other = (
        each["spec"]["template"]["metadata"]["annotations"]["ferry.dev/of"]
        for each in seen.of("Job")
    )
    assert first == same
    assert first != other


def test_no_delivery_meets_the_job_that_an_earlier_one_left_behind(build: Build) -> None:
    # Without a name of ours the provider gives one of its own to each that is made.
    assert "name" not in delivered(build).one("Job")["metadata"]


def test_the_job_may_look_and_end_its_own_rollout(build: Build) -> None:
    rules = delivered(build).one("Role")["rules"]
    (ends,) = (rule for rule in rules if not {"get", "list"} >= set(rule["verbs"]))
    assert (ends["resources"], ends["verbs"]) == (["rollouts/status"], ["patch"])
    assert ends["resourceNames"] == ["credit"]
    seen = {resource: rule for rule in rules if rule != ends for resource in rule["resources"]}
    assert seen.keys() == {"rollouts", "deployments", "replicasets", "analysisruns", "pods"}
    assert seen["rollouts"]["resourceNames"] == ["credit"]
    assert seen["deployments"]["resourceNames"] == ["credit-template"]


@pytest.mark.parametrize("at_once", [False, True])
def test_only_the_job_of_a_release_that_goes_back_ends_the_steps(
    build: Build, at_once: bool
) -> None:
    job = delivered(build, at_once=at_once).one("Job")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert ("--at-once" in container["command"]) is at_once


def test_the_judge_alone_reaches_the_models_pods_beside_gateway_and_monitoring(
    build: Build,
) -> None:
    policy = delivered(build).one("NetworkPolicy", "credit-from-credit-judge")["spec"]
    (rule,) = policy["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    (caller,) = rule["from"]
    assert caller["podSelector"]["matchLabels"]["app.kubernetes.io/name"] == "credit-judge"
    assert policy["policyTypes"] == ["Ingress"]


def test_the_judge_reaches_pods_and_prometheus_only(build: Build) -> None:
    policy = delivered(build).one("NetworkPolicy", "credit-judge")["spec"]
    assert [rule["ports"] for rule in policy["egress"]] == [[{"port": "http"}], [{"port": 9090}]]
    assert all(rule["to"] for rule in policy["egress"])


def controlled(build: Build) -> Recorder:
    args = RolloutsControllerArgs(
        namespace="dev-platform", models="dev-models", monitoring="dev-monitoring"
    )
    return build(lambda: RolloutsController("argo-rollouts", args))


def test_the_controller_has_no_power_outside_the_models_namespace(build: Build) -> None:
    seen = controlled(build)
    assert not seen.of("ClusterRole")
    assert not seen.of("ClusterRoleBinding")
    by_namespace = {each["metadata"]["namespace"]: each["rules"] for each in seen.of("Role")}
    assert by_namespace.keys() == {"dev-models", "dev-platform"}
    for rule in by_namespace["dev-platform"]:
        assert rule["resources"] == ["leases"] or rule["resourceNames"]
    assert not any("secrets" in rule["resources"] for rule in by_namespace["dev-models"])


def test_the_controller_is_namespaced_and_speaks_to_traefik_3(build: Build) -> None:
    (container,) = controlled(build).one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert {"--namespaced", "--namespace=dev-models", "--traefik-api-group=traefik.io"} < set(
        container["args"]
    )
    assert container["image"] == "quay.io/argoproj/argo-rollouts:v1.8.3"


@pytest.mark.parametrize(
    ("delivery", "controllers"),
    [
        ({"kind": "rolling"}, 0),
        ({"kind": "canary", "steps": [10], "minimumRequests": 1, "deadline": "10m"}, 1),
        ({"kind": "blueGreen", "minimumRequests": 1, "deadline": "90s"}, 1),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_stack_has_the_controller_only_where_a_model_needs_it(
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    delivery: dict[str, Any],
    controllers: int,
) -> None:
    monkeypatch.chdir(ROOT)
    wanted = {
        "environment": "dev",
        "foundation": {"kind": "cluster"},
        "ingress": {"class": "traefik", "domain": "dev.ferry.test"},
        "data": {"keep": False, "lockDays": 1},
        "models": {"credit-default": {"delivery": delivery}},
    }
    set_all_config({"ferry:platform": json.dumps(wanted), "ferry:pins": json.dumps(PINNED)})
    seen = build(main)
    found = [each for each in seen.resources if each.typ.endswith(":RolloutsController")]
    assert len(found) == controllers
    assert len(seen.of("Rollout")) == controllers


@pytest.mark.parametrize("back", [True, False])
def test_a_stack_lets_the_models_go_back_at_once_that_its_ledger_names(
    build: Build, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    monkeypatch.chdir(ROOT)
    asked = []

    def going_back(ledger: Path, pins: dict[str, Any]) -> set[str]:
        asked.append((ledger, list(pins)))
        return {"credit-default"} if back else set()

    monkeypatch.setattr(deliveries, "going_back", going_back)
    delivery = {"kind": "blueGreen", "minimumRequests": 1, "deadline": "90s"}
    wanted = {
        "environment": "dev",
        "foundation": {"kind": "cluster"},
        "ingress": {"class": "traefik", "domain": "dev.ferry.test"},
        "data": {"keep": False, "lockDays": 1},
        "models": {"credit-default": {"delivery": delivery}},
    }
    set_all_config({"ferry:platform": json.dumps(wanted), "ferry:pins": json.dumps(PINNED)})
    job = build(main).one("Job", "credit-default-delivery")
    assert asked == [(Path("ledger/dev.jsonl"), ["credit-default"])]
    words = job["spec"]["template"]["spec"]["containers"][0]["command"]
    assert ("--at-once" in words) == back
