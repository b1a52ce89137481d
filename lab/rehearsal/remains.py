"""What is left after a destroy: in the emulated account, and in the API server."""

from typing import Final

import jmespath

from lab.rehearsal import services
from lab.rehearsal.stage import Stage
from lab.standins.kubernetes.client import ApiError, Client

# What the API server's own controllers write down, as they go.
_PASSING: Final = frozenset({"Event", "Lease", "ComponentStatus"})
# By service, the calls that list what an account has, and where in the answer it is. Interfaces
# are not among them: the emulator forgets to take those of a NAT gateway away with it.
_LISTS: Final = {
    "ec2": {
        "describe_vpcs": "Vpcs[].VpcId",
        "describe_subnets": "Subnets[].SubnetId",
        "describe_route_tables": "RouteTables[].RouteTableId",
        "describe_internet_gateways": "InternetGateways[].InternetGatewayId",
        "describe_nat_gateways": "NatGateways[?State!='deleted'].NatGatewayId",
        "describe_addresses": "Addresses[].AllocationId",
        "describe_vpc_endpoints": "VpcEndpoints[?State!='deleted'].VpcEndpointId",
        "describe_security_groups": "SecurityGroups[].GroupId",
        "describe_security_group_rules": "SecurityGroupRules[].SecurityGroupRuleId",
        "describe_flow_logs": "FlowLogs[].FlowLogId",
    },
    "iam": {
        "list_roles": "Roles[].Arn",
        "list_open_id_connect_providers": "OpenIDConnectProviderList[].Arn",
    },
    "kms": {"list_aliases": "Aliases[].AliasArn", "list_keys": "Keys[].KeyArn"},
    "logs": {"describe_log_groups": "logGroups[].arn"},
    "ecr": {"describe_repositories": "repositories[].repositoryArn"},
    "eks": {"list_clusters": "clusters"},
    "rds": {
        "describe_db_instances": "DBInstances[].DBInstanceArn",
        "describe_db_subnet_groups": "DBSubnetGroups[].DBSubnetGroupArn",
        "describe_db_parameter_groups": "DBParameterGroups[].DBParameterGroupArn",
        "describe_db_snapshots": "DBSnapshots[].DBSnapshotArn",
        "describe_db_instance_automated_backups": "DBInstanceAutomatedBackups[].DBInstanceArn",
    },
    "secretsmanager": {"list_secrets": "SecretList[].ARN"},
    "elasticache": {
        "describe_replication_groups": "ReplicationGroups[?Status!='deleting'].ARN",
        "describe_users": "Users[?Status!='deleting'].ARN",
        "describe_snapshots": "Snapshots[].ARN",
    },
    "s3": {"list_buckets": "Buckets[].Name"},
    "budgets": {"describe_budgets": "Budgets[].BudgetName"},
}


def left(stage: Stage) -> set[str]:
    """Everything in both; keys and caches that wait for their deletion are as good as gone."""
    return _objects(stage.api) | _things(stage)


def _objects(api: Client) -> set[str]:
    groups = api.request("GET", "/apis")["groups"]
    roots = ["/api/v1", *(f"/apis/{each['preferredVersion']['groupVersion']}" for each in groups)]
    found = set()
    for root in roots:
        for kind in api.request("GET", root)["resources"]:
            if "list" not in kind["verbs"] or kind["kind"] in _PASSING:
                continue
            try:
                items = api.request("GET", f"{root}/{kind['name']}")["items"]
            except ApiError as error:
                if error.missing:  # its definition went meanwhile
                    continue
                raise
            for each in items:
                metadata = each["metadata"]
                found.add(f"{kind['kind']} {metadata.get('namespace', '')}/{metadata['name']}")
    return found


def _things(stage: Stage) -> set[str]:
    found = set()
    for service, lists in _LISTS.items():
        client = services.client(service, stage.aws, stage.variables["AWS_REGION"])
        for method, path in lists.items():
            asked = {"AccountId": stage.account} if service == "budgets" else {}
            listed = jmespath.search(path, getattr(client, method)(**asked)) or []
            if method == "list_keys":
                listed = [
                    arn
                    for arn in listed
                    if client.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Enabled"
                ]
            found |= {f"{service} {each}" for each in listed}
    return found
