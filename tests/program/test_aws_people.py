"""What people may do in an account: each part takes on a role of the stack's, and reads its own."""

import json
from typing import Any

import pytest

from components.people_role import PeopleRole, PeopleRoleArgs
from preview.amazon import ACCOUNT
from tests.program.recorder import LIVE, PINNED, Build, Live, Recorder

PARTS = ["data-scientist", "auditor"]
ROLE, USER = (f"arn:aws:iam::{ACCOUNT}:{each}" for each in ("role/risk", "user/ada"))
WRITES = ("Put", "Delete", "Create", "Update", "Encrypt", "Generate", "Restore")


def statements(document: str) -> list[dict[str, Any]]:
    return json.loads(document)["Statement"]


def trust(build: Build, *principals: str) -> list[dict[str, Any]]:
    allowed = {"Effect": "Allow", "Action": ["eks:DescribeCluster"], "Resource": ["c"]}
    args = PeopleRoleArgs(principals=principals, statements=[allowed])
    made = build(lambda: PeopleRole("auditors", args)).one("Role")
    assert made["maxSessionDuration"] == 3600
    return statements(made["assumeRolePolicy"])


def rights(seen: Recorder, part: str) -> list[dict[str, Any]]:
    return statements(seen.one("RolePolicy", f"ferry-live-{part}s")["policy"])


def granted(seen: Recorder, part: str) -> dict[str, set[str]]:
    """Actions by what they are for: a prefix of the bucket, or the bucket itself."""
    role = next(each for each in seen.resources if each.name == f"ferry-live-{part}s")
    assert role.typ == "ferry:aws:PeopleRole"
    return {
        each["Resource"].partition(":::")[2].partition("/")[2]: set(each["Action"])
        for each in statements(seen.one("BucketPolicy", "ferry-live")["policy"])
        if f"role/ferry-live-{part}s" in str(each["Principal"])
    }


def test_people_who_are_named_take_on_a_role_for_an_hour_and_users_with_a_second_factor(
    build: Build,
) -> None:
    by_role, by_user = trust(build, USER, ROLE)
    assert by_role["Principal"] == {"AWS": [ROLE]}
    assert "Condition" not in by_role
    assert by_user["Principal"] == {"AWS": [USER]}
    assert by_user["Condition"] == {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


def test_where_no_user_is_named_no_user_is_trusted(build: Build) -> None:
    (only,) = trust(build, ROLE)
    assert only["Principal"] == {"AWS": [ROLE]}


def test_each_part_lists_the_bucket_and_reads_its_prefixes(live: Live) -> None:
    seen = live(PINNED)
    common = {"evidence/*", "manifests/*", "reports/*", "validations/*"}
    assert granted(seen, "data-scientist").keys() == {"", "data/*", *common}
    assert granted(seen, "auditor").keys() == {"", "ledger/*", "requests/*", *common}


@pytest.mark.parametrize("part", PARTS)
def test_no_part_writes_anything(live: Live, part: str) -> None:
    seen = live(PINNED)
    actions = {action for each in rights(seen, part) for action in each["Action"]}
    actions |= set().union(*granted(seen, part).values())
    assert not [each for each in actions if each.partition(":")[2].startswith(WRITES)]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_decrypts_objects_through_s3_and_nothing_else(live: Live, part: str) -> None:
    seen = live(PINNED)
    (decrypts,) = (each for each in rights(seen, part) if "kms:Decrypt" in each["Action"])
    encrypted = seen.one("BucketServerSideEncryptionConfiguration", "ferry-live")["rules"][0]
    default = encrypted["applyServerSideEncryptionByDefault"]
    assert decrypts["Resource"] == [default["kmsMasterKeyId"]]
    through = {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}
    assert decrypts["Condition"] == {"StringEquals": through}


def test_an_auditor_reads_the_state_and_a_data_scientist_does_not(live: Live) -> None:
    seen = live(PINNED)
    state = "arn:aws:s3:::bank-ferry-state"
    read = {name: str(rights(seen, name)) for name in PARTS}
    assert f"{state}/*" in read["auditor"]
    assert state not in read["data-scientist"]


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_in_the_group_that_the_cluster_binds_and_has_no_policy_there(
    live: Live, part: str
) -> None:
    seen = live(PINNED)
    group = f"ferry:live:{part}s"
    entry = seen.one("AccessEntry", group)
    assert entry["kubernetesGroups"] == [group]
    assert entry["principalArn"].startswith(f"arn:aws:iam::{ACCOUNT}:role/ferry-live-{part}s")
    assert entry["principalArn"] not in str(seen.of("AccessPolicyAssociation"))
    bound = {each["name"] for binding in seen.of("RoleBinding") for each in binding["subjects"]}
    assert group in bound


def test_where_nobody_is_named_there_is_no_role(live: Live) -> None:
    start, end = LIVE.index("      dataScientists:"), LIVE.index("      certificate:")
    seen = live(PINNED, LIVE[start:end], "")
    assert seen.of("PeopleRole") == []
    assert not [each for each in seen.of("AccessEntry") if each.get("kubernetesGroups")]
