"""What stands for the answers of AWS in a record: names and addresses that only it knows."""

from collections.abc import Mapping
from typing import Any

ACCOUNT = "123456789012"
_REGION = "eu-west-1"


def told(kind: str, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of a resource of `aws:` that its inputs do not hold."""
    service, _, rest = kind.removeprefix("aws:").partition("/")
    region = "" if service in ("iam", "s3") else _REGION
    account = "" if service == "s3" else ACCOUNT
    known = inputs.get("name", f"{name}-a1b2c3d")
    thing = rest.rpartition(":")[2].lower()
    state: dict[str, Any] = {
        "arn": f"arn:aws:{service}:{region}:{account}:{thing}/{known}",
        "name": known,
    }
    match rest.rpartition(":")[2]:
        case "Bucket":
            state |= {"bucket": known, "arn": f"arn:aws:s3:::{known}"}
            state["bucketRegionalDomainName"] = f"{known}.s3.{_REGION}.amazonaws.com"
        case "Key":
            state["keyId"] = f"key-{name}"
        case "Eip":
            state["allocationId"] = f"eipalloc-{name}"
        case "Repository":
            state["repositoryUrl"] = f"{ACCOUNT}.dkr.ecr.{_REGION}.amazonaws.com/{known}"
        case "Cluster":
            state["endpoint"] = f"https://{name}.eks.{_REGION}.amazonaws.com"
            state["certificateAuthority"] = {"data": "Y2VydGlmaWNhdGU="}
            network = {"clusterSecurityGroupId": f"sg-{name}"}
            state["vpcConfig"] = {**inputs.get("vpcConfig", {}), **network}
        case "ReplicationGroup":
            state["primaryEndpointAddress"] = f"master.{name}.euw1.cache.amazonaws.com"
        case "Instance":
            state["address"] = f"{name}.rds.{_REGION}.amazonaws.com"
            state["resourceId"] = f"db-{name}"
            secret = f"arn:aws:secretsmanager:{_REGION}:{ACCOUNT}:secret:{name}"
            state["masterUserSecrets"] = [{"secretArn": secret}]
    return state


ANSWERS: Mapping[str, dict[str, Any]] = {
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {
        "userName": "AWS",
        "password": "generated-by-ecr",
    },
}
"""Of functions, by token."""
