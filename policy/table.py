"""The rules and their exemptions as a page: `python -m policy.table > docs/controls.md`."""

from collections import defaultdict
from collections.abc import Iterable

from policy.exceptions import EXEMPTIONS, UNBOUND
from policy.pack import RULES

_HEAD = """# Controls

Every rule is a pure function in `policy/`. The engine runs them (`pulumi preview --policy-pack
policy`), a preview without one does (`make preview-offline`), and `tests/program/test_policy.py`
runs them over the stacks, and over the stacks broken one property at a time. Numbers are those of
the list that the project started from; one with a letter was added to it. This page is made from
the rules.

| number | rule | what it says | asked for by |
|---|---|---|---|
"""
_EXEMPT = """
## Exemptions

| rules | where | since | why |
|---|---|---|---|
"""
_STANDARD = "FSBP "
_ELSE = """
## AWS Foundational Security Best Practices

The numbers of Security Hub's list for what the program makes. Held against what it registers, never
against an account.

| control | | by |
|---|---|---|
"""
# What no rule covers, by Security Hub's number: whether it holds all the same, and why.
_WITHOUT_RULE = {
    "S3.1": ("open", "The account's, not a stack's: a step of the first day ([aws.md](aws.md))."),
    "S3.4": ("pass", "Withdrawn: S3 encrypts whatever comes. Rule 9 asks for a key of KMS."),
    "S3.7": ("setting", "`replica` of the stack file; rule 7b."),
    "S3.10": ("pass", "Not of this standard: rule 7 has versions end."),
    "S3.11": ("open", "Not of this standard: nobody is told of events of a bucket."),
    "EKS.6": ("pass", "The provider's own tags are on all that it makes."),
    "EKS.7": ("pass", "No identity provider is configured: access entries say who may log in."),
    "KMS.4": ("pass", "Rule 12."),
    "RDS.1": ("pass", "No snapshot is shared."),
    "RDS.4": ("pass", "Snapshots of an encrypted database are encrypted: rule 23b."),
    "RDS.6": ("open", "No enhanced monitoring: it wants one of Amazon's own policies."),
    "RDS.7": ("pass", "No clusters: one instance in two zones."),
    "RDS.19": ("open", "Nobody is told of RDS' events."),
    "RDS.23": ("open", "PostgreSQL's own port: the security group names who reaches it."),
    "RDS.25": ("pass", "The master is not called as the engine would have it."),
    "RDS.26": ("open", "Backups are RDS' own, and MLflow's in the bucket: no plan of AWS Backup."),
}
_UNBOUND = """
Actions of IAM's that rule 29 lets be for every resource:

| action | why |
|---|---|
"""


def page() -> str:
    """The whole page, in Markdown."""
    rules = "".join(
        f"| {rule.number} | {rule.name} | {rule.says} | {', '.join(rule.controls)} |\n"
        for rule in RULES
    )
    exemptions = "".join(
        f"| {', '.join(each.numbers)} | {each.kind} `{each.name}` | {each.since} "
        f"| {each.reason} |\n"
        for each in EXEMPTIONS
    )
    unbound = "".join(f"| `{action}` | {why} |\n" for action, why in UNBOUND.items())
    return f"{_HEAD}{rules}{_ELSE}{_standard()}{_EXEMPT}{exemptions}{_UNBOUND}{unbound}"


def _standard() -> str:
    covering = defaultdict(list)
    for rule in RULES:
        for control in rule.controls:
            if control.startswith(_STANDARD):
                covering[control.removeprefix(_STANDARD)].append(rule.number)
    covered = {each: ("pass", f"Rule {', '.join(rules)}.") for each, rules in covering.items()}
    found = {**_WITHOUT_RULE, **covered}
    return "".join(f"| {each} | {found[each][0]} | {found[each][1]} |\n" for each in _sorted(found))


def _sorted(controls: Iterable[str]) -> list[str]:
    return sorted(controls, key=lambda each: (each.split(".")[0], int(each.split(".")[1])))


if __name__ == "__main__":
    print(page(), end="")
