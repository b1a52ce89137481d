"""A model's watch and its request log: what runs, what it is told, and what it may reach."""

import json
from typing import Any

from pulumi.runtime.config import set_all_config
from ruamel.yaml import YAML

from infra.program import main
from tests.program.recorder import PIN, PINNED, ROOT, Build, Platform, Recorder

MODEL = "credit-default"
NAME = f"{MODEL}-watch"


def pod(seen: Recorder, name: str = NAME) -> dict[str, Any]:
    return seen.one("Deployment", name)["spec"]["template"]


def container(seen: Recorder, name: str = NAME) -> dict[str, Any]:
    (only,) = pod(seen, name)["spec"]["containers"]
    return only


def told(seen: Recorder, name: str = NAME) -> dict[str, str]:
    return {e["name"]: e["value"] for e in container(seen, name)["env"] if "value" in e}


def secrets(seen: Recorder, name: str = NAME) -> dict[str, str]:
    """By variable the content of the Secret that it refers to."""
    return {
        each["name"]: seen.one("Secret", reference["name"].removesuffix("-auto"))["stringData"][
            reference["key"]
        ]
        for each in container(seen, name)["env"]
        if (reference := each.get("valueFrom", {}).get("secretKeyRef"))
    }


def with_road(build: Build, **road: Any) -> Recorder:  # noqa: ANN401
    config = YAML(typ="safe", pure=True).load((ROOT / "Pulumi.dev.yaml").read_text())["config"]
    config["ferry:platform"]["models"][MODEL]["road"] |= road
    config["ferry:pins"] = PINNED
    set_all_config({key: json.dumps(value) for key, value in config.items()})
    return build(main, "dev")


# The watch


def watched(seen: Recorder) -> list[str]:
    return [
        each["metadata"]["name"]
        for each in seen.of("Deployment")
        if "ferry.dev/watch" in each["metadata"]["labels"]
    ]


def test_a_pinned_model_with_a_road_is_watched_and_no_other(platform: Platform) -> None:
    assert watched(platform("dev", {**PINNED, "other": PIN})) == [NAME]


def test_a_model_that_is_not_pinned_yet_is_not_watched(platform: Platform) -> None:
    assert watched(platform("dev", {})) == []


def test_a_watch_is_one_process_in_the_jobs_image_and_never_two(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    spec = seen.one("Deployment", NAME)["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    watch = container(seen)
    assert watch["command"] == ["python", "-m", "app.watch", "--model", MODEL]
    job = seen.one("CronJob", f"{MODEL}-train")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert watch["image"] == job["containers"][0]["image"]
    assert watch["ports"] == [{"name": "http", "containerPort": 8080}]


def test_a_watch_is_found_by_its_label(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    for labelled in (
        seen.one("Deployment", NAME)["metadata"],
        pod(seen)["metadata"],
        seen.one("Service", NAME)["metadata"],
    ):
        assert labelled["labels"]["ferry.dev/watch"] == MODEL
        # By which the pods that serve are found.
        assert "ferry.dev/model" not in labelled["labels"]


def test_a_watch_may_read_its_cronjob_and_create_jobs_beside_it_and_nothing_else(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    role = seen.one("Role", NAME)
    assert role["metadata"]["namespace"] == "dev-jobs"
    assert [
        (each["apiGroups"], each["resources"], each["verbs"], each.get("resourceNames"))
        for each in role["rules"]
    ] == [
        (["batch"], ["cronjobs"], ["get"], [f"{MODEL}-train"]),
        (["batch"], ["jobs"], ["create"], None),
    ]
    (subject,) = seen.one("RoleBinding", NAME)["subjects"]
    assert subject["name"] == pod(seen)["spec"]["serviceAccountName"]
    bound = [each["subjects"][0]["name"] for each in seen.of("RoleBinding")]
    assert bound.count(subject["name"]) == 1
    everywhere = [each["subjects"][0]["name"] for each in seen.of("ClusterRoleBinding")]
    assert subject["name"] not in everywhere


def test_a_watch_is_told_where_the_bucket_is_what_is_served_and_when_to_hold_back(
    platform: Platform,
) -> None:
    assert told(platform("dev", PINNED)) == {
        "AWS_ENDPOINT_URL_S3": "http://object-store.dev-platform.svc",
        "AWS_REGION": "us-east-1",
        "FERRY_BUCKET": "ferry-dev-a1b2c3d",
        "MODEL_VERSION": str(PIN["version"]),
        "WATCH_WINDOW_SECONDS": "3600",
        "WATCH_TICK_SECONDS": "60",
        "RETRAIN_COOLDOWN_SECONDS": "86400",
        "JOBS_NAMESPACE": "dev-jobs",
    }


def test_a_watch_of_short_windows_looks_four_times_in_each(build: Build) -> None:
    seen = with_road(build, window="1m", cooldown="3m", retrain="0 4 * * 0")
    given = told(seen)
    assert given["WATCH_WINDOW_SECONDS"] == "60"
    assert given["WATCH_TICK_SECONDS"] == "15"
    assert given["RETRAIN_COOLDOWN_SECONDS"] == "180"
    assert seen.one("CronJob", f"{MODEL}-train")["spec"]["schedule"] == "0 4 * * 0"


def test_a_watch_goes_to_the_bucket_and_the_api_and_is_reached_by_pods_inside_alone(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    spec = seen.one("NetworkPolicy", NAME)["spec"]
    assert _ways_out(spec) == {"object-store"}
    assert spec["egress"][-1] == {"ports": [{"port": 443}, {"port": 6443}]}
    (rule,) = spec["ingress"]
    assert {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
        for peer in rule["from"]
    } == {"dev-monitoring", "dev-models"}
    assert rule["ports"] == [{"port": "http"}]
    assert NAME not in {
        path["backend"]["service"]["name"].removesuffix("-auto")
        for ingress in seen.of("Ingress")
        for rule in ingress["spec"]["rules"]
        for path in rule["http"]["paths"]
    }


# The request log


def test_a_server_keeps_a_share_of_its_rows_with_a_key_of_its_own(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    given = told(seen, MODEL)
    assert given["REQUEST_LOG_SAMPLE"] == "0.1"
    assert given["FERRY_BUCKET"] == "ferry-dev-a1b2c3d"
    assert given["AWS_ENDPOINT_URL_S3"] == "http://object-store.dev-platform.svc"
    assert given["AWS_REGION"] == "us-east-1"
    assert secrets(seen, MODEL)["AWS_ACCESS_KEY_ID"] == f"id-object-store-server-{MODEL}-access"
    secret = seen.one("Secret", f"{MODEL}-request-log-connection")
    assert secret["metadata"]["namespace"] == "dev-models"
    policy = seen.one("NetworkPolicy", MODEL)["spec"]
    assert _ways_out(policy) == {"object-store", "online-store"}


def test_a_server_without_a_road_keeps_nothing(platform: Platform) -> None:
    seen = platform("dev", {**PINNED, "other": PIN})
    assert told(seen, "other").keys() == {
        *("MODEL_NAME", "MODEL_VERSION", "MODEL_WEIGHTS", "MODEL_SIGNER"),
    }
    assert secrets(seen, "other") == {}


def test_a_road_that_samples_nothing_has_no_log_and_no_watch(build: Build) -> None:
    seen = with_road(build, requestSample=0)
    assert "REQUEST_LOG_SAMPLE" not in told(seen, MODEL)
    assert not any("watch" in name for name, _ in seen.pods())


def _ways_out(policy: dict[str, Any]) -> set[str]:
    """The workloads that connections may go to."""
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in policy["egress"]
        for peer in rule.get("to", ())
    }
