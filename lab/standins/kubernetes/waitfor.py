"""The annotation `pulumi.com/waitFor`: what a program itself wants to wait for."""

import json
import re
from collections.abc import Iterator
from typing import Any

from lab.standins.kubernetes.client import Client, Object
from lab.standins.kubernetes.readiness import READY, Check, Verdict, condition, waiting
from lab.standins.provider import ProviderError

_STEP = re.compile(
    r"""\.(?P<key>(?:[\w-]|\\.)+)          # .status, with \. for a dot in the key
    | \[(?P<index>-?\d+)\]
    | \[['"](?P<quoted>[^'"]+)['"]\]
    | (?P<each>\[\*\]|\.\*)
    | \[\?\(@\.(?P<name>[\w.-]+)\s*==\s*['"]?(?P<wanted>[^'")]*)['"]?\)\]
    """,
    re.VERBOSE,
)


def checks(annotation: str) -> list[Check]:
    """One check per expression: `jsonpath={…}[=value]`, `condition=Type[=Status]`, or a list.

    Raises ProviderError for an expression that cannot be read.
    """
    try:
        parsed = json.loads(annotation)
    except ValueError:
        parsed = annotation
    expressions = parsed if isinstance(parsed, list) else [annotation]
    if not expressions:
        raise ProviderError("pulumi.com/waitFor: at least one condition must be specified")
    return [_check(str(each)) for each in expressions]


def _check(expression: str) -> Check:
    kind, _, rest = expression.partition("=")
    if kind == "jsonpath":
        return _json_path(expression, rest)
    if kind == "condition":
        name, _, status = rest.partition("=")
        return _condition(name, status or "True")
    raise ProviderError(
        f'pulumi.com/waitFor: expected a "jsonpath=" or "condition=" prefix, got {expression!r}'
    )


def _condition(name: str, status: str) -> Check:
    def check(live: Object, client: Client, elapsed: float) -> Verdict:
        found = condition(live, name)
        if str(found.get("status", "")).lower() == status.lower():
            return READY
        return waiting(f"Waiting for condition {name}={status} {found.get('message', '')}".strip())

    return check


def _json_path(expression: str, rest: str) -> Check:
    match = re.fullmatch(r"'?\{(?P<path>.*)\}'?(?:=(?P<wanted>.*))?", rest)
    if not match:
        raise ProviderError(f"pulumi.com/waitFor: {expression!r} has no {{…}} with a path")
    steps, wanted = _steps(match["path"], expression), match["wanted"]

    def check(live: Object, client: Client, elapsed: float) -> Verdict:
        found = list(_select(live, steps))
        if found and (wanted is None or all(_text(each) == wanted for each in found)):
            return READY
        return waiting(f"Waiting for {rest}" + (f", now {_text(found[0])}" if found else ""))

    return check


def _steps(path: str, expression: str) -> list[re.Match[str]]:
    text = path.removeprefix("$")
    text = text if text.startswith((".", "[")) else f".{text}"
    steps, at = [], 0
    while at < len(text):
        match = _STEP.match(text, at)
        if not match:
            raise ProviderError(
                f"pulumi.com/waitFor: the lab's stand-in for kubernetes cannot read "
                f"{text[at:]!r} in {expression!r}; it covers keys, indices, [*] and [?(@.a=='b')]"
            )
        steps.append(match)
        at = match.end()
    return steps


def _select(value: Any, steps: list[re.Match[str]]) -> Iterator[Any]:  # noqa: ANN401 (any JSON)
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    for item in _children(value, step):
        yield from _select(item, rest)


def _children(value: Any, step: re.Match[str]) -> list[Any]:  # noqa: ANN401 (any JSON)
    key = step["quoted"] or (step["key"] or "").replace("\\", "")
    if key:
        return [value[key]] if isinstance(value, dict) and key in value else []
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return []
    if step["each"]:
        return items
    if step["name"]:
        path = step["name"].split(".")
        return [each for each in items if _text(_at(each, path)) == step["wanted"]]
    index = int(step["index"])
    return [items[index]] if -len(items) <= index < len(items) else []


def _at(value: Any, path: list[str]) -> Any:  # noqa: ANN401 (any JSON)
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: object) -> str:
    """A value as kubectl prints it."""
    return value if isinstance(value, str) else json.dumps(value)
