"""Small changes of a rule, each of which a test must notice."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser

Rule = dict[str, Any]

# What is looked at, in this order: a word in quotes is no operator.
_TOKENS = re.compile(
    r"""
    (?P<matcher>[a-z_]+(?:=~|!~|!=|=)"[^"]*",?)
  | (?P<range>\[[0-9a-z]+\])
  | (?P<offset>\soffset\s[0-9a-z]+)
  | (?P<by>\b(?:by|ignoring|on)\s\([^)]*\))
  | (?P<word>\b(?:sum|max|min|avg|group|and|or|unless|rate|increase|max_over_time
      |last_over_time|sum_over_time|time)\b(?!:))
  | (?P<number>(?<![\w.:])\d+(?:\.\d+)?(?![\w.]))
  | (?P<operator>>=|<=|==|!=|[-+*/<>](?=\s))
    """,
    re.VERBOSE,
)
_WORDS = {
    "sum": ["max", "avg"],
    "max": ["min", "sum"],
    "min": ["max", "sum"],
    "and": ["or", "unless"],
    "or": ["and"],
    "unless": ["and", "or"],
    "increase": ["rate"],
    "rate": ["increase"],
    "max_over_time": ["min_over_time"],
    "sum_over_time": ["max_over_time"],
}
_OPERATORS = {
    ">": ["<", ">=", "=="],
    "<": [">", "<=", "=="],
    ">=": ["<", ">"],
    "==": ["!=", "<", ">"],
    "-": ["+"],
    "+": ["-"],
    "*": ["/"],
    "/": ["*"],
}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def mutants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """Every change, told in words, with the rule that it makes."""
    expression = rule["expr"]
    for token in _TOKENS.finditer(expression):
        for other in _changes(token):
            changed = expression[: token.start()] + other + expression[token.end() :]
            changed = changed.replace("{}", "").replace(",}", "}")
            if changed != expression and _parses(changed):
                yield (
                    f"{token[0].strip()} -> {other.strip() or 'nothing'}",
                    {**rule, "expr": changed},
                )
    if "for" in rule:
        for hold in ("0s", _times(rule["for"], 2)):
            yield f"for {rule['for']} -> {hold}", {**rule, "for": hold}


def _changes(token: re.Match[str]) -> list[str]:
    text = token[0]
    match token.lastgroup:
        case "matcher":
            return _of_matcher(text)
        case "range":
            return [f"[{_times(text[1:-1], factor)}]" for factor in (0.5, 2)]
        case "offset":
            wait = text.split()[1]
            return ["", *(f" offset {_times(wait, factor)}" for factor in (0.5, 2))]
        case "by":
            word, _, labels = text.partition(" ")
            names = labels.strip("()").split(", ")
            return [
                f"{word} ({', '.join(name for name in names if name != dropped)})"
                for dropped in names
            ]
        case "number":
            number = float(text)
            return ["2"] if number == 0 else [f"{number * factor:g}" for factor in (0.8, 1.25)]
        case "operator":
            return _OPERATORS.get(text, [])
        case _:
            return _WORDS.get(text, [])


def _of_matcher(text: str) -> list[str]:
    name, operator, value, end = re.findall(r'([a-z_]+)(=~|!~|!=|=)"([^"]*)"(,?)', text)[0]
    opposite = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[operator]
    first, _, rest = value.partition("|")
    fewer = [f'{name}{operator}"{part}"{end}' for part in (first, rest) if rest]
    return ["", f'{name}{opposite}"{value}"{end}', *fewer]


def _times(duration: str, factor: float) -> str:
    seconds = int(duration[:-1]) * _SECONDS[duration[-1]]
    return f"{int(seconds * factor)}s"


def _parses(expression: str) -> bool:
    try:
        promql_parser.parse(expression)
    except ValueError:
        return False
    return True
