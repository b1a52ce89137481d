"""What the stand-in for `aws` makes in an account that is emulated: rows of calls, and echoes."""

import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from boto3.session import Session
from botocore.exceptions import ClientError

from lab.standins.aws import provider, stage
from lab.standins.aws.client import Client
from lab.standins.aws.provider import ROWS, AwsProvider
from lab.standins.aws.row import Call, Row
from lab.standins.aws.shaping import fill, shaped
from lab.standins.provider import Invalid, Operation, PartialFailure, ProviderError, Refused
from lab.standins.values import UNKNOWN

VPC, GROUP, ROLE = "aws:ec2/vpc:Vpc", "aws:ec2/securityGroup:SecurityGroup", "aws:iam/role:Role"
ADDON, CLUSTER = "aws:eks/addon:Addon", "aws:eks/cluster:Cluster"
INPUTS = {"cidrBlock": "10.0.0.0/16", "enableDnsSupport": True, "tags": {"b": "2", "a": "1"}}


@cache
def real(service: str) -> Any:  # noqa: ANN401 - boto3's clients have no type
    return Session().client(service, "eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")


class Recorded(Client):
    """Amazon's own description of a service, with `answers` of ours; remembers its calls."""

    def __init__(self, service: str, **answers: Any) -> None:  # noqa: ANN401
        super().__init__(real(service), "eu-west-1", service=service)
        self.answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, method: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401
        self.check(method, parameters)
        self.calls.append((method, parameters))
        answer = self.answers.get(method, {})
        if isinstance(answer, ClientError):
            self._raise(answer, method, parameters)
        return answer


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Op")


def operation(
    kind: str = VPC, *, identity: str = "i", preview: bool = False, said: list[str] | None = None
) -> Operation:
    return Operation(
        urn="urn",
        type=kind,
        name="net",
        id=identity,
        preview=preview,
        cancelled=threading.Event(),
        log=lambda message, severity: (said if said is not None else []).append(message),
        status=lambda message: None,
    )


def ec2(**more: Any) -> Recorded:  # noqa: ANN401
    made = {"Vpc": {"VpcId": "vpc-1"}}
    return Recorded("ec2", create_vpc=made, describe_vpcs={"Vpcs": [made["Vpc"]]}, **more)


def test_a_thing_is_made_set_up_and_looked_for() -> None:
    store = ec2()
    state = ROWS[VPC].create(store, operation(), INPUTS)
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    assert store.calls == [
        (
            "create_vpc",
            {
                "CidrBlock": "10.0.0.0/16",
                "TagSpecifications": [{"ResourceType": "vpc", "Tags": tags}],
            },
        ),
        ("modify_vpc_attribute", {"VpcId": "vpc-1", "EnableDnsSupport": {"Value": True}}),
        ("describe_vpcs", {"VpcIds": ["vpc-1"]}),
    ]
    assert state.id == "vpc-1"
    assert state.outputs == {**INPUTS, "tagsAll": INPUTS["tags"], "region": "eu-west-1"}


def test_what_is_made_and_fails_to_be_set_up_stays_in_state() -> None:
    store = ec2(modify_vpc_attribute=refusal("Busy"))
    with pytest.raises(PartialFailure) as caught:
        ROWS[VPC].create(store, operation(), INPUTS)
    assert caught.value.state.id == "vpc-1"


def test_an_answer_without_an_id_made_nothing() -> None:
    kind = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
    rule = {"securityGroupId": "sg", "ipProtocol": "tcp", "fromPort": 1, "toPort": 1}
    store = Recorded("ec2", authorize_security_group_ingress={"SecurityGroupRules": []})
    with pytest.raises(ProviderError, match="authorize_security_group_ingress answered with no id"):
        ROWS[kind].create(store, operation(kind), rule)


@pytest.mark.parametrize("answer", [{"Vpcs": []}, refusal("InvalidVpcID.NotFound")])
def test_what_is_gone_is_seen_to_be_gone(answer: Any) -> None:  # noqa: ANN401
    store = Recorded("ec2", describe_vpcs=answer)
    assert ROWS[VPC].read(store, "vpc-1", INPUTS) is None


def test_a_failure_to_look_is_not_taken_for_its_absence() -> None:
    with pytest.raises(ProviderError, match="Throttled"):
        ROWS[VPC].read(Recorded("ec2", describe_vpcs=refusal("Throttled")), "vpc-1", INPUTS)


def test_an_update_calls_what_sets_the_changed_input_and_no_more() -> None:
    store = ec2()
    after = {**INPUTS, "enableDnsSupport": False}
    ROWS[VPC].update(store, operation(identity="vpc-1"), INPUTS, after)
    assert [method for method, _ in store.calls] == ["modify_vpc_attribute", "describe_vpcs"]
    assert ROWS[VPC].replaces == {"cidrBlock", "region"}


