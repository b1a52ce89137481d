"""The accounts of the object store: whose keys each part has, and what they may do."""

import json
from fnmatch import fnmatchcase

import pytest

from components.bucket_access import Grant, policy
from infra.accounts import grants
from infra.settings import parse
from tests.program.recorder import PINNED, ROOT, Platform
from tests.program.test_watch import MODEL, secrets


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
    for name, secret in (("mlflow", "mlflow"), ("backup", "mlflow-backup")):
        held = seen.one("Secret", secret)["stringData"]["aws"]
        assert f"id-object-store-{name}-access" in held
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
        for name in ("backup", "jobs", "mlflow", f"server-{MODEL}", f"watch-{MODEL}")
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


@pytest.mark.parametrize(
    "account", ["backup", "jobs", "mlflow", f"server-{MODEL}", f"watch-{MODEL}"]
)
@pytest.mark.parametrize("key", ["evidence/credit-default/1/release.json", "ledger/dev/1.json"])
def test_no_account_changes_evidence_or_the_ledger(account: str, key: str) -> None:
    for action in ("PutObject", "DeleteObject", "DeleteObjectVersion", "PutObjectRetention"):
        assert not _may(account, action, key)


def test_nobody_deletes_but_mlflow_its_own() -> None:
    for account in ("backup", "jobs", f"server-{MODEL}", f"watch-{MODEL}"):
        assert not _may(account, "DeleteObject", "mlflow/1/x")
        assert not _may(account, "DeleteObject", f"requests/{MODEL}/1/x")
    assert _may("mlflow", "DeleteObject", "mlflow/1/x")
    assert not _may("mlflow", "GetObject", "data/loans/x")


def test_a_server_writes_its_log_and_reads_nothing() -> None:
    account = f"server-{MODEL}"
    assert _may(account, "PutObject", f"requests/{MODEL}/7/2026-11-30T02/pod-1.jsonl.gz")
    assert not _may(account, "PutObject", "requests/other/7/2026-11-30T02/pod-1.jsonl.gz")
    assert not _may(account, "GetObject", f"requests/{MODEL}/7/2026-11-30T02/pod-1.jsonl.gz")


def test_backups_are_written_locked_and_read_back_and_nothing_else_is() -> None:
    copy = "backups/mlflow/20261130T021700Z-0.tar.gz"
    for action in ("PutObject", "PutObjectRetention", "GetObject"):
        assert _may("backup", action, copy)
        assert not _may("backup", action, "mlflow/1/x")
        for account in ("jobs", "mlflow", f"server-{MODEL}", f"watch-{MODEL}"):
            assert not _may(account, action, copy)
    for action in ("DeleteObject", "DeleteObjectVersion", "BypassGovernanceRetention"):
        assert not _may("backup", action, copy)


def test_the_bucket_is_named_to_others_when_its_policy_holds(platform: Platform) -> None:
    seen = platform("dev", PINNED)
    held = seen.one("BucketPolicy", "ferry-dev")
    statements = json.loads(held["policy"])["Statement"]
    assert held["bucket"] == "ferry-dev-a1b2c3d"
    assert all(each["Principal"]["AWS"][0].startswith("id-object-store-") for each in statements)
    assert all("*" not in each["Action"] for each in statements)
