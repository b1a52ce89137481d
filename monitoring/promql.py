"""What an expression means by the contract: its labels and its unit, or why it has none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import promql_parser

from monitoring.contract import RATIO, Series, Unit

_COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
_OF_COUNTERS = {"rate", "irate", "increase"}
_OF_EITHER = {"last_over_time", "count_over_time", "present_over_time", "absent_over_time"}
_RANGED = {"delta", "idelta", "deriv", "predict_linear"}  # and every other *_over_time
_SECONDS: Unit = frozenset({("seconds", 1)})
_TIME: Unit = frozenset({("timestamp", 1)})
_PLAIN = {"abs", "ceil", "floor", "round", "clamp_min", "clamp_max", "clamp", "sort", "sort_desc"}


def complaints(expression: str, catalogue: Mapping[str, Series]) -> list[str]:
    """Every reason why the expression is wrong by the catalogue; none: it is right."""
    return _read(expression, catalogue)[1]


def series(expression: str, catalogue: Mapping[str, Series]) -> Series:
    """What the expression gives; ValueError with the reasons when it is wrong."""
    found, reasons = _read(expression, catalogue)
    if reasons:
        raise ValueError(f"{expression}: {'; '.join(reasons)}")
    return found


def _read(expression: str, catalogue: Mapping[str, Series]) -> tuple[Series, list[str]]:
    try:
        tree: Any = promql_parser.parse(expression)
    except ValueError as error:
        return Series(), [f"no PromQL: {error}"]
    reader = _Reader(catalogue)
    return reader.read(tree), reader.found


@dataclass
class _Reader:
    catalogue: Mapping[str, Series]
    found: list[str] = field(default_factory=list)

    def read(self, node: Any) -> Series:  # noqa: ANN401 - the library's nodes have no common fields
        """What a node stands for; what is wrong with it goes to `found`."""
        match type(node).__name__:
            case "VectorSelector":
                return self._selector(node)
            case "MatrixSelector":
                return self._selector(node.vector_selector)
            case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
                return self.read(node.expr)
            case "AggregateExpr":
                return self._aggregate(node)
            case "Call":
                return self._call(node)
            case "BinaryExpr":
                return self._binary(node)
            case _:
                return Series()

    def _selector(self, node: Any) -> Series:  # noqa: ANN401
        matchers = [
            *node.matchers.matchers,
            *(each for group in node.matchers.or_matchers for each in group),
        ]
        names = [node.name] if node.name else _named(matchers)
        if not names:
            self.found.append(f"{node} names no metric")
        if unknown := [name for name in names if name not in self.catalogue]:
            self.found.append(f"there is no metric {', '.join(unknown)}")
        known = [self.catalogue[name] for name in names if name in self.catalogue]
        if not known:
            return Series()
        labels = frozenset[str]().union(*(each.labels for each in known))
        for matcher in matchers:
            if matcher.name == "__name__":
                continue
            if matcher.name not in labels:
                self.found.append(f"{'|'.join(names)} has no label {matcher.name}")
            values = [each.values[matcher.name] for each in known if matcher.name in each.values]
            self._values(matcher, frozenset().union(*values))
        return known[0] if len(known) == 1 else Series(labels=labels, kind=known[0].kind)

    def _values(self, matcher: Any, values: frozenset[str]) -> None:  # noqa: ANN401
        if not values or not matcher.value:
            return
        regular = "Re" in str(matcher.op)
        for given in matcher.value.split("|") if regular else [matcher.value]:
            literal = not regular or re.fullmatch(r"[\w-]*", given)
            there = given in values if literal else any(re.fullmatch(given, v) for v in values)
            if not there:
                self.found.append(f"{matcher.name} is never {given}")

    def _aggregate(self, node: Any) -> Series:  # noqa: ANN401
        inner = self.read(node.expr)
        labels: frozenset[str] = frozenset()
        if node.modifier is not None:
            named = frozenset(node.modifier.labels)
            self._need(named, inner.labels)
            by = str(node.modifier.type).endswith("By")
            labels = named if by else inner.labels - named
        operator = str(node.op)
        if operator in {"topk", "bottomk", "limitk"}:
            return inner
        unit = None if operator in {"count", "group", "count_values"} else inner.unit
        return replace(inner, kind="gauge", labels=labels, unit=unit)

    def _call(self, node: Any) -> Series:  # noqa: ANN401
        name = node.func.name
        arguments = [self.read(each) for each in node.args]
        if name in {"time", "timestamp"}:
            labels = arguments[0].labels if arguments else frozenset[str]()
            return Series(unit=_TIME, labels=labels)
        if not arguments or name == "vector":
            return Series()
        of = arguments[-1] if name in {"histogram_quantile", "quantile_over_time"} else arguments[0]
        self._kind(name, of)
        found = replace(of, kind="gauge")
        if name in {"rate", "irate", "deriv"}:
            return replace(found, unit=_power(of.unit, _SECONDS, -1))
        if name == "histogram_quantile":
            if "le" not in of.labels or of.bound is None:
                self.found.append("histogram_quantile needs a histogram's buckets by le")
            return replace(found, unit=of.bound, labels=of.labels - {"le"}, bound=None)
        if name == "label_replace" or name == "label_join":
            made = node.args[1].val
            return replace(found, labels=of.labels | {made})
        if name in {"count_over_time", "changes", "resets", "absent", "absent_over_time"}:
            return replace(found, unit=None, bound=None)
        if name in _PLAIN or name in _OF_COUNTERS | _RANGED or name.endswith("_over_time"):
            return found
        return replace(found, unit=None)

    def _kind(self, name: str, of: Series) -> None:
        if name in _OF_COUNTERS and of.kind != "counter":
            self.found.append(f"{name} is for counters")
        gauges = name in _RANGED or (name.endswith("_over_time") and name not in _OF_EITHER)
        if gauges and of.kind == "counter":
            self.found.append(f"{name} is for gauges")

    def _binary(self, node: Any) -> Series:  # noqa: ANN401
        left, right = self.read(node.lhs), self.read(node.rhs)
        operator = str(node.op)
        labels = self._matched(node, left, right)
        if operator in {"and", "unless"}:
            return left
        same = left.unit is None or right.unit is None or left.unit == right.unit
        if operator == "*":
            return Series(unit=_power(left.unit, right.unit, 1), labels=labels)
        if operator == "/":
            return Series(unit=_power(left.unit, right.unit, -1), labels=labels)
        if operator == "-" and left.unit == right.unit == _TIME:
            return Series(unit=_SECONDS, labels=labels)
        if operator in _COMPARISONS | {"+", "-", "or"} and not same:
            self.found.append(f"{_said(left.unit)} {operator} {_said(right.unit)}")
        unit = right.unit if left.unit is None else left.unit
        if operator in _COMPARISONS and node.modifier is not None and node.modifier.return_bool:
            unit = RATIO
        if operator == "or":
            return replace(left, unit=unit, labels=left.labels | right.labels)
        return replace(left, kind="gauge", unit=unit, labels=labels)

    def _matched(self, node: Any, left: Series, right: Series) -> frozenset[str]:  # noqa: ANN401
        """The labels of what is joined; scalars join with anything."""
        if not (_vector(node.lhs) and _vector(node.rhs)):
            return left.labels | right.labels
        modifier = node.modifier
        if modifier is None or modifier.matching is None:
            self._equal(node, left.labels, right.labels)
            return left.labels
        named = frozenset(modifier.matching.labels)
        on = str(modifier.matching.type).endswith("Include")
        if on:
            self._need(named, left.labels & right.labels)
        else:
            self._need(named, left.labels | right.labels)
            self._equal(node, left.labels - named, right.labels - named)
        match str(modifier.card).rpartition(".")[2]:
            case "ManyToOne":
                return left.labels | frozenset(modifier.group_labels or ())
            case "OneToMany":
                return right.labels | frozenset(modifier.group_labels or ())
            case _:
                return named if on else left.labels - named

    def _equal(self, node: Any, left: frozenset[str], right: frozenset[str]) -> None:  # noqa: ANN401
        if left != right and str(node.op) != "or":
            unlike = ", ".join(sorted(left ^ right))
            self.found.append(f"the sides of {node.op} never match: only one has {unlike}")

    def _need(self, named: frozenset[str], there: frozenset[str]) -> None:
        if unknown := named - there:
            self.found.append(f"there is no label {', '.join(sorted(unknown))} here")


def _vector(node: Any) -> bool:  # noqa: ANN401
    """Whether a node gives series; a number and `time()` do not."""
    match type(node).__name__:
        case "NumberLiteral" | "StringLiteral":
            return False
        case "ParenExpr" | "UnaryExpr":
            return _vector(node.expr)
        case "BinaryExpr":
            return _vector(node.lhs) or _vector(node.rhs)
        case "Call":
            return str(node.func.return_type).endswith("Vector")
        case _:
            return True


def _named(matchers: list[Any]) -> list[str]:
    """The metrics that a selector without a name lists by `__name__`."""
    return [name for each in matchers if each.name == "__name__" for name in each.value.split("|")]


def _power(left: Unit, right: Unit, sign: int) -> Unit:
    """The unit of a product (1) or quotient (-1); a plain number changes none."""
    if left is None or right is None:
        return left if right is None else (right if sign == 1 else None)
    powers = dict(left)
    for word, power in right:
        powers[word] = powers.get(word, 0) + sign * power
    return frozenset((word, power) for word, power in powers.items() if power)


def _said(unit: Unit) -> str:
    return " ".join(f"{word}^{power}" for word, power in sorted(unit or ())) or "ratio"