def test_tags_of_ec2_are_changed_and_other_services_tags_refused() -> None:
    store = ec2()
    ROWS[VPC].update(store, operation(identity="v"), INPUTS, {**INPUTS, "tags": {"a": "3"}})
    assert store.calls[:2] == [
        ("delete_tags", {"Resources": ["v"], "Tags": [{"Key": "b"}]}),
        ("create_tags", {"Resources": ["v"], "Tags": [{"Key": "a", "Value": "3"}]}),
    ]
    old = {"name": "r", "assumeRolePolicy": "{}", "tags": {"a": "1"}}
    with pytest.raises(Refused, match="tags of aws:iam/role:Role"):
        ROWS[ROLE].update(Recorded("iam"), operation(ROLE), old, {**old, "tags": {}})


def test_where_making_again_changes_only_what_names_it_replaces() -> None:
    row = ROWS["aws:iam/rolePolicy:RolePolicy"]
    assert row.replaces == {"role", "name", "region"}
    store = Recorded("iam", get_role_policy={"PolicyName": "p"})
    old = {"role": "r", "name": "p", "policy": "{}"}
    row.update(store, operation("x", identity="r:p"), old, {**old, "policy": "[]"})
    assert store.calls[0] == (
        "put_role_policy",
        {"RoleName": "r", "PolicyName": "p", "PolicyDocument": "[]"},
    )


def test_a_deletion_of_what_is_gone_is_none_and_another_refusal_is_told() -> None:
    row, gone = ROWS[VPC], refusal("InvalidVpcID.NotFound")
    row.delete(Recorded("ec2", delete_vpc=gone), operation(), INPUTS)
    with pytest.raises(ProviderError, match="DependencyViolation"):
        row.delete(Recorded("ec2", delete_vpc=refusal("DependencyViolation")), operation(), INPUTS)


def test_a_key_that_waits_for_its_deletion_is_gone() -> None:
    row = ROWS["aws:kms/key:Key"]
    for state, there in (("Enabled", True), ("PendingDeletion", False)):
        answer = {"KeyMetadata": {"KeyId": "k", "Arn": "arn", "KeyState": state}}
        store = Recorded("kms", describe_key=answer)
        assert (row.read(store, "k", {"description": "d"}) is not None) is there


def test_the_group_of_a_cluster_s_nodes_is_the_one_that_stands_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "cluster", lambda: ("https://api", "authority"))
    monkeypatch.delenv(stage.NODES, raising=False)
    store = Recorded("eks", describe_cluster={"cluster": {"name": "c"}})
    with pytest.raises(ProviderError, match="FERRY_REHEARSAL_SECURITY_GROUP is not set"):
        ROWS[CLUSTER].read(store, "c", {"name": "c"})
    monkeypatch.setenv(stage.NODES, "sg-1")
    state = ROWS[CLUSTER].read(store, "c", {"name": "c"})
    assert state
    assert state.outputs["vpcConfig"] == {"clusterSecurityGroupId": "sg-1"}


def test_an_echo_makes_nothing_but_asks_for_its_cluster() -> None:
    store = Recorded("eks", describe_cluster={"cluster": {"name": "c"}})
    inputs = {"clusterName": "c", "addonName": "metrics-server"}
    state = ROWS[ADDON].create(store, operation(ADDON), inputs)
    assert store.calls == [("describe_cluster", {"name": "c"})]
    assert state.id == "c:metrics-server"
    without = Recorded("eks", describe_cluster=refusal("ResourceNotFoundException"))
    with pytest.raises(ProviderError, match="describe_cluster has it not"):
        ROWS[ADDON].create(without, operation(ADDON), inputs)


def test_an_echo_refuses_what_amazon_s_own_description_refuses() -> None:
    with pytest.raises(ProviderError, match="CreateAddon: Missing required parameter"):
        ROWS[ADDON].create(Recorded("eks"), operation(ADDON), {"clusterName": "c"})


def test_every_echo_says_why() -> None:
    echoes = {kind: row.echo for kind, row in ROWS.items() if row.echo is not None}
    assert len(echoes) == 7
    assert all("emulator" in reason for reason in echoes.values())


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> Callable[..., AwsProvider]:
    """`emulated(services…)`: the provider as the program configures it, in an emulated account."""
    monkeypatch.setenv(stage.ENDPOINT, "http://127.0.0.1:1")

    def make(**services: Recorded) -> AwsProvider:
        made = AwsProvider()
        tags = '{"tags": {"ferry:environment": "live"}}'
        args = {"region": "eu-west-1", "defaultTags": tags, "allowedAccountIds": '["1"]'}
        made.configure(made.check_config(args))
        made._services.update(services)
        return made

    return make


