"""What a stack file may ask for that is not built: refused by name."""

import re
from pathlib import Path

import pytest

from infra.account import AwsFoundation
from infra.settings import ClusterFoundation, SettingsError, parse
from infra.unbuilt import refuse

ROOT = Path(__file__).parents[2]
(AWS,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "aws.md").read_text(), re.DOTALL)
PROD = (ROOT / "Pulumi.prod.yaml").read_text()
CANARY = "delivery: {kind: canary, steps: [50], minimumRequests: 300, deadline: 10m}"


def refused(text: str, stack: str) -> str:
    with pytest.raises(SettingsError) as error:
        refuse(parse(text, stack=stack), f"Pulumi.{stack}.yaml")
    return str(error.value)


def test_both_foundations_are_built() -> None:
    assert isinstance(refuse(parse(AWS, stack="live"), "f"), AwsFoundation)
    assert isinstance(refuse(parse(PROD, stack="prod"), "f"), ClusterFoundation)


def test_load_balancers_and_an_account_of_aws_go_together() -> None:
    assert "ingress.class: found 'traefik', expected 'alb'" in refused(
        AWS.replace("class: alb", "class: traefik"), "live"
    )
    assert "'alb' needs foundation.kind aws" in refused(
        PROD.replace("class: traefik", "class: alb"), "prod"
    )


def test_a_canary_behind_load_balancers_is_refused() -> None:
    text = AWS.replace("        road:", f"        {CANARY}\n        road:")
    assert "delivery.kind: found 'canary' behind Ingress class 'alb'" in refused(text, "live")


def test_copies_in_the_bucket_are_refused_where_rds_makes_its_own() -> None:
    text = AWS.replace("    data:", '    backup: {schedule: "17 2 * * *"}\n    data:')
    with pytest.raises(SettingsError, match=r"backup: found a schedule, expected none beside"):
        parse(text, stack="live")


def test_a_volume_is_copied_into_the_bucket_on_aws_too() -> None:
    text = AWS.replace("{database: rds}", '{database: volume}\n    backup: {schedule: "1 2 * * *"}')
    assert isinstance(refuse(parse(text, stack="live"), "f"), AwsFoundation)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[192.0.2.0/24]", "[0.0.0.0/0]", "publicCidrs[0]: found '0.0.0.0/0', expected addresses"),
        ("[192.0.2.0/24]", "[192.0.2.1/24]", "publicCidrs[0]: found '192.0.2.1/24'"),
        ("zones: [a, b, c]", "zones: [a]", "zones: found ["),
        ("zones: [a, b, c]", "zones: [a, z]", "zones[1]: found 'z'"),
        ("zones: [a, b, c]", "cidr: 8.8.0.0/16", "cidr: found '8.8.0.0/16', expected private"),
        (
            "zones: [a, b, c]",
            "cidr: 10.0.0.0/24",
            "expected private addresses, from",
        ),
        ("role/platform-engineers", "user/me", "administrators[0]: found "),
        ("role/risk", "group/risk", "auditors[0]: found "),
        ("role/data-scientists", "root", "dataScientists[0]: found "),
        ("repository: bank/ferry", "repository: ferry", "repository: found 'ferry'"),
        ("arn:aws:acm", "arn:aws:kms", "certificate: found "),
    ],
)
def test_what_is_wrong_with_an_account_is_said(old: str, new: str, said: str) -> None:
    assert old in AWS
    with pytest.raises(SettingsError, match=re.escape(said)):
        parse(AWS.replace(old, new, 1), stack="live")
