"""The stand-in for the provider `aws`, against a store that a dictionary plays."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from lab.standins.aws import configuration
from lab.standins.aws.bucket import Bucket, autoname, prefixed
from lab.standins.aws.client import Client, connect
from lab.standins.aws.emptying import empty
from lab.standins.aws.objects import Object
from lab.standins.aws.provider import AwsProvider
from lab.standins.aws.settings import SETTINGS
from lab.standins.aws.shapes import from_api, project, to_api
from lab.standins.aws.store import StoreError
from lab.standins.provider import Invalid, Operation, PartialFailure, ProviderError, Refused
from lab.standins.values import UNKNOWN, Asset, Secret

BUCKET = "aws:s3/bucket:Bucket"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"

WORDS = st.text("abcABC", min_size=1, max_size=5)
JSON = st.recursive(
    st.integers() | st.booleans() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


class Recorded:
    """A store that answers with `answers` (a value or an exception) and remembers its calls."""

    endpoint = "http://store"
    region = "us-east-1"

    def __init__(self, **answers: Any) -> None:  # noqa: ANN401
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        self.calls.append((method, parameters))
        answer = self.answers.get(method, {})
        if isinstance(answer, Callable):
            answer = answer(**parameters)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def pages(self, method: str, /, **parameters: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
        self.calls.append((method, parameters))
        yield from self.answers[method]

    def shape(self, method: str) -> Any:  # noqa: ANN401
        raise NotImplementedError

    def check(self, method: str, request: dict[str, Any]) -> None:
        raise NotImplementedError

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.calls]


def operation(kind: str = BUCKET, *, identity: str = "b", preview: bool = False) -> Operation:
    return Operation(
        urn="urn",
        type=kind,
        name="Data",
        id=identity,
        preview=preview,
        cancelled=threading.Event(),
        log=lambda message, severity: None,
        status=lambda message: None,
    )


def refusal(code: str) -> StoreError:
    return StoreError("Call b at http://store", code, "because")


# Shapes


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "k"},
            {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"},
        ),
        ({"id": "r", "mfaDelete": "Disabled"}, {"ID": "r", "MFADelete": "Disabled"}),
        (
            {"filter": {"and": {"prefix": "x/", "tags": {"b": "1", "a": "2"}}}},
            {
                "Filter": {
                    "And": {
                        "Prefix": "x/",
                        "Tags": [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "1"}],
                    }
                }
            },
        ),
    ],
)
def test_properties_have_the_names_of_s3(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert to_api(ours) == theirs
    assert from_api(theirs) == ours


@given(JSON)
def test_what_a_store_adds_by_itself_is_no_drift(declared: Any) -> None:  # noqa: ANN401
    assert project(_with_more(declared), declared) == declared


def test_what_a_store_lost_or_changed_is_drift() -> None:
    assert project({"a": 1}, {"a": 2, "b": 3}) == {"a": 1}
    assert project([{"a": 1}], [{"a": 1}, {"b": 2}]) == [{"a": 1}]


def _with_more(value: Any) -> Any:  # noqa: ANN401
    match value:
        case dict():
            return {key: _with_more(item) for key, item in value.items()} | {"more!": 1}
        case list():
            return [_with_more(item) for item in value]
    return value


# Names


@given(st.text("aB-", min_size=1, max_size=80), st.binary(min_size=1, max_size=4))
def test_a_name_of_our_own_is_short_lower_and_repeatable(name: str, seed: bytes) -> None:
    made = autoname(name, seed)
    assert made == autoname(name, seed)
    assert len(made) <= 63
    start, _, digits = made.rpartition("-")
    assert name.lower().startswith(start)
    assert len(digits) == 7
    assert int(digits, 16) >= 0


def test_without_a_seed_no_two_names_are_the_same() -> None:
    assert autoname("a", b"") != autoname("a", b"")
    assert prefixed("a") != prefixed("a")
    assert len(prefixed("")) == 26


def test_a_long_name_is_cut_to_what_s3_takes() -> None:
    assert len(autoname("a" * 80, b"1")) == 63


def test_a_made_up_name_stays_until_the_program_gives_one() -> None:
    first = Bucket().complete(operation(), {}, {}, b"1")
    assert first["bucket"].startswith("data-")
    assert Bucket().complete(operation(), first, {}, b"2") == first
    named = Bucket().complete(operation(), first, {"bucket": "mine"}, b"3")
    assert named == {"bucket": "mine"}
    assert Bucket().complete(operation(), named, {}, b"4")["bucket"].startswith("data-")


@pytest.mark.parametrize("name", ["Upper", "ab", "-abc", "a" * 64, "a_b"])
def test_an_impossible_name_is_named(name: str) -> None:
    with pytest.raises(Invalid, match="is no bucket name"):
        Bucket().complete(operation(), {}, {"bucket": name}, b"")


def test_a_prefix_makes_the_name_at_creation() -> None:
    inputs = Bucket().complete(operation(), {}, {"bucketPrefix": "logs-"}, b"1")
    assert inputs == {"bucketPrefix": "logs-"}
    state = Bucket().create(Recorded(), operation(), inputs)
    assert state.id == state.outputs["bucket"]
    assert state.id.startswith("logs-20")


# Differences


@pytest.mark.parametrize(
    ("old", "new", "changes", "first"),
    [
        ({"bucket": "b"}, {"bucket": "b", "forceDestroy": False}, {}, True),
        ({"bucket": "b"}, {"bucket": "b", "forceDestroy": True}, {"forceDestroy": False}, True),
        ({"bucket": "b"}, {"bucket": "c"}, {"bucket": True}, False),
        (
            {"bucket": "b"},
            {"bucket": "b", "objectLockEnabled": True},
            {"objectLockEnabled": True},
            True,
        ),
        (
            {"bucket": "b-1", "__defaults": ["bucket"]},
            {"bucket": "b-1", "__defaults": ["bucket"], "objectLockEnabled": True},
            {"objectLockEnabled": True},
            False,
        ),
        ({"bucket": "b"}, {"bucket": "b", "tags": {"a": Secret("1")}}, {"tags.a": False}, True),
    ],
)
def test_a_bucket_is_replaced_for_what_cannot_change(
    old: dict[str, Any], new: dict[str, Any], changes: dict[str, bool], first: bool
) -> None:
    found = AwsProvider().diff(operation(), old, {}, new)
    assert {path: change.replace for path, change in found.changes.items()} == changes
    assert found.delete_before_replace is first


def test_the_same_policy_written_otherwise_is_no_change() -> None:
    document = {"Version": "1", "Statement": []}
    old = {"bucket": "b", "policy": json.dumps(document, indent=2)}
    new = AwsProvider().check(operation(POLICY), {}, {"bucket": "b", "policy": document}, b"")
    assert isinstance(new["policy"], str)
    assert AwsProvider().diff(operation(POLICY), old, {}, new).changes == {}
    other = {**new, "policy": '{"Version": "2"}'}
    assert list(AwsProvider().diff(operation(POLICY), old, {}, other).changes) == ["policy"]


def test_a_setting_moves_with_its_bucket() -> None:
    kind = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    old, new = {"bucket": "b"}, {"bucket": "c", "blockPublicAcls": False}
    changes = AwsProvider().diff(operation(kind), old, {}, new).changes
    assert {path: change.replace for path, change in changes.items()} == {"bucket": True}


# Configuration


def test_the_provider_s_arguments_come_as_the_sdk_sends_them() -> None:
    args = {
        "endpoints": json.dumps([{"s3": "http://s:1", "dynamodb": None}]),
        "accessKey": Secret("a"),
        "secretKey": Secret("b"),
        "region": "eu-west-1",
        "s3UsePathStyle": "true",
        "maxRetries": "2",
        "skipRegionValidation": "true",
        "__internal": {},
    }
    assert configuration.complaints(args) == {}
    assert configuration.parse(args) == configuration.Configuration(
        endpoint="http://s:1",
        region="eu-west-1",
        access_key="a",
        secret_key="b",
        path_style=True,
        max_retries=2,
    )


def test_an_endpoint_that_is_not_known_yet_is_no_error() -> None:
    args = {"endpoints": UNKNOWN, "secretKey": Secret(UNKNOWN)}
    assert configuration.complaints(args) == {}
    assert configuration.parse(args) is None
    provider = AwsProvider()
    provider.configure(args)
    inputs = {"bucket": "b", "tags": {"a": UNKNOWN}}
    assert provider.create(operation(preview=True), inputs).outputs == inputs
    with pytest.raises(ProviderError, match="not known yet"):
        provider.create(operation(), inputs)


def test_the_region_falls_back_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "b")
    found = configuration.parse({})
    assert found is not None
    assert found.region == "b"
    monkeypatch.setenv("AWS_REGION", "a")
    found = configuration.parse({})
    assert found is not None
    assert found.region == "a"


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({"profile": "x"}, "profile"),
        ({"endpoints": "["}, "endpoints"),
        ({"endpoints": json.dumps([{"s3": "http://a", "sqs": "http://b"}])}, "endpoints"),
    ],
)
def test_an_argument_that_is_not_covered_is_named(args: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as caught:
        AwsProvider().check_config(args)
    assert list(caught.value.failures) == [named]


@pytest.mark.parametrize("kind", ["aws:ec2/vpc:Vpc", "aws:s3/bucketV2:BucketV2"])
def test_another_resource_is_refused_by_name(kind: str) -> None:
    with pytest.raises(Refused, match=f"{kind} is not covered by the lab's stand-in"):
        AwsProvider().check(operation(kind), {}, {}, b"")


def test_an_input_that_is_not_covered_is_named() -> None:
    with pytest.raises(Invalid) as caught:
        AwsProvider().check(operation(), {}, {"acl": "private", "website": None}, b"")
    assert list(caught.value.failures) == ["acl"]


def test_a_resource_lies_in_the_provider_s_region() -> None:
    provider = AwsProvider()
    provider.configure({"region": "eu-west-1"})
    same = {"bucket": "b-1", "region": "eu-west-1"}
    assert provider.check(operation(), {}, same, b"") == same
    with pytest.raises(Invalid, match="region is us-east-1, but the provider's is eu-west-1"):
        provider.check(operation(), {}, {**same, "region": "us-east-1"}, b"")


# Settings


def test_what_a_store_cannot_report_is_no_drift() -> None:
    kind = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
    seen = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}
    inputs = {"bucket": "b", "blockPublicAcls": True, "skipDestroy": True, "region": "us-east-1"}
    store = Recorded(get_public_access_block=seen)
    state = SETTINGS[kind].read(store, "b", inputs)
    assert state is not None
    assert state.inputs == inputs
    SETTINGS[kind].delete(store, operation(kind), state.outputs)
    assert store.methods == ["get_public_access_block"]


def test_each_setting_is_put_read_back_and_removed_by_its_own_calls() -> None:
    for kind, setting in SETTINGS.items():
        assert setting.put.startswith("put_"), kind
        assert setting.get == setting.put.replace("put_", "get_"), kind
        assert bool(setting.remove) != bool(setting.off), kind
        assert setting.own <= setting.inputs, kind


ROWS = {
    "bucketVersioning:BucketVersioning": {"versioningConfiguration": {"status": "Enabled"}},
    "bucketObjectLockConfiguration:BucketObjectLockConfiguration": {
        "objectLockEnabled": "Enabled",
        "rule": {"defaultRetention": {"mode": "GOVERNANCE", "days": 1}},
    },
    "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": {
        "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms"}}]
    },
    "bucketPublicAccessBlock:BucketPublicAccessBlock": {
        "blockPublicAcls": True,
        "blockPublicPolicy": False,
        "ignorePublicAcls": True,
        "restrictPublicBuckets": False,
    },
    "bucketLifecycleConfiguration:BucketLifecycleConfiguration": {
        "rules": [{"id": "r", "status": "Enabled", "filter": {"prefix": "x/"}}],
        "transitionDefaultMinimumObjectSize": "varies_by_storage_class",
    },
    "bucketPolicy:BucketPolicy": {"policy": "{}"},
    "bucketOwnershipControls:BucketOwnershipControls": {
        "rule": {"objectOwnership": "BucketOwnerEnforced"}
    },
    "bucketReplicationConfig:BucketReplicationConfig": {
        "role": "arn:aws:iam::123456789012:role/r",
        "rules": [
            {
                "id": "all",
                "status": "Enabled",
                "destination": {"encryptionConfiguration": {"replicaKmsKeyId": "k"}},
            }
        ],
    },
    "bucketLogging:BucketLogging": {"targetBucket": "logs", "targetPrefix": "b/"},
}


@pytest.mark.parametrize("kind", ROWS)
def test_what_is_put_is_read_back_adopted_and_removed(kind: str) -> None:
    setting, properties = SETTINGS[f"aws:s3/{kind}"], ROWS[kind]
    # The answer to get holds what put was given.
    request = setting.request({"bucket": "b", **properties})
    wrapped = ("VersioningConfiguration", "LifecycleConfiguration", "BucketLoggingStatus")
    body = next((request[key] for key in wrapped if key in request), None)
    store = Recorded(**{setting.get: request | (body or {})})
    state = setting.create(store, operation(f"aws:s3/{kind}"), {"bucket": "b", **properties})
    assert properties.items() <= state.outputs.items()
    adopted = setting.read(store, "b", {})
    assert adopted is not None
    assert adopted.inputs == {"bucket": "b", **properties}
    assert setting.read(Recorded(), "b", {}) is None
    setting.delete(store, operation(f"aws:s3/{kind}"), state.outputs)
    assert store.calls[-1] == (setting.remove or setting.put, {"Bucket": "b", **setting.off})
    with pytest.raises(Invalid, match="bucket is missing"):
        setting.complete(operation(f"aws:s3/{kind}"), {}, dict(properties), b"")


def test_what_the_emulator_forgets_is_no_drift_and_all_else_is() -> None:
    kind = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
    setting = SETTINGS[kind]
    criteria = {"sourceSelectionCriteria": {"sseKmsEncryptedObjects": {"status": "Enabled"}}}
    inputs = {"bucket": "b", "role": "r", "rules": [{"id": "all", "priority": 1, **criteria}]}
    for priority in (1, 2):
        rules = {"Role": "r", "Rules": [{"ID": "all", "Priority": priority}]}
        store = Recorded(**{setting.get: {"ReplicationConfiguration": rules}})
        state = setting.read(store, "b", inputs)
        assert state is not None
        assert (state.inputs == inputs) is (priority == 1)


def test_every_row_is_tried() -> None:
    assert {f"aws:s3/{kind}" for kind in ROWS} == SETTINGS.keys()


def test_a_rule_of_the_old_form_keeps_its_prefix() -> None:
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    request = SETTINGS[kind].request({"rules": [{"id": "r", "prefix": "x/"}]})
    assert request == {"LifecycleConfiguration": {"Rules": [{"ID": "r", "Prefix": "x/"}]}}


def test_the_order_of_a_policy_s_keys_and_its_secrecy_do_not_matter() -> None:
    old = {"bucket": "b", "policy": '{"a": 1, "b": 2}'}
    new = {"bucket": "b", "policy": Secret('{"b": 2, "a": 1}')}
    assert AwsProvider().diff(operation(POLICY), old, {}, new).changes == {}


def test_a_setting_that_is_accepted_but_not_kept_is_an_error() -> None:
    store = Recorded()
    with pytest.raises(ProviderError, match="accepted put_bucket_policy for b"):
        SETTINGS[POLICY].create(store, operation(POLICY), {"bucket": "b", "policy": "{}"})


def test_a_setting_of_another_owner_is_asked_for_as_such() -> None:
    store = Recorded(get_bucket_policy={"Policy": '{"a":1}'})
    inputs = {"bucket": "b", "expectedBucketOwner": "o", "policy": '{"a": 1}'}
    state = SETTINGS[POLICY].create(store, operation(POLICY), inputs)
    assert state.id == "b,o"
    assert {call["ExpectedBucketOwner"] for _, call in store.calls} == {"o"}
    # As the program wrote it.
    assert state.outputs["policy"] == '{"a": 1}'


@pytest.mark.parametrize("code", ["NoSuchBucket", "NoSuchBucketPolicy"])
def test_a_setting_that_is_gone_is_gone(code: str) -> None:
    store = Recorded(get_bucket_policy=refusal(code), delete_bucket_policy=refusal(code))
    assert SETTINGS[POLICY].read(store, "b", {}) is None
    SETTINGS[POLICY].delete(store, operation(POLICY), {})


def test_any_other_refusal_is_an_error() -> None:
    store = Recorded(get_bucket_policy=refusal("AccessDenied"), delete_bucket_policy=refusal("X"))
    with pytest.raises(StoreError, match="AccessDenied: because"):
        SETTINGS[POLICY].read(store, "b", {})
    with pytest.raises(StoreError):
        SETTINGS[POLICY].delete(store, operation(POLICY), {})


def test_a_lifecycle_rule_without_a_filter_holds_for_everything() -> None:
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    store = Recorded(get_bucket_lifecycle_configuration={"Rules": []})
    rules = [{"id": "r", "status": "Enabled", "expiration": {"days": 3}}]
    SETTINGS[kind].create(store, operation(kind), {"bucket": "b", "rules": rules})
    (sent,) = store.calls[0][1]["LifecycleConfiguration"]["Rules"]
    assert sent == {
        "ID": "r",
        "Status": "Enabled",
        "Expiration": {"Days": 3},
        "Filter": {"Prefix": ""},
    }


# Buckets


def test_a_bucket_elsewhere_says_where() -> None:
    store = Recorded()
    store.region = "eu-west-1"
    Bucket().create(store, operation(), {"bucket": "b", "objectLockEnabled": True})
    assert store.calls[0][1] == {
        "Bucket": "b",
        "ObjectLockEnabledForBucket": True,
        "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"},
    }


def test_a_bucket_whose_tags_fail_stays_in_state() -> None:
    store = Recorded(put_bucket_tagging=refusal("InvalidTag"))
    with pytest.raises(PartialFailure, match="InvalidTag") as caught:
        Bucket().create(store, operation(), {"bucket": "b", "tags": {"a": "b"}})
    assert caught.value.state.id == "b"
    assert caught.value.state.outputs["tags"] == {}


def test_everything_is_deleted_page_by_page_before_the_bucket() -> None:
    pages = [
        {"Versions": [{"Key": "a", "VersionId": "1"}], "DeleteMarkers": []},
        {"DeleteMarkers": [{"Key": "b", "VersionId": "2"}]},
        {},
    ]
    store = Recorded(list_object_versions=pages)
    outputs = {"forceDestroy": True, "objectLockEnabled": True}
    Bucket().delete(store, operation(), outputs)
    assert store.methods == [
        "list_object_versions",
        "delete_objects",
        "delete_objects",
        "delete_bucket",
    ]
    assert [call["Delete"]["Objects"] for _, call in store.calls[1:3]] == [
        [{"Key": "a", "VersionId": "1"}],
        [{"Key": "b", "VersionId": "2"}],
    ]
    assert all(call["BypassGovernanceRetention"] for _, call in store.calls[1:3])


def test_without_force_destroy_nothing_in_a_bucket_is_touched() -> None:
    store = Recorded(delete_bucket=refusal("BucketNotEmpty"))
    with pytest.raises(ProviderError, match="set forceDestroy"):
        Bucket().delete(store, operation(), {"forceDestroy": False})
    assert store.methods == ["delete_bucket"]


def test_without_a_lock_no_retention_is_passed_over() -> None:
    store = Recorded(list_object_versions=[{"Versions": [{"Key": "a", "VersionId": "1"}]}])
    Bucket().delete(store, operation(), {"forceDestroy": True})
    assert "BypassGovernanceRetention" not in store.calls[1][1]


def test_locked_versions_are_named_after_the_rest_is_gone() -> None:
    def delete(Delete: dict[str, Any], **_: Any) -> dict[str, Any] | StoreError:  # noqa: ANN401
        # A store that refuses the whole request for one locked version in it.
        locked = [each for each in Delete["Objects"] if each["Key"] == "locked"]
        return refusal("InvalidRequest") if locked else {}

    versions = [{"Key": key, "VersionId": "1"} for key in ("a", "locked", "z")]
    store = Recorded(list_object_versions=[{"Versions": versions}], delete_objects=delete)
    with pytest.raises(ProviderError, match=r"1 versions cannot .* locked \(version 1\): because"):
        empty(store, operation(), "b", bypass=True)
    assert len(store.calls) == 1 + 1 + 3


def test_many_locked_versions_are_counted() -> None:
    errors = [{"Key": f"k{n}", "VersionId": "1", "Code": "AccessDenied"} for n in range(8)]
    store = Recorded(
        list_object_versions=[{"Versions": [{"Key": "k", "VersionId": "1"}] * 9}],
        delete_objects={"Errors": errors},
    )
    with pytest.raises(ProviderError, match=r"8 versions .* k4 \(version 1\): \w+ and 3 more"):
        empty(store, operation(), "b", bypass=True)


def test_one_key_is_deleted_without_those_that_begin_alike() -> None:
    versions = [{"Key": key, "VersionId": "1"} for key in ("a", "ab")]
    store = Recorded(list_object_versions=[{"Versions": versions}])
    empty(store, operation(), "b", bypass=False, key="a")
    assert store.calls[0][1]["Prefix"] == "a"
    assert store.calls[1][1]["Delete"]["Objects"] == [{"Key": "a", "VersionId": "1"}]


def test_emptying_ends_when_the_engine_is_cancelled() -> None:
    cancelled = operation()
    cancelled.cancelled.set()
    store = Recorded(list_object_versions=[{"Versions": [{"Key": "a", "VersionId": "1"}]}])
    with pytest.raises(ProviderError, match="cancelled after 0 versions"):
        empty(store, cancelled, "b", bypass=False)


def test_a_bucket_that_is_gone_is_gone() -> None:
    store = Recorded(head_bucket=refusal("404"), delete_bucket=refusal("NoSuchBucket"))
    assert Bucket().read(store, "b", {"bucket": "b"}) is None
    Bucket().delete(store, operation(), {})


@pytest.mark.parametrize(
    ("tags", "inputs", "declared"),
    [
        ({"a": "b"}, {"bucket": "b", "forceDestroy": True}, {"tags": {"a": "b"}}),
        ({}, {"bucket": "b", "forceDestroy": True}, {}),
        (
            {"a": "2"},
            {"bucket": "b", "forceDestroy": True, "tags": {"a": "1"}},
            {"tags": {"a": "2"}},
        ),
        ({}, {"bucket": "b", "forceDestroy": True, "tags": {"a": "1"}}, {"tags": {}}),
    ],
)
def test_a_refresh_sees_tags_and_keeps_what_only_the_program_knows(
    tags: dict[str, str], inputs: dict[str, Any], declared: dict[str, Any]
) -> None:
    answer = {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}
    store = Recorded(
        get_bucket_tagging=answer if tags else refusal("NoSuchTagSet"),
        get_object_lock_configuration=refusal("ObjectLockConfigurationNotFoundError"),
    )
    state = Bucket().read(store, "b", inputs)
    assert state is not None
    assert state.inputs == {"bucket": "b", "forceDestroy": True, **declared}
    assert state.outputs["tagsAll"] == tags
    assert state.outputs["objectLockEnabled"] is False


def test_an_adopted_bucket_says_what_it_is() -> None:
    lock = {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}}
    store = Recorded(get_object_lock_configuration=lock)
    state = Bucket().read(store, "b", {})
    assert state is not None
    assert state.inputs == {"bucket": "b", "objectLockEnabled": True}
    assert state.outputs["arn"] == "arn:aws:s3:::b"


@pytest.mark.parametrize(
    "call", ["head_bucket", "get_bucket_tagging", "get_object_lock_configuration"]
)
def test_a_refresh_that_is_refused_is_no_missing_bucket(call: str) -> None:
    with pytest.raises(StoreError, match="AccessDenied"):
        Bucket().read(Recorded(**{call: refusal("AccessDenied")}), "b", {"bucket": "b"})


def test_any_other_refusal_of_a_bucket_is_an_error() -> None:
    store = Recorded(create_bucket=refusal("X"), delete_bucket=refusal("X"))
    with pytest.raises(StoreError):
        Bucket().create(store, operation(), {"bucket": "b"})
    with pytest.raises(StoreError):
        Bucket().delete(store, operation(), {})


def test_a_bucket_that_is_there_already_can_be_imported() -> None:
    store = Recorded(create_bucket=refusal("BucketAlreadyOwnedByYou"))
    with pytest.raises(ProviderError, match="pulumi import aws:s3/bucket:Bucket Data b"):
        Bucket().create(store, operation(), {"bucket": "b"})


def test_outputs_hold_what_the_program_said_and_not_the_provider_s_mark() -> None:
    inputs = {"bucket": "b", "forceDestroy": True, "__defaults": ["bucket"]}
    outputs = Bucket().create(Recorded(), operation(), inputs).outputs
    assert outputs["forceDestroy"] is True
    assert "__defaults" not in outputs
    assert (
        Bucket().create(Recorded(), operation(), {"bucket": "b"}).outputs["forceDestroy"] is False
    )


def test_only_changed_tags_are_written() -> None:
    store = Recorded(get_bucket_tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
    old = {"tags": {"a": "1"}}
    Bucket().update(store, operation(), old, {"tags": {"a": "1"}, "forceDestroy": True})
    assert store.methods == []
    Bucket().update(store, operation(), old, {"tags": {"a": "2"}})
    assert store.methods == ["put_bucket_tagging"]
    Bucket().update(store, operation(), old, {})
    assert store.methods[-1] == "delete_bucket_tagging"


# Objects


HEAD = {"ETag": '"e"', "VersionId": "v1", "ContentType": "text/plain", "Metadata": {}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"content": "ä"}, "ä".encode()),
        ({"contentBase64": "AAE="}, bytes([0, 1])),
        ({"source": Asset(text="t")}, b"t"),
    ],
)
def test_an_object_is_written_with_what_a_lock_demands(given: dict[str, Any], sent: bytes) -> None:
    store = Recorded(head_object=HEAD, get_object_tagging={"TagSet": []})
    inputs = {"bucket": "b", "key": "k", "contentType": "text/plain", "tags": {"a b": "c&d"}}
    state = Object().create(store, operation(OBJECT), {**inputs, **given})
    method, request = store.calls[0]
    assert (method, request["Body"], request["ContentType"]) == ("put_object", sent, "text/plain")
    assert request["ContentMD5"] == base64.b64encode(hashlib.md5(sent).digest()).decode()  # noqa: S324
    assert request["Tagging"] == "a+b=c%26d"
    assert state.id == "b/k"
    assert (state.outputs["etag"], state.outputs["versionId"]) == ("e", "v1")


def test_an_object_s_content_comes_from_a_file(tmp_path: Path) -> None:
    store = Recorded(head_object=HEAD)
    file = tmp_path / "f"
    file.write_bytes(b"1")
    inputs = {"bucket": "b", "key": "k", "source": Asset(path=str(file))}
    Object().create(store, operation(OBJECT), inputs)
    assert store.calls[0][1]["Body"] == b"1"
    file.unlink()
    with pytest.raises(ProviderError, match=f"{file}: No such file"):
        Object().create(store, operation(OBJECT), inputs)
    with pytest.raises(Refused, match="only a file or text asset"):
        Object().create(store, operation(OBJECT), {**inputs, "source": Asset(uri="http://x")})
    with pytest.raises(ProviderError, match="is no base64"):
        Object()._put(store, {"bucket": "b", "key": "k", "contentBase64": "!"})


def test_a_secret_content_stays_secret() -> None:
    provider = AwsProvider()
    provider.configure({})
    provider._services["s3"] = Recorded(head_object=HEAD)
    inputs = {"bucket": "b", "key": "k", "content": Secret("word")}
    state = provider.create(operation(OBJECT), inputs)
    assert state.outputs["content"] == state.inputs["content"] == Secret("word")
    outputs = provider.update(operation(OBJECT), inputs, state.outputs, inputs)
    assert outputs["content"] == Secret("word")


def test_a_preview_does_not_know_the_next_version() -> None:
    old = {"bucket": "b", "key": "k", "content": "1", "etag": "e", "versionId": "v", "arn": "a"}
    new = {"bucket": "b", "key": "k", "content": "2"}
    outputs = AwsProvider().update(operation(OBJECT, preview=True), {}, old, new)
    assert outputs == {"bucket": "b", "key": "k", "content": "2", "arn": "a"}


def test_the_same_file_elsewhere_is_no_change() -> None:
    old = {"source": Asset(path="a", hash="1")}
    assert AwsProvider().diff(
        operation(OBJECT), old, {}, {"source": Asset(path="b", hash="1")}
    ) == (AwsProvider().diff(operation(OBJECT), old, {}, old))
    other = {"source": Asset(path="a", hash="2")}
    assert list(AwsProvider().diff(operation(OBJECT), old, {}, other).changes) == ["source"]


def test_an_object_has_one_content_and_a_key() -> None:
    complete = Object().complete(operation(OBJECT), {}, {"bucket": "b", "content": ""}, b"")
    assert complete == {"key": "Data", "bucket": "b", "content": ""}
    for contents in ({}, {"content": "", "contentBase64": ""}):
        with pytest.raises(Invalid, match="give one of"):
            Object().complete(operation(OBJECT), {}, {"bucket": "b", **contents}, b"")
    with pytest.raises(Invalid, match="bucket is missing"):
        Object().complete(operation(OBJECT), {}, {"content": ""}, b"")


def test_an_object_that_is_gone_is_gone() -> None:
    store = Recorded(head_object=refusal("404"), delete_object=refusal("NoSuchBucket"))
    assert Object().read(store, "b/k", {}) is None
    Object().delete(store, operation(OBJECT), {"bucket": "b", "key": "k"})
    with pytest.raises(ProviderError, match="b/k is gone again"):
        Object().create(store, operation(OBJECT), {"bucket": "b", "key": "k", "content": ""})


def test_an_object_is_deleted_with_all_its_versions() -> None:
    versions = [{"Key": "k", "VersionId": "1"}, {"Key": "k", "VersionId": "2"}]
    store = Recorded(list_object_versions=[{"Versions": versions}])
    outputs = {"bucket": "b", "key": "k", "versionId": "2"}
    Object().delete(store, operation(OBJECT, identity="b/k"), outputs)
    assert store.calls[1][1] == {"Bucket": "b", "Delete": {"Objects": versions, "Quiet": True}}
    Object().delete(store, operation(OBJECT), {**outputs, "forceDestroy": True})
    assert store.calls[-1][1]["BypassGovernanceRetention"] is True


def test_an_adopted_object_says_what_it_is() -> None:
    head = {**HEAD, "Metadata": {"m": "n"}}
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    state = Object().read(Recorded(head_object=head, get_object_tagging=tags), "s3://b/k/l", {})
    assert state is not None
    assert state.id == "b/k/l"
    assert state.inputs == {
        "bucket": "b",
        "key": "k/l",
        "contentType": "text/plain",
        "metadata": {"m": "n"},
        "tags": {"a": "b"},
    }


# The client


def client(*answers: Exception | dict[str, Any]) -> tuple[Client, list[float]]:
    """A client whose calls get `answers` in turn, and the pauses it makes."""
    pauses: list[float] = []
    left = list(answers)

    def answer(**_: Any) -> dict[str, Any]:  # noqa: ANN401
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, Exception):
            raise given
        return given

    calls = dict.fromkeys(("put_bucket_encryption", "create_bucket", "head_bucket"), answer)
    fake = SimpleNamespace(meta=SimpleNamespace(endpoint_url="http://store"), **calls)
    return Client(fake, "us-east-1", pauses.append), pauses


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "said so"}}, "Call")


@pytest.mark.parametrize(
    "code", ["BucketAlreadyOwnedByYou", "BucketAlreadyExists", "NotImplemented", "MethodNotAllowed"]
)
def test_a_call_that_the_endpoint_does_not_know_is_an_error_that_says_so(code: str) -> None:
    store, _ = client(failure(code))
    with pytest.raises(Refused, match=f"does not implement PutBucketEncryption .*{code}.*lacks it"):
        store.call("put_bucket_encryption", Bucket="b")


def test_a_bucket_that_exists_is_no_missing_call() -> None:
    store, _ = client(failure("BucketAlreadyOwnedByYou"))
    with pytest.raises(StoreError, match=r"CreateBucket b at http://store: .*: said so"):
        store.call("create_bucket", Bucket="b")


def test_a_proxy_that_does_not_know_the_store_yet_is_waited_for() -> None:
    store, pauses = client(failure("404"), failure("503"), {"Location": "/b"})
    assert store.call("create_bucket", Bucket="b") == {"Location": "/b"}
    assert pauses == [1, 1]


def test_a_proxy_is_not_waited_for_for_ever() -> None:
    store, pauses = client(failure("404"))
    with pytest.raises(ProviderError, match="no S3 store answered for 30 s"):
        store.call("create_bucket", Bucket="b")
    assert len(pauses) == 30


@pytest.mark.parametrize(("given", "attempts"), [(None, 12), (0, 1), (3, 4)])
def test_a_client_is_made_as_the_provider_was_told(given: int | None, attempts: int) -> None:
    told = configuration.Configuration(
        endpoint="http://s:1", access_key="a", secret_key="b", path_style=True, max_retries=given
    )
    store = connect(told)
    assert (store.endpoint, store.region) == ("http://s:1", "us-east-1")
    config = store._client.meta.config
    assert config.retries["total_max_attempts"] == attempts
    assert config.s3["addressing_style"] == "path"
    plain = connect(configuration.Configuration(access_key="a", secret_key="b"))
    assert "addressing_style" not in (plain._client.meta.config.s3 or {})


def test_an_endpoint_that_is_no_url_is_named() -> None:
    with pytest.raises(ProviderError, match=r"configuration of the provider aws: .*nowhere"):
        connect(configuration.Configuration(endpoint="nowhere"))


def test_a_listing_that_is_refused_is_an_error() -> None:
    def paginate(**_: object) -> Iterator[dict[str, Any]]:
        yield {}
        raise failure("AccessDenied")

    paginator = SimpleNamespace(paginate=paginate)
    fake = SimpleNamespace(
        meta=SimpleNamespace(endpoint_url="http://store"), get_paginator=lambda _: paginator
    )
    pages = Client(fake, "us-east-1").pages("list_object_versions", Bucket="b")
    assert next(pages) == {}
    with pytest.raises(StoreError, match="ListObjectVersions b at http://store: AccessDenied"):
        next(pages)


def test_head_has_no_words_for_what_is_missing() -> None:
    store, pauses = client(failure("404"))
    with pytest.raises(StoreError) as caught:
        store.call("head_bucket", Bucket="b")
    assert (caught.value.code, pauses) == ("404", [])


def test_a_dead_endpoint_is_named() -> None:
    store, _ = client(EndpointConnectionError(endpoint_url="http://store/b"))
    with pytest.raises(ProviderError, match="CreateBucket b at http://store: Could not connect"):
        store.call("create_bucket", Bucket="b")
