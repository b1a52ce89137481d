"""The rules and their exemptions as a page: `python -m policy.table > docs/controls.md`."""

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
    return f"{_HEAD}{rules}{_EXEMPT}{exemptions}{_UNBOUND}{unbound}"


if __name__ == "__main__":
    print(page(), end="")
