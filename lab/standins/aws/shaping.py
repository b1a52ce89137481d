"""Properties as the messages of an API of Amazon's, by its own description of them."""

from collections.abc import Callable, Mapping
from typing import Any

from lab.standins.provider import Invalid

Values = Mapping[str, Any]


def fill(template: Any, values: Values) -> Any:  # noqa: ANN401 - JSON-like data
    """The template with its places filled; what has no value is left out.

    A place is a text `{key}` or a function of all values.
    """
    match template:
        case Callable():
            return template(values)
        case str():
            key = template[1:-1]
            whole = template == f"{{{key}}}" and "{" not in key
            return values.get(key) if whole else template.format_map(values)
        case dict():
            filled = {key: fill(item, values) for key, item in template.items()}
            return {key: item for key, item in filled.items() if item is not None}
        case list():
            return [item for each in template if (item := fill(each, values)) is not None]
    return template


def shaped(value: Any, shape: Any, path: str) -> Any:  # noqa: ANN401 - botocore's shapes
    """The value as botocore's `shape` has it. Raises Invalid for what the shape has no place for.

    Members are found whatever their case is; one thing may stand for a list of one.
    """
    match shape.type_name, value:
        case "structure", dict():
            members = {name.lower(): name for name in shape.members}
            if unknown := sorted(key for key in value if key.lower() not in members):
                where = {
                    f"{path}.{key}": f"{path}.{key}: {shape.name} has it not" for key in unknown
                }
                raise Invalid(where)
            return {
                (name := members[key.lower()]): shaped(item, shape.members[name], f"{path}.{key}")
                for key, item in value.items()
                if item is not None
            }
        case "list", dict() if tags := _pair(shape.member):
            return [dict(zip(tags, each, strict=True)) for each in sorted(value.items())]
        case "list", _:
            items = value if isinstance(value, list) else [value]
            return [shaped(item, shape.member, path) for item in items]
        case "map", dict():
            return {key: shaped(item, shape.value, path) for key, item in value.items()}
        case "string", bool():
            return str(value).lower()
        case "string", int() | float():
            return str(value)
    return value


def _pair(member: Any) -> tuple[str, str] | None:  # noqa: ANN401 - botocore's shapes
    """What a tag's key and value are called in a list of tags."""
    for key, value in (("Key", "Value"), ("TagKey", "TagValue")):
        if member.type_name == "structure" and {key, value} <= member.members.keys():
            return key, value
    return None
