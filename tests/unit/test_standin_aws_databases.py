"""What the stand-in for `aws` makes of RDS and of ElastiCache in an account that is emulated."""

from typing import Any

import pytest

from lab.standins.aws.provider import ROWS
from lab.standins.provider import ProviderError
from tests.unit.test_standin_aws_rows import Recorded, operation, refusal

INSTANCE = "aws:rds/instance:Instance"
CACHE = "aws:elasticache/replicationGroup:ReplicationGroup"
USERS, USER = "aws:elasticache/userGroup:UserGroup", "aws:elasticache/user:User"
SECRET = {"SecretArn": "arn:secret", "KmsKeyId": "arn:key", "SecretStatus": "creating"}
MADE = {
    "DBInstanceArn": "arn:db",
    "DbiResourceId": "db-1",
    "Endpoint": {"Address": "d.rds", "Port": 5432},
    "MasterUserSecret": SECRET,
}
INPUTS = {
    "identifier": "d",
    "engine": "postgres",
    "instanceClass": "db.t4g.small",
    "username": "master",
    "manageMasterUserPassword": True,
    "multiAz": True,
    "iamDatabaseAuthenticationEnabled": True,
    "parameterGroupName": "p",
    "enabledCloudwatchLogsExports": ["postgresql"],
    "skipFinalSnapshot": True,
    "deleteAutomatedBackups": True,
}


def test_a_database_tells_where_it_is_what_it_is_called_in_rights_and_its_masters_secret() -> None:
    store = Recorded("rds", describe_db_instances={"DBInstances": [MADE]})
    state = ROWS[INSTANCE].create(store, operation(INSTANCE), INPUTS)
    assert state.outputs["address"] == "d.rds"
    assert state.outputs["resourceId"] == "db-1"
    # Not its status, which goes on by itself.
    assert state.outputs["masterUserSecrets"] == [
        {"secretArn": "arn:secret", "kmsKeyId": "arn:key"}
    ]
    (_, request), _ = store.calls
    assert request == {
        "DBInstanceIdentifier": "d",
        "Engine": "postgres",
        "DBInstanceClass": "db.t4g.small",
        "MasterUsername": "master",
        "ManageMasterUserPassword": True,
        "MultiAZ": True,
        "EnableIAMDatabaseAuthentication": True,
        "DBParameterGroupName": "p",
        "EnableCloudwatchLogsExports": ["postgresql"],
    }


@pytest.mark.parametrize(
    ("given", "request_"),
    [
        (
            {"skipFinalSnapshot": True, "deleteAutomatedBackups": True},
            {"SkipFinalSnapshot": True, "DeleteAutomatedBackups": True},
        ),
        (
            {"skipFinalSnapshot": False, "finalSnapshotIdentifier": "d-final"},
            {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": "d-final"},
        ),
    ],
)
def test_a_database_goes_with_its_backups_or_leaves_a_last_one(
    given: dict[str, Any], request_: dict[str, Any]
) -> None:
    store = Recorded("rds")
    ROWS[INSTANCE].delete(store, operation(INSTANCE, identity="d"), given)
    assert store.calls == [("delete_db_instance", {"DBInstanceIdentifier": "d", **request_})]


def test_a_setting_of_a_database_is_of_now_or_of_the_next_start() -> None:
    kind = "aws:rds/parameterGroup:ParameterGroup"
    store = Recorded("rds", describe_db_parameter_groups={"DBParameterGroups": [{}]})
    settings = [
        {"name": "a", "value": "1", "applyMethod": "pending-reboot"},
        {"name": "b", "value": "2"},
    ]
    inputs = {"name": "p", "family": "postgres17", "description": "d", "parameters": settings}
    ROWS[kind].create(store, operation(kind), inputs)
    _, request = store.calls[1]
    assert request["Parameters"] == [
        {"ParameterName": "a", "ParameterValue": "1", "ApplyMethod": "pending-reboot"},
        {"ParameterName": "b", "ParameterValue": "2", "ApplyMethod": "immediate"},
    ]
    assert "parameters" not in ROWS[kind].replaces


def test_a_cache_tells_where_it_is() -> None:
    made = {"ARN": "arn", "Status": "available"}
    made["NodeGroups"] = [{"PrimaryEndpoint": {"Address": "master.c", "Port": 6379}}]
    store = Recorded("elasticache", describe_replication_groups={"ReplicationGroups": [made]})
    inputs = {"replicationGroupId": "c", "description": "d", "multiAzEnabled": True}
    state = ROWS[CACHE].create(store, operation(CACHE), inputs)
    assert state.outputs["primaryEndpointAddress"] == "master.c"
    assert store.calls[0][1] == {
        "ReplicationGroupId": "c",
        "ReplicationGroupDescription": "d",
        "MultiAZEnabled": True,
    }


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (CACHE, {"describe_replication_groups": {"ReplicationGroups": [{"Status": "deleting"}]}}),
        (USER, {"describe_users": {"Users": [{"Status": "deleting"}]}}),
    ],
)
def test_what_is_on_its_way_out_of_elasticache_is_gone(kind: str, answer: dict[str, Any]) -> None:
    assert ROWS[kind].read(Recorded("elasticache", **answer), "i", {"engine": "valkey"}) is None


def test_a_user_that_is_deleted_is_asked_for_until_its_id_is_free() -> None:
    store = Recorded("elasticache")
    ROWS[USER].delete(store, operation(USER, identity="u"), {})
    named = {"UserId": "u"}
    assert store.calls == [("delete_user", named), ("describe_users", named)]
    ROWS[USER].delete(
        Recorded("elasticache", describe_users=refusal("UserNotFound")), operation(USER), {}
    )


def test_a_group_of_users_is_an_echo_that_asks_for_its_user() -> None:
    inputs = {"userGroupId": "g", "engine": "valkey", "userIds": ["u"]}
    store = Recorded("elasticache", describe_users={"Users": [{"Status": "active"}]})
    ROWS[USERS].create(store, operation(USERS), inputs)
    assert store.calls == [("describe_users", {"UserId": "u"})]
    without = Recorded("elasticache", describe_users=refusal("UserNotFound"))
    with pytest.raises(ProviderError, match="describe_users has it not"):
        ROWS[USERS].create(without, operation(USERS), inputs)


def test_an_echo_of_what_names_nothing_asks_for_nothing_and_checks_every_request() -> None:
    kind, store = "aws:elasticache/parameterGroup:ParameterGroup", Recorded("elasticache")
    one = {"name": "maxmemory-policy", "value": "noeviction"}
    inputs = {"name": "p", "family": "valkey8", "description": "d", "parameters": [one]}
    state = ROWS[kind].create(store, operation(kind), inputs)
    assert store.calls == []
    assert ROWS[kind].read(store, state.id, inputs) == state
    wrong = {**inputs, "parameters": [{**one, "value": 7}]}
    with pytest.raises(ProviderError, match="ModifyCacheParameterGroup: Invalid type"):
        ROWS[kind].create(store, operation(kind), wrong)
