"""What a model's input is: its features in order, and the conversion of rows into a matrix."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

_MAX_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number within closed bounds; `log` feeds log(1 + x) to the model."""

    name: str
    low: float
    high: float
    integer: bool = False
    log: bool = False

    def code(self, value: object) -> float | None:
        """The number itself, or None when it is not one that this feature allows."""
        if type(value) is float:
            # NaN fails every comparison, infinities fail one.
            if self.low <= value <= self.high and (not self.integer or value.is_integer()):
                return value
        elif type(value) is int and self.low <= value <= self.high:
            return float(value)
        return None

    def fault(self, value: object) -> str:
        """Why `code` gave None: type, integer or range."""
        if type(value) not in (int, float):
            return "type"
        if isinstance(value, float) and math.isfinite(value) and self.integer:
            return "range" if value.is_integer() else "integer"
        return "range"

    @property
    def expected(self) -> str:
        kind = "an integer" if self.integer else "a number"
        return f"{kind} from {self.low:g} to {self.high:.12g}"

    @property
    def declaration(self) -> dict[str, Any]:
        kind = "integer" if self.integer else "number"
        return {"name": self.name, "type": kind, "range": [self.low, self.high], "log": self.log}


@dataclass(frozen=True, kw_only=True)
class Category:
    """One of a closed list of words; its code is the word's place in the list."""

    name: str
    values: tuple[str, ...]
    ordered: bool

    @cached_property
    def _codes(self) -> dict[str, float]:
        return {value: float(place) for place, value in enumerate(self.values)}

    def code(self, value: object) -> float | None:
        """The word's place in the list, or None when it is not in it."""
        return self._codes.get(value) if type(value) is str else None

    def fault(self, value: object) -> str:
        """Why `code` gave None: type or category."""
        return "category" if type(value) is str else "type"

    @property
    def expected(self) -> str:
        return "one of " + ", ".join(self.values)

    @property
    def declaration(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": "category",
            "values": list(self.values),
            "ordered": self.ordered,
        }


Feature = Number | Category


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault of the input: where it is and what would have been right."""

    code: str
    field: str
    row: int
    expected: str


class InvalidRows(ValueError):
    """Rows that the model must not score; lists the first 20 problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems[:_MAX_PROBLEMS])
        first = self.problems[0]
        super().__init__(
            f"row {first.row}, {first.field}: {first.code}, expected is {first.expected}"
        )


@dataclass(frozen=True, kw_only=True)
class Schema:
    """A model's features, in the order of its input columns, and the classes it tells apart."""

    features: tuple[Feature, ...]
    target: str
    positive: str
    negative: str

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Read what `document` gave.

        Raises KeyError, TypeError or ValueError for anything else.
        """
        target = document["target"]
        return cls(
            features=tuple(_feature(declared) for declared in document["features"]),
            target=target["name"],
            positive=target["positive"],
            negative=target["negative"],
        )

    def document(self) -> dict[str, Any]:
        """The declaration as plain data."""
        return {
            "features": [feature.declaration for feature in self.features],
            "target": {
                "name": self.target,
                "positive": self.positive,
                "negative": self.negative,
            },
        }

    def hash(self) -> str:
        """Digest of the declaration, `sha256:…`; equal hashes mean interchangeable inputs."""
        canonical = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def from_rows(self, rows: Sequence[Mapping[str, object]]) -> Matrix:
        """Convert rows given as mappings into the model's input, (rows, features) float32.

        Raises `InvalidRows` for missing, unknown, mistyped or out-of-range values.
        """
        codes: list[float | None] = []
        for row in rows:
            if row.keys() != self._known:
                raise InvalidRows(self._problems(rows))
            codes += [feature.code(row[feature.name]) for feature in self.features]
        if None in codes:
            raise InvalidRows(self._problems(rows))
        return self._matrix(np.array(codes, np.float64).reshape(len(rows), len(self.features)))

    def from_columns(self, columns: Mapping[str, Sequence[object]]) -> Matrix:
        """Convert equally long columns of Python values; as `from_rows` otherwise."""
        names = list(columns)
        values = zip(*columns.values(), strict=True)
        rows = [dict(zip(names, row, strict=True)) for row in values]
        if not rows and columns.keys() != self._known:
            raise InvalidRows(self._problems([dict.fromkeys(names)]))
        return self.from_rows(rows)

    def from_text(self, row: Mapping[str, str]) -> dict[str, object]:
        """Read the features of one line of a CSV file; a cell that is no number stays text."""
        return {
            feature.name: _number(row[feature.name], feature)
            for feature in self.features
            if feature.name in row
        }

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.names)

    @cached_property
    def _log(self) -> list[int]:
        return [place for place, f in enumerate(self.features) if isinstance(f, Number) and f.log]

    def _matrix(self, values: npt.NDArray[np.float64]) -> Matrix:
        values[:, self._log] = np.log1p(values[:, self._log])
        return values.astype(np.float32)

    def _problems(self, rows: Iterable[Mapping[str, object]]) -> list[Problem]:
        found: list[Problem] = []
        for place, row in enumerate(rows):
            for name in row.keys() - self._known:
                near = get_close_matches(name[:64], self.names, n=1)
                hint = f"{near[0]}, perhaps" if near else "a field of the model"
                found.append(Problem(code="unknown", field=name[:64], row=place, expected=hint))
            found += self._faults(row, place)
            if len(found) >= _MAX_PROBLEMS:
                break
        return found

    def _faults(self, row: Mapping[str, object], place: int) -> Iterable[Problem]:
        for feature in self.features:
            value = row.get(feature.name)
            if value is None:
                fault = "missing"
            elif feature.code(value) is None:
                fault = feature.fault(value)
            else:
                continue
            yield Problem(code=fault, field=feature.name, row=place, expected=feature.expected)


def _feature(declared: Mapping[str, Any]) -> Feature:
    if declared["type"] == "category":
        return Category(
            name=declared["name"], values=tuple(declared["values"]), ordered=declared["ordered"]
        )
    low, high = declared["range"]
    return Number(
        name=declared["name"],
        low=low,
        high=high,
        integer={"integer": True, "number": False}[declared["type"]],
        log=declared["log"],
    )


def _number(cell: str, feature: Feature) -> object:
    if isinstance(feature, Category):
        return cell
    try:
        return float(cell)
    except ValueError:
        return cell or None
