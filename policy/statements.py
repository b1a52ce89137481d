"""Policy documents of IAM's, read into statements whose parts are lists."""

import json
from collections.abc import Iterator
from typing import Any

from policy.rule import Props, Resource

EVERYBODY = "*"


def statements(resource: Resource, key: str = "policy") -> Iterator[Props]:
    """Those of a document in JSON; none where it is not known before the update."""
    given = resource.props.get(key)
    if isinstance(given, str):
        yield from listed(json.loads(given).get("Statement"))


def allowing(resource: Resource, key: str = "policy") -> Iterator[Props]:
    """Those that allow something."""
    return (each for each in statements(resource, key) if each.get("Effect") == "Allow")


def listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON-like data
    """One or several, as a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def principals(statement: Props) -> list[tuple[str, str]]:
    """Whom a statement is about, as kind and name; everybody is ("AWS", "*")."""
    given = statement.get("Principal", {})
    if given == EVERYBODY:
        return [("AWS", EVERYBODY)]
    return [(kind, name) for kind, names in given.items() for name in listed(names)]


def conditions(statement: Props) -> dict[str, list[Any]]:
    """What must hold, by key, however it is compared."""
    return {
        key: listed(value)
        for compared in statement.get("Condition", {}).values()
        for key, value in compared.items()
    }


def name(statement: Props) -> str:
    """What to call a statement in a complaint."""
    return str(statement.get("Sid") or ", ".join(map(str, listed(statement.get("Action")))))
