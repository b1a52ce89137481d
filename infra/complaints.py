"""What is wrong with a stack file, said so that it can be put right at once."""

import difflib
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "frozen_set_type": "a list",
    "int_type": "a whole number",
    "mapping_type": "a mapping",
    "missing": "a value",
    "model_attributes_type": "a mapping",
    "model_type": "a mapping",
    "string_type": "a text",
    "tuple_type": "a list",
    "union_tag_not_found": "a mapping with the key kind",
}
# Where people put values of secrets by mistake: what was found there is not repeated.
_DISCREET = "receivers"


@dataclass(frozen=True)
class Complaint:
    """One thing wrong: the key's path from `config`, what was found and what is expected."""

    path: Path
    found: str
    expected: str
    nearest: str | None = None
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        where = f"{place}: " if place else ""
        return f"{where}{dotted(self.path)}: found {self.found}, expected {self.expected}{hint}"


class SettingsError(ValueError):
    """A stack's settings can't be used; the text lists all `complaints`, one a line."""

    def __init__(self, complaints: Iterable[Complaint]) -> None:
        self.complaints = tuple(complaints)
        count = len(self.complaints)
        things = "1 thing is" if count == 1 else f"{count} things are"
        super().__init__(
            "\n".join([f"{things} wrong with the stack's settings:", *map(str, self.complaints)])
        )


def dotted(path: Path) -> str:
    """ferry:platform.models.credit-default, canary steps as steps[1]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "config"


def explain(error: ValidationError, model: type[BaseModel]) -> Iterator[Complaint]:
    """Every error of pydantic's as a complaint in the words of the stack file."""
    for each in error.errors(include_url=False):
        path, keys = _resolve(each["loc"], model)
        kind, context = each["type"], each.get("ctx", {})
        if kind == "extra_forbidden":
            near = difflib.get_close_matches(str(path[-1]), keys, n=1)
            expected = "one of " + ", ".join(keys)
            yield Complaint(path, "an unknown key", expected, near[0] if near else None)
        elif kind == "union_tag_invalid":
            tag = str(context.get("tag"))
            tags = str(context.get("expected_tags"))
            near = difflib.get_close_matches(tag, tags.replace("'", "").split(", "), n=1)
            yield Complaint((*path, "kind"), _shown(tag, path), tags, near[0] if near else None)
        else:
            found = "nothing" if kind == "missing" else _shown(each["input"], path)
            yield Complaint(path, found, _expected(kind, context, each["msg"]))


def located(complaints: Iterable[Complaint], file: str, text: str | None) -> Iterator[Complaint]:
    """The complaints in the order of the file's lines, as far as `text` shows where they are."""
    named = [replace(complaint, file=complaint.file or file) for complaint in complaints]
    if text is not None:
        from infra.stackfile import Lines  # see infra.settings.parse

        lines = Lines(text)
        named = [replace(each, line=each.line or lines.of(each.path)) for each in named]
    return iter(sorted(named, key=lambda each: (each.line or 0, dotted(each.path))))


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    match kind:
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "less_than_equal":
            return f"at most {context['le']}"
        case "literal_error":
            return str(context["expected"])
        case "too_short":
            return f"at least {context['min_length']}"
    return _EXPECTED.get(kind, message)


def _shown(value: object, path: Path) -> str:
    return "a value that is not shown" if _DISCREET in path else reprlib.repr(value)


def _resolve(location: Path, model: type[BaseModel]) -> tuple[Path, list[str]]:
    """The path as the file has it, and the keys known at the last mapping of ours on it.

    pydantic's own path also holds the tags of unions, which the file does not.
    """
    path: Path = ()
    keys: list[str] = []
    node: Any = model
    mapping = False
    for part in location:
        node = _bare(node)
        if mapping and part == "[key]":
            continue  # the key itself is wrong, and it is on the path already
        mapping = isinstance(get_origin(node), type) and issubclass(get_origin(node), Mapping)
        if isinstance(node, type) and issubclass(node, BaseModel):
            fields: dict[Any, Any] = {
                field.alias or name: field for name, field in node.model_fields.items()
            }
            keys = sorted(fields)
            path += (part,)
            node = fields[part].annotation if part in fields else None
        elif (members := _tagged(node)) is not None:
            node = members.get(part)
        else:
            path += (part,)
            node = _inside(node)
    return path, keys


def _bare(node: Any) -> Any:  # noqa: ANN401
    while get_origin(node) is Annotated:
        node = get_args(node)[0]
    if get_origin(node) in (Union, UnionType) and type(None) in get_args(node):
        (node,) = (each for each in get_args(node) if each is not type(None))
        return _bare(node)
    return node


def _tagged(node: Any) -> dict[Any, Any] | None:  # noqa: ANN401
    if get_origin(node) not in (Union, UnionType):
        return None
    return {get_args(each.model_fields["kind"].annotation)[0]: each for each in get_args(node)}


def _inside(node: Any) -> Any:  # noqa: ANN401
    """The type of what a mapping or a list holds."""
    origin = get_origin(node)
    if origin is None or origin is Literal:
        return None
    inner = get_args(node)
    return inner[1] if issubclass(origin, Mapping) else inner[0]
