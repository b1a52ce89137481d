"""The whole program on an account of Amazon's: the stack file is the one of docs/aws.md."""

import json
import re

import pytest

from components.mlflow_database import SETUP
from infra.account import AwsFoundation
from infra.foundations.aws_roles import pods
from infra.outputs import StackOutputs, credentials
from infra.settings import Settings, parse
from policy.exceptions import EXEMPTIONS, exempt
from policy.pack import RULES, complaints, violations
from policy.rule import Resource, Stack
from preview.amazon import ACCOUNT
from preview.record import GENERATED, concealed
from tests.program.mutants import Mutation, mutants
from tests.program.mutants_aws import MUTATIONS
from tests.program.recorder import LIVE, PIN, PINNED, ROOT, Live, Platform, Recorder


def resources(seen: Recorder) -> list[Resource]:
    return [Resource.read(each) for each in seen.registered]


def settings() -> Settings:
    return parse(LIVE, stack="live")


@pytest.mark.parametrize("pins", [{}, PINNED], ids=["empty", "pinned"])
def test_a_stack_on_aws_keeps_every_rule(live: Live, pins: dict) -> None:
    assert [str(each) for each in violations(resources(live(pins)))] == []


def test_a_trial_that_is_taken_down_again_keeps_every_rule(live: Live) -> None:
    seen = live(PINNED, "keep: true", "keep: false")
    assert [str(each) for each in violations(resources(seen))] == []
    assert [each["name"] for each in seen.registered if each["protect"]] == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_a_broken_property_is_noticed_by_its_rule(live: Live, mutation: Mutation) -> None:
    rule = next(each for each in RULES if each.number == mutation.rule)
    tried = [
        (resource, Stack(broken))
        for resource, broken in mutants(mutation, resources(live(PINNED)))
        if not exempt(rule, resource) and resource.type.startswith("aws:")
    ]
    assert tried, "no resource of the stack has this property"
    survived = [
        resource.name
        for resource, stack in tried
        if not any(list(complaints(rule, each, stack)) for each in stack.resources)
    ]
    assert survived == []


def test_the_store_of_the_lab_excuses_no_bucket_of_amazons(live: Live) -> None:
    excused = {each.name for each in EXEMPTIONS if "VersityGW" in each.reason}
    assert excused
    for name in excused:
        text = (ROOT / f"Pulumi.{name.removeprefix('ferry-')}.yaml").read_text()
        assert "kind: cluster" in text
    bucket = next(each for each in resources(live({})) if each.name == "ferry-live")
    assert bucket.name not in excused


def test_the_components_are_those_of_dev_but_for_what_amazon_has(
    live: Live, platform: Platform
) -> None:
    def components(seen: Recorder) -> set[str]:
        return {each.typ for each in seen.resources if each.typ.startswith("ferry:")}

    here = {each for each in components(live(PINNED)) if not each.startswith("ferry:aws:")}
    there = components(platform("dev", PINNED))
    assert there - here == {
        "ferry:storage:ObjectStore",
        "ferry:images:Registry",
        "ferry:features:OnlineStore",
        "ferry:tracking:MlflowBackup",  # RDS makes its own
    }
    assert here - there == set()


def test_every_account_of_the_store_is_a_role_of_pods_that_there_are(live: Live) -> None:
    seen = live(PINNED)
    given = {
        (each["namespace"], each["serviceAccount"]) for each in seen.of("PodIdentityAssociation")
    }
    accounts = {
        (each["metadata"]["namespace"], each["metadata"].get("name"))
        for each in seen.of("ServiceAccount")
    }
    assert given <= accounts
    others = {("live-platform", SETUP)}
    assert others < given
    whole = sum(len(names) for _, names in pods(settings().platform).values())
    assert len(given - others) == whole


def test_whoever_is_told_of_the_bucket_has_a_role(live: Live) -> None:
    seen = live(PINNED)
    given = {each["serviceAccount"] for each in seen.of("PodIdentityAssociation")}
    told = {
        pod["spec"]["serviceAccountName"]
        for _, pod in seen.pods()
        if "ferry-live-a1b2c3d" in json.dumps(pod["spec"])
    }
    assert told == given - {SETUP}


def test_s3_copies_the_bucket_and_touches_nothing_else(live: Live) -> None:
    seen = live(PINNED)
    copied = seen.one("BucketReplicationConfig")
    there = "arn:aws:s3:::bank-ferry-live-copies"
    assert copied["bucket"] == "ferry-live-a1b2c3d"
    assert [each["destination"]["bucket"] for each in copied["rules"]] == [there]
    rights = seen.one("RolePolicy", "ferry-live-replica")
    stated = json.loads(rights["policy"])["Statement"]
    for each in stated:
        (resource,) = each["Resource"]
        ours = resource.removesuffix("/*") in ("arn:aws:s3:::ferry-live-a1b2c3d", there)
        assert ours or (resource.startswith("arn:aws:kms:") and "Condition" in each)
    actions = {action for each in stated for action in each["Action"]}
    assert not {action for action in actions if "Put" in action or "Delete" in action}


def test_nothing_is_copied_unless_the_stack_says_where(live: Live) -> None:
    (line,) = re.findall(r"\n +replica: .*", LIVE)
    seen = live({}, line, "")
    assert seen.of("BucketReplica") == seen.of("BucketReplicationConfig") == []