def test_the_provider_s_own_tags_are_on_everything_that_can_have_some(
    emulated: Callable[..., AwsProvider],
) -> None:
    checked = emulated().check(operation(), {}, {"cidrBlock": "x", "tags": {"a": "1"}}, b"")
    assert checked["tags"] == {"ferry:environment": "live", "a": "1"}
    route = {"subnetId": "s", "routeTableId": "r"}
    kind = "aws:ec2/routeTableAssociation:RouteTableAssociation"
    assert emulated().check(operation(kind), {}, route, b"") == route


def test_an_echo_is_said_once(emulated: Callable[..., AwsProvider]) -> None:
    eks = Recorded("eks", describe_cluster={"cluster": {"name": "c"}})
    made, said = emulated(eks=eks), []
    for name in ("one", "two"):
        made.create(operation(ADDON, said=said), {"clusterName": "c", "addonName": name})
    assert said == [f"{ADDON} is an echo: the emulator's EKS has no add-ons"]


def test_another_account_than_the_program_names_is_refused(
    emulated: Callable[..., AwsProvider], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(_: object, service: str) -> Recorded:
        return Recorded(service, get_caller_identity={"Account": "2"})

    monkeypatch.setattr("lab.standins.aws.client.connect", connect)
    with pytest.raises(ProviderError, match="the account is 2, allowed are 1"):
        emulated().create(operation(), INPUTS)


def test_nothing_of_an_account_is_touched_that_is_not_emulated() -> None:
    with pytest.raises(Refused, match="where AWS is none that `make rehearse` emulates"):
        AwsProvider().check(operation(), {}, INPUTS, b"")
    with pytest.raises(Invalid, match="defaultTags is not covered"):
        AwsProvider().check_config({"defaultTags": "{}"})
    with pytest.raises(Refused):
        AwsProvider().invoke(provider._LOGIN, {})


def test_a_preview_does_not_know_what_only_aws_tells(
    emulated: Callable[..., AwsProvider],
) -> None:
    inputs = {"name": "c", "vpcConfig": {"subnetIds": [UNKNOWN]}}
    planned = emulated().create(operation(CLUSTER, preview=True), inputs)
    assert planned.outputs["vpcConfig"]["clusterSecurityGroupId"] is UNKNOWN
    assert "endpoint" not in planned.outputs
    before = {**inputs, "vpcConfig": {"subnetIds": ["s"], "clusterSecurityGroupId": "sg"}}
    told = emulated().update(operation(CLUSTER, preview=True), inputs, before, inputs)
    assert told["vpcConfig"]["clusterSecurityGroupId"] == "sg"


def test_a_name_is_made_up_once(emulated: Callable[..., AwsProvider]) -> None:
    first = emulated().check(operation(GROUP), {}, {"vpcId": "v"}, b"seed")
    assert first["name"].startswith("net-")
    again = emulated().check(operation(GROUP), first, {"vpcId": "v"}, b"other")
    assert again["name"] == first["name"]
    assert emulated().diff(operation(GROUP), first, first, again).changes == {}


def test_a_template_is_filled_and_what_has_no_value_left_out() -> None:
    values = {"a": [1], "b": "x"}
    template = {"whole": "{a}", "part": "{b}/y", "none": "{c}", "list": ["{b}", "{c}"], "n": 1}
    assert fill(template, values) == {"whole": [1], "part": "x/y", "list": ["x"], "n": 1}
    assert fill(lambda all_: len(all_), values) == 2


def test_a_message_has_amazon_s_names_at_every_depth() -> None:
    shape = Recorded("kms").shape("create_key")
    given = {"description": "d", "tags": {"k": "v"}, "multiRegion": None}
    wanted = {"Description": "d", "Tags": [{"TagKey": "k", "TagValue": "v"}]}
    assert shaped(given, shape, "key") == wanted
    with pytest.raises(Invalid, match=r"key\.colour"):
        shaped({"colour": "red"}, shape, "key")


def test_a_call_for_each_element_replaces_when_the_list_changes() -> None:
    row = Row(
        service="ec2",
        make=Call("create_route_table", {}),
        other=frozenset({"routes"}),
        identity="{id}",
        then=(Call("create_route", {}, of=frozenset({"routes"}), each="routes"),),
        look=Call("describe_route_tables", {}),
        there="RouteTables[0]",
    )
    assert "routes" in row.replaces
