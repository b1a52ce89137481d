"""A model's watch and request log, and who may do what in the bucket."""

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest
from pulumi.runtime.config import set_all_config
from ruamel.yaml import YAML

from components.bucket_access import Grant, policy
from infra.accounts import grants
from infra.program import main
from infra.settings import parse
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


# Accounts


def test_every_part_of_the_platform_has_keys_of_its_own_and_none_has_the_roots(
    platform: Platform,
) -> None:
    seen = platform("dev", PINNED)
    jobs = seen.one("Secret", "jobs-connection")["stringData"]["AWS_ACCESS_KEY_ID"]
    keys = {
        "jobs": jobs,
        f"watch-{MODEL}": secrets(seen)["AWS_ACCESS_KEY_ID"],
        f"server-{MODEL}": secrets(seen, MODEL)["AWS_ACCESS_KEY_ID"],
    }
    assert keys == {name: f"id-object-store-{name}-access" for name in keys}
    assert "id-object-store-mlflow-access" in seen.one("Secret", "mlflow")["stringData"]["aws"]
    holding = {
        each["metadata"].get("name", "") + str(each["metadata"]["labels"])
        for each in seen.of("Secret")
        if "id-object-store-access" in json.dumps(each)
    }
    assert len(holding) == 1  # the store's own


def test_the_store_knows_its_accounts_and_none_of_them_makes_buckets(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    users = json.loads(seen.one("Secret", "object-store")["stringData"]["users.json"])
    known = users["accessAccounts"]
    assert set(known) == {
        f"id-object-store-{name}-access"
        for name in ("jobs", "mlflow", f"server-{MODEL}", f"watch-{MODEL}")
    }
    assert {each["role"] for each in known.values()} == {"user"}
    assert all(access == each["access"] for access, each in known.items())
    assert len({each["secret"] for each in known.values()}) == len(known)
    store = seen.one("StatefulSet", "object-store")["spec"]["template"]["spec"]
    (mount,) = (
        each for each in store["containers"][0]["volumeMounts"] if each["name"] == "accounts"
    )
    assert mount["readOnly"] is True
    assert {"name": "VGW_IAM_DIR", "value": mount["mountPath"]} in store["containers"][0]["env"]


def test_the_policy_has_a_statement_for_each_account_and_prefix() -> None:
    found = json.loads(
        policy(
            "loans",
            [
                Grant(account="a", prefix=None, actions=("s3:ListBucket",)),
                Grant(account="b", prefix="data/", actions=("s3:GetObject", "s3:PutObject")),
            ],
            {"a": "AKA", "b": "arn:aws:iam::1:role/b"},
        )
    )
    assert [
        (each["Effect"], each["Principal"]["AWS"], each["Action"], each["Resource"])
        for each in found["Statement"]
    ] == [
        ("Allow", ["AKA"], ["s3:ListBucket"], "arn:aws:s3:::loans"),
        (
            *("Allow", ["arn:aws:iam::1:role/b"], ["s3:GetObject", "s3:PutObject"]),
            "arn:aws:s3:::loans/data/*",
        ),
    ]


def _may(account: str, action: str, key: str) -> bool:
    """Whether the grants of the stack dev let the account do that to the key."""
    settings = parse((ROOT / "Pulumi.dev.yaml").read_text(), stack="dev")
    return any(
        grant.account == account
        and f"s3:{action}" in grant.actions
        and grant.prefix is not None
        and fnmatchcase(key, f"{grant.prefix}*")
        for grant in grants(settings.platform)
    )


@pytest.mark.parametrize("account", ["jobs", "mlflow", f"server-{MODEL}", f"watch-{MODEL}"])
@pytest.mark.parametrize("key", ["evidence/credit-default/1/release.json", "ledger/dev/1.json"])
def test_no_account_changes_evidence_or_the_ledger(account: str, key: str) -> None:
    for action in ("PutObject", "DeleteObject", "DeleteObjectVersion", "PutObjectRetention"):
        assert not _may(account, action, key)


def test_nobody_deletes_but_mlflow_its_own() -> None:
    for account in ("jobs", f"server-{MODEL}", f"watch-{MODEL}"):
        assert not _may(account, "DeleteObject", "mlflow/1/x")
        assert not _may(account, "DeleteObject", f"requests/{MODEL}/1/x")
    assert _may("mlflow", "DeleteObject", "mlflow/1/x")
    assert not _may("mlflow", "GetObject", "data/loans/x")


def test_a_server_writes_its_log_and_reads_nothing() -> None:
    account = f"server-{MODEL}"
    assert _may(account, "PutObject", f"requests/{MODEL}/7/2026-11-30T02/pod-1.jsonl.gz")
    assert not _may(account, "PutObject", "requests/other/7/2026-11-30T02/pod-1.jsonl.gz")
    assert not _may(account, "GetObject", f"requests/{MODEL}/7/2026-11-30T02/pod-1.jsonl.gz")


def test_the_bucket_is_named_to_others_when_its_policy_holds(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    held = seen.one("BucketPolicy", "ferry-dev")
    statements = json.loads(held["policy"])["Statement"]
    assert held["bucket"] == "ferry-dev-a1b2c3d"
    assert all(each["Principal"]["AWS"][0].startswith("id-object-store-") for each in statements)
    assert all("*" not in each["Action"] for each in statements)


def _ways_out(policy: dict[str, Any]) -> set[str]:
    """The workloads that connections may go to."""
    return {
        peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"]
        for rule in policy["egress"]
        for peer in rule.get("to", ())
    }