def test_no_key_of_the_store_is_anywhere(live: Live) -> None:
    seen = live(PINNED)
    for each in seen.resources:
        assert "AWS_SECRET_ACCESS_KEY" not in json.dumps(each.inputs), each.name
    known = credentials(seen.outputs)
    assert known.object_store is None
    assert known.registry is None


def test_the_login_to_the_registry_goes_to_images_alone(live: Live) -> None:
    seen = live(PINNED)
    holding = {each.typ for each in seen.resources if f"{GENERATED}ecr" in json.dumps(each.inputs)}
    assert holding == {"docker:index/image:Image"}
    telling = [e.typ for e in seen.resources if GENERATED in json.dumps(concealed(e.inputs))]
    assert telling == []


def test_nothing_is_pulled_with_a_login_that_nodes_have(live: Live) -> None:
    for _, pod in live(PINNED).pods():
        assert not pod["spec"].get("imagePullSecrets")


def test_every_image_has_a_repository_before_it_is_pushed(live: Live) -> None:
    seen = live(PINNED)
    host = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
    pushed = {each["imageName"].rpartition(":")[0] for each in seen.of("Image")}
    repositories = {f"{host}/{each['name']}" for each in seen.of("ecr/repository:Repository")}
    assert pushed <= repositories
    model = seen.one("Deployment", "credit-default")["spec"]["template"]["spec"]["containers"][0]
    assert model["image"] == f"{host}/credit-default@{PIN['image']}"
    assert model["image"].partition("@")[0] in repositories


def test_the_bucket_is_opened_to_roles_and_closed_to_plain_connections(live: Live) -> None:
    seen = live(PINNED)
    found = json.loads(seen.one("BucketPolicy", "ferry-live")["policy"])["Statement"]
    *allowed, refused = found
    arns = {each["Principal"]["AWS"][0] for each in allowed}
    assert all(arn.startswith(f"arn:aws:iam::{ACCOUNT}:role/") for arn in arns)
    assert refused["Effect"] == "Deny"
    encrypted = seen.one("BucketServerSideEncryptionConfiguration", "ferry-live")["rules"][0]
    default = encrypted["applyServerSideEncryptionByDefault"]
    assert default["kmsMasterKeyId"].startswith("arn:aws:kms:")


def test_pipelines_make_no_rights_and_do_not_read_secrets_to_look(live: Live) -> None:
    roles = {
        each.name: each.inputs for each in live({}).resources if each.typ.endswith(":RolePolicy")
    }
    looking = roles["ferry-live-pipelines-preview"]["policy"]
    assert "kms:" not in looking
    assert "iam:" not in roles["ferry-live-pipelines-deploy"]["policy"]


def test_requests_come_from_the_subnets_of_the_load_balancers(live: Live) -> None:
    seen = live(PINNED)
    doors = {
        each["cidrBlock"]
        for each in seen.of("Subnet")
        if "kubernetes.io/role/internal-elb" in each["tags"]
    }
    (model,) = (
        each["spec"]
        for each in seen.of("NetworkPolicy")
        if each["metadata"]["namespace"] == "live-models"
        and each["spec"]["podSelector"]
        and each["spec"].get("ingress")
    )
    blocks = {peer["ipBlock"]["cidr"] for peer in model["ingress"][0]["from"] if "ipBlock" in peer}
    assert blocks == doors
    assert len(doors) == 3


def test_a_kept_stack_protects_what_holds_data_and_a_trial_does_not(live: Live) -> None:
    def protected(seen: Recorder) -> set[str]:
        return {each["type"].rpartition(":")[2] for each in seen.registered if each["protect"]}

    assert protected(live({})) == {
        "Instance",
        "ReplicationGroup",
        "Bucket",
        "Key",
        "Cluster",
        "Repository",
        "PersistentVolumeClaim",
    }


def test_a_model_that_asks_for_a_gpu_gets_nodes_that_have_one(live: Live) -> None:
    assert live(PINNED).of("NodePool") == []
    seen = live(PINNED, "memory: 512Mi", "memory: 512Mi, gpu: 1")
    assert seen.one("NodePool")["spec"]["limits"] == {"nvidia.com/gpu": "24"}
    pod = seen.one("Deployment", "credit-default")["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists"}]


def test_zones_are_data(live: Live) -> None:
    seen = live({}, "zones: [a, b, c]", "zones: [a, c]")
    assert {each["availabilityZone"] for each in seen.of("Subnet")} == {"eu-west-1a", "eu-west-1c"}
    assert len(seen.of("NatGateway")) == 2


def test_without_pipelines_and_a_budget_there_are_none(live: Live) -> None:
    start, end = LIVE.index("      pipelines:"), LIVE.index("    ingress:")
    seen = live(PINNED, LIVE[start:end], "")
    assert seen.of("OpenIdConnectProvider") == seen.of("budgets/budget:Budget") == []


def test_nothing_in_the_program_asks_which_environment_it_is() -> None:
    for path in (ROOT / "infra").rglob("*.py"):
        assert not re.search(r'environment\s*==|"(prod|live)"', path.read_text()), path


def test_the_outputs_name_what_amazon_has(live: Live) -> None:
    outputs = StackOutputs.read(live(PINNED).outputs)
    assert outputs.registry.url == f"https://{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
    assert outputs.bucket.endpoint == "https://s3.eu-west-1.amazonaws.com"
    assert outputs.mlflow.url == "http://mlflow.live.bank.example"


def test_a_foundation_says_where_and_for_whom() -> None:
    needed = {name for name, field in AwsFoundation.model_fields.items() if field.is_required()}
    assert needed == {"kind", "region", "account", "administrators", "certificate"}
