"""The one declaration of the model's features, and the conversion of loans into its input."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

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

_GRADES = tuple(f"{letter}{number}" for letter in "ABCDEFG" for number in range(1, 6))
_EMPLOYED = ("emp_unk", "emp_lt_1", *(f"emp_{years}" for years in range(1, 10)), "emp_ge_10")

# The state of residence (addr_state) is in the table but is no feature: a lender may not price by
# where somebody lives. It stays available for slicing an evaluation.
FEATURES: tuple[Feature, ...] = (
    Number(name="funded_amnt", low=500, high=100_000, integer=True, log=True),
    Category(name="term", values=("term_36", "term_60"), ordered=True),
    Number(name="int_rate", low=0, high=100),
    Category(name="sub_grade", values=_GRADES, ordered=True),
    Category(
        name="verification_status",
        values=("Not_Verified", "Source_Verified", "Verified"),
        ordered=False,
    ),
    Number(name="annual_inc", low=0, high=100_000_000, log=True),
    Category(name="emp_length", values=_EMPLOYED, ordered=False),
    Number(name="delinq_2yrs", low=0, high=100, integer=True),
    Number(name="inq_last_6mths", low=0, high=100, integer=True),
    Number(name="revol_util", low=0, high=1000, log=True),
    Number(name="acc_now_delinq", low=0, high=100, integer=True),
    Number(name="open_il_6m", low=0, high=500, integer=True),
    Number(name="open_il_12m", low=0, high=500, integer=True),
    Number(name="open_il_24m", low=0, high=500, integer=True),
    Number(name="total_bal_il", low=0, high=100_000_000, integer=True, log=True),
    Number(name="all_util", low=0, high=1000, integer=True),
    Number(name="inq_fi", low=0, high=500, integer=True),
    Number(name="inq_last_12m", low=0, high=500, integer=True),
    Number(name="delinq_amnt", low=0, high=100_000_000, integer=True, log=True),
    Number(name="num_il_tl", low=0, high=1000, integer=True),
    Number(name="total_il_high_credit_limit", low=0, high=100_000_000, integer=True, log=True),
)
NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)
TARGET = "Class"
POSITIVE = "bad"
NEGATIVE = "good"

_KNOWN = frozenset(NAMES)
_BY_NAME = {feature.name: feature for feature in FEATURES}
_LOG = [place for place, f in enumerate(FEATURES) if isinstance(f, Number) and f.log]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault of the input: where it is and what would have been right."""

    code: str
    field: str
    row: int
    expected: str


class InvalidLoans(ValueError):
    """Loans that the model must not score; lists the first 20 problems."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems[:_MAX_PROBLEMS])
        first = self.problems[0]
        super().__init__(
            f"row {first.row}, {first.field}: {first.code}, expected is {first.expected}"
        )


def schema() -> dict[str, Any]:
    """The declaration as plain data; its order is the order of the model's input columns."""
    return {
        "features": [feature.declaration for feature in FEATURES],
        "target": {"name": TARGET, "positive": POSITIVE, "negative": NEGATIVE},
    }


def schema_hash() -> str:
    """Digest of the declaration, `sha256:…`; equal hashes mean interchangeable inputs."""
    canonical = json.dumps(schema(), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def from_rows(rows: Sequence[Mapping[str, object]]) -> Matrix:
    """Convert loans given as mappings into the model's input, (rows, features) float32.

    Raises `InvalidLoans` for missing, unknown, mistyped or out-of-range values.
    """
    codes: list[float | None] = []
    for row in rows:
        if row.keys() != _KNOWN:
            raise InvalidLoans(_problems(rows))
        codes += [feature.code(row[feature.name]) for feature in FEATURES]
    if None in codes:
        raise InvalidLoans(_problems(rows))
    return _matrix(np.array(codes, np.float64).reshape(len(rows), len(FEATURES)))


def from_columns(columns: Mapping[str, Sequence[object]]) -> Matrix:
    """Convert loans given as equally long columns of Python values; as `from_rows` otherwise."""
    names = list(columns)
    rows = [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    if not rows and columns.keys() != _KNOWN:
        raise InvalidLoans(_problems([dict.fromkeys(names)]))
    return from_rows(rows)


def from_text(row: Mapping[str, str]) -> dict[str, object]:
    """Read the features of one line of a CSV file; a cell that is no number stays text."""
    return {name: _number(row[name], _BY_NAME[name]) for name in NAMES if name in row}


def _number(cell: str, feature: Feature) -> object:
    if isinstance(feature, Category):
        return cell
    try:
        return float(cell)
    except ValueError:
        return cell or None


def _matrix(values: npt.NDArray[np.float64]) -> Matrix:
    values[:, _LOG] = np.log1p(values[:, _LOG])
    return values.astype(np.float32)


def _problems(rows: Iterable[Mapping[str, object]]) -> list[Problem]:
    found: list[Problem] = []
    for place, row in enumerate(rows):
        for name in row.keys() - _KNOWN:
            near = get_close_matches(name[:64], NAMES, n=1)
            hint = f"{near[0]}, perhaps" if near else "a field of the model"
            found.append(Problem(code="unknown", field=name[:64], row=place, expected=hint))
        for feature in FEATURES:
            value = row.get(feature.name)
            if value is None:
                fault = "missing"
            elif feature.code(value) is None:
                fault = feature.fault(value)
            else:
                continue
            problem = Problem(code=fault, field=feature.name, row=place, expected=feature.expected)
            found.append(problem)
        if len(found) >= _MAX_PROBLEMS:
            break
    return found
