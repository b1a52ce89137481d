"""The components of the AWS foundation, each by itself."""

import json
from ipaddress import IPv4Network
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.budget import Budget, BudgetArgs
from components.database import Database, DatabaseArgs
from components.deploy_roles import DeployRoles, DeployRolesArgs
from components.eks_cluster import EksCluster, EksClusterArgs
from components.gpu_pool import GpuPool, GpuPoolArgs
from components.iam import document
from components.kms_key import KmsKey, KmsKeyArgs
from components.log_bucket import LogBucket, LogBucketArgs
from components.network import Network, NetworkArgs, subnets
from components.pod_role import PodRole, PodRoleArgs
from components.repository import Repository, RepositoryArgs
from policy.pack import violations
from policy.rule import Resource
from preview.amazon import ACCOUNT
from tests.program.recorder import Build, Recorder

REGION = "eu-west-1"
ZONES = [f"{REGION}{letter}" for letter in "abc"]
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/k"
NAMED = {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/data/*"]}


def network(build: Build) -> Recorder:
    args = NetworkArgs(
        region=REGION, account=ACCOUNT, zones=ZONES, cidr="10.0.0.0/16", log_key=KEY, log_days=365
    )
    return build(lambda: Network("ferry", args))


def eks(build: Build, *, public: tuple[str, ...] = (), keep: bool = True) -> Recorder:
    args = EksClusterArgs(
        version="1.34",
        region=REGION,
        subnets=["subnet-a", "subnet-b"],
        services="172.20.0.0/16",
        public_cidrs=public,
        secrets_key=KEY,
        volumes_key=KEY,
        log_key=KEY,
        log_days=365,
        access={"admin": (f"arn:aws:iam::{ACCOUNT}:role/admin", "ClusterAdmin")},
        groups={"ferry:live:auditors": f"arn:aws:iam::{ACCOUNT}:role/auditor"},
        keep=keep,
    )
    return build(lambda: known.append(EksCluster("ferry-live", args)))


known: list[Any] = []


def database(build: Build, *, keep: bool) -> Recorder:
    args = DatabaseArgs(
        network="vpc",
        subnets=["subnet-a", "subnet-b"],
        callers="sg-cluster",
        name="mlflow",
        size=20,
        instance="db.t4g.medium",
        key=KEY,
        backup_days=35,
        keep=keep,
    )
    return build(lambda: Database("mlflow", args))


def statements(given: str) -> list[dict[str, Any]]:
    return json.loads(given)["Statement"]


@given(
    st.integers(8, 20).flatmap(
        lambda length: st.integers(0, 2**length - 1).map(
            lambda number: f"{IPv4Network((number << (32 - length), length))}"
        )
    ),
    st.integers(1, 7),
)
def test_subnets_lie_in_the_network_apart_from_each_other(cidr: str, zones: int) -> None:
    private, public = subnets(cidr, zones)
    assert (len(private), len(public)) == (zones, zones)
    every = [IPv4Network(each) for each in (*private, *public)]
    assert all(each.subnet_of(IPv4Network(cidr)) for each in every)
    assert not any(one.overlaps(other) for one, other in combinations(every, 2))
    assert min(IPv4Network(each).num_addresses for each in private) * 8 == (
        IPv4Network(cidr).num_addresses
    )


@pytest.mark.parametrize(("cidr", "zones"), [("10.0.0.0/21", 3), ("10.0.0.0/16", 8)])
def test_a_network_that_is_too_small_is_refused(cidr: str, zones: int) -> None:
    with pytest.raises(ValueError, match="at most 7 zones"):
        subnets(cidr, zones)


def test_every_zone_has_its_own_way_out(build: Build) -> None:
    seen = network(build)
    assert len(seen.of("NatGateway")) == len(ZONES)
    routes = [each["routes"] for each in seen.of("RouteTable") if "natGatewayId" in str(each)]
    assert {route[0]["natGatewayId"] for route in routes} == {f"ferry-{zone}-id" for zone in ZONES}
    assert {each["availabilityZone"] for each in seen.of("Subnet")} == set(ZONES)


def test_amazons_services_are_reached_inside_the_network(build: Build) -> None:
    endpoints = {each["serviceName"]: each for each in network(build).of("VpcEndpoint")}
    names = {each.removeprefix(f"com.amazonaws.{REGION}.") for each in endpoints}
    assert names == {
        *("s3", "ecr.api", "ecr.dkr", "sts", "logs", "eks", "eks-auth", "kms", "secretsmanager"),
    }
    gateway = endpoints.pop(f"com.amazonaws.{REGION}.s3")
    assert gateway["vpcEndpointType"] == "Gateway"
    assert len(gateway["routeTableIds"]) == len(ZONES)
    assert all(each["privateDnsEnabled"] is True for each in endpoints.values())


def test_connections_are_logged_by_a_role_that_writes_there_alone(build: Build) -> None:
    seen = network(build)
    (allowed,) = statements(seen.one("RolePolicy")["policy"])
    group = seen.one("FlowLog")["logDestination"]
    assert allowed["Resource"] == [group, f"{group}:*"]
    assert seen.one("LogGroup")["kmsKeyId"] == KEY


def test_a_role_that_is_in_a_group_has_the_groups_rights_and_no_policy(build: Build) -> None:
    seen = eks(build)
    entry = seen.one("AccessEntry", "ferry:live:auditors")
    assert entry["kubernetesGroups"] == ["ferry:live:auditors"]
    assert seen.one("AccessPolicyAssociation")["principalArn"].endswith(":role/admin")


def test_who_made_a_cluster_may_do_nothing_in_it(build: Build) -> None:
    seen = eks(build)
    assert seen.one("Cluster")["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert {each["principalArn"] for each in seen.of("AccessEntry")} == {
        f"arn:aws:iam::{ACCOUNT}:role/admin",
        f"arn:aws:iam::{ACCOUNT}:role/auditor",
    }
    assert seen.one("AccessPolicyAssociation")["policyArn"] == (
        "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
    )


@pytest.mark.parametrize("public", [(), ("192.0.2.0/24",)])
def test_a_clusters_api_is_public_to_named_addresses_alone(
    build: Build, public: tuple[str, ...]
) -> None:
    found = eks(build, public=public).one("Cluster")["vpcConfig"]
    assert found["endpointPrivateAccess"] is True
    assert found["endpointPublicAccess"] is bool(public)
    assert found.get("publicAccessCidrs", []) == list(public)


def test_a_kubeconfig_holds_a_command_and_no_secret(build: Build) -> None:
    known.clear()
    seen: dict[str, Any] = {}
    eks(build)
    known[0].kubeconfig.apply(lambda text: seen.update(json.loads(text)))
    build(lambda: None)
    (user,) = seen["users"]
    assert user["user"]["exec"]["command"] == "aws"
    assert user["user"]["exec"]["args"][-1] == "ferry-live"
    assert set(user["user"]) == {"exec"}


def test_a_pods_role_is_bound_to_namespace_account_and_cluster(build: Build) -> None:
    args = PodRoleArgs(
        account=ACCOUNT,
        cluster="ferry-live",
        cluster_arn="arn:aws:eks:eu-west-1:123456789012:cluster/ferry-live",
        namespace="live-platform",
        service_accounts=["mlflow"],
        statements=[NAMED],
    )
    seen = build(lambda: PodRole("mlflow", args))
    (trust,) = statements(seen.one("Role")["assumeRolePolicy"])
    assert trust["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {
            "aws:SourceAccount": ACCOUNT,
            "aws:RequestTag/kubernetes-namespace": "live-platform",
            "aws:RequestTag/kubernetes-service-account": ["mlflow"],
        },
        "ArnEquals": {"aws:SourceArn": args.cluster_arn},
    }
    assert statements(seen.one("RolePolicy")["policy"]) == [NAMED]
    assert seen.one("PodIdentityAssociation")["serviceAccount"] == "mlflow"


def test_a_pods_role_names_its_resources() -> None:
    with pytest.raises(ValueError, match="resources that are named"):
        PodRoleArgs(
            account=ACCOUNT,
            cluster="c",
            cluster_arn="arn",
            namespace="n",
            service_accounts=["s"],
            statements=[{**NAMED, "Resource": "*"}],
        )


@pytest.mark.parametrize("action", ["*", "s3:*", "s3:Get*"])
def test_a_document_spells_its_actions_out(action: str) -> None:
    with pytest.raises(ValueError, match="spelt out"):
        document({**NAMED, "Action": [action]})


def test_a_key_is_used_through_the_services_that_it_names(build: Build) -> None:
    args = KmsKeyArgs(
        account=ACCOUNT, purpose="Images.", through=["ecr.eu-west-1.amazonaws.com"], keep=True
    )
    key = build(lambda: KmsKey("images", args)).one("Key")
    administers, uses = statements(key["policy"])
    assert not {"kms:Decrypt", "kms:GenerateDataKey"} & set(administers["Action"])
    assert uses["Condition"]["StringEquals"] == {
        "kms:CallerAccount": ACCOUNT,
        "kms:ViaService": ["ecr.eu-west-1.amazonaws.com"],
    }
    assert (key["enableKeyRotation"], key["deletionWindowInDays"]) == (True, 30)


def test_a_key_of_logs_is_used_by_no_role(build: Build) -> None:
    args = KmsKeyArgs(account=ACCOUNT, purpose="Logs.", logs=REGION, keep=True)
    found = statements(build(lambda: KmsKey("logs", args)).one("Key")["policy"])
    assert [each["Sid"] for each in found] == ["Administration", "Logs"]
    assert found[1]["Condition"]["ArnLike"] == {
        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:*"
    }


@pytest.mark.parametrize("keep", [True, False])
def test_a_repository_that_is_kept_is_not_emptied(build: Build, keep: bool) -> None:
    seen = build(lambda: Repository("mlflow", RepositoryArgs(key=KEY, keep=keep)))
    assert seen.one("ecr/repository:Repository")["forceDelete"] is not keep
    (rule,) = json.loads(seen.one("LifecyclePolicy")["policy"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"


@pytest.mark.parametrize("keep", [True, False])
def test_a_database_that_is_kept_leaves_a_snapshot(build: Build, keep: bool) -> None:
    found = database(build, keep=keep).one("Instance")
    assert found["deletionProtection"] is keep
    assert found["skipFinalSnapshot"] is not keep
    assert found.get("finalSnapshotIdentifier") == ("mlflow-final" if keep else None)
    assert "password" not in found


@pytest.mark.parametrize(
    ("kind", "props", "number"),
    [
        ("eks/nodeGroup:NodeGroup", {}, "32"),
        ("ec2/launchTemplate:LaunchTemplate", {}, "32"),
        (
            "ecr/repositoryPolicy:RepositoryPolicy",
            {"policy": json.dumps({"Statement": [{**NAMED, "Principal": "*"}]})},
            "20",
        ),
        (
            "iam/role:Role",
            {
                "assumeRolePolicy": json.dumps(
                    {"Statement": [{**NAMED, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}]}
                )
            },
            "30",
        ),
    ],
)
def test_what_no_stack_has_is_noticed_too(kind: str, props: dict[str, Any], number: str) -> None:
    found = violations([Resource(type=f"aws:{kind}", name="new", props=props)])
    assert [each.rule.number for each in found] == [number]


def test_a_database_is_reached_from_the_cluster_alone(build: Build) -> None:
    rule = database(build, keep=True).one("SecurityGroupIngressRule")
    assert rule["referencedSecurityGroupId"] == "sg-cluster"
    assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)


def test_pipelines_are_trusted_by_repository_and_environment(build: Build) -> None:
    args = DeployRolesArgs(
        repository="bank/ferry", environment="live", looks=[NAMED], deploys=[NAMED]
    )
    seen = build(lambda: DeployRoles("pipelines", args))
    subjects = {
        statements(each["assumeRolePolicy"])[0]["Condition"]["StringEquals"][
            "token.actions.githubusercontent.com:sub"
        ]
        for each in seen.of("Role")
    }
    assert subjects == {
        "repo:bank/ferry:environment:live",
        "repo:bank/ferry:environment:live-preview",
    }


def test_a_budget_tells_before_it_is_spent(build: Build) -> None:
    args = BudgetArgs(account=ACCOUNT, monthly=2000, subscribers=["platform@bank.example"])
    found = build(lambda: Budget("ferry", args)).one("budgets/budget:Budget")
    assert found["limitAmount"] == "2000"
    assert {(each["notificationType"], each["threshold"]) for each in found["notifications"]} == {
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    }


def test_nodes_with_gpus_take_what_asks_for_one(build: Build) -> None:
    spec = build(lambda: GpuPool("gpu", GpuPoolArgs(most=4))).one("NodePool")["spec"]
    assert spec["template"]["spec"]["taints"] == [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    assert spec["limits"] == {"nvidia.com/gpu": "4"}


def test_logs_of_requests_are_written_by_s3_for_this_account(build: Build) -> None:
    args = LogBucketArgs(account=ACCOUNT, days=365, keep=True)
    seen = build(lambda: LogBucket("ferry-live-access-logs", args))
    written, refused = statements(seen.one("BucketPolicy")["policy"])
    assert written["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert written["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert refused["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
