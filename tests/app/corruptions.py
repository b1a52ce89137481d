"""Ways in which a batch of loans goes bad, each by name, with the column that must be blamed."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

Table = pd.DataFrame


class Corruption(NamedTuple):
    """What is done to a good table, and the column (None: the table) that a check must name."""

    column: str | None
    do: Callable[[Table], Table]


def _cell(column: str, value: object) -> Callable[[Table], Table]:
    def do(table: Table) -> Table:
        if isinstance(value, float) and not pd.api.types.is_float_dtype(table[column]):
            table[column] = table[column].astype(float)
        table.loc[17, column] = value
        return table

    return do


def _column(column: str, of: Callable[[Table], object]) -> Callable[[Table], Table]:
    return lambda table: table.assign(**{column: of(table)})


def _some(table: Table, share: float) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    return np.random.default_rng(7).random(len(table)) < share


def _shuffled(column: str) -> Callable[[Table], Table]:
    return _column(
        column, lambda table: np.random.default_rng(7).permutation(table[column].to_numpy())
    )


def _swapped(one: str, other: str) -> Callable[[Table], Table]:
    return lambda table: table.assign(**{one: table[other], other: table[one]})


def _relabelled(share: float) -> Callable[[Table], Table]:
    return _column("Class", lambda t: t["Class"].mask(_some(t, share), "bad"))


CORRUPTIONS = {
    "a number is missing": Corruption("int_rate", _cell("int_rate", np.nan)),
    "an integer is missing": Corruption("inq_fi", _cell("inq_fi", np.nan)),
    "a category is missing": Corruption("term", _cell("term", None)),
    "a label is missing": Corruption("Class", _cell("Class", None)),
    "a key is missing": Corruption("loan_id", _cell("loan_id", np.nan)),
    "a day is missing": Corruption("arrived", _cell("arrived", None)),
    "a column is empty": Corruption("all_util", _column("all_util", lambda t: np.nan)),
    "a column is gone": Corruption("open_il_12m", lambda t: t.drop(columns="open_il_12m")),
    "a column is new": Corruption(None, _column("fico", lambda t: 700)),
    "a column has another name": Corruption(None, lambda t: t.rename(columns={"term": "Term"})),
    "numbers are text": Corruption(
        "num_il_tl", _column("num_il_tl", lambda t: t.num_il_tl.map(str))
    ),
    "an integer has a fraction": Corruption("inq_fi", _cell("inq_fi", 1.5)),
    "an integer is a truth value": Corruption(
        "delinq_2yrs", _column("delinq_2yrs", lambda t: t.delinq_2yrs > 0)
    ),
    "categories are codes": Corruption(
        "term", _column("term", lambda t: t.term.str[-2:].astype("int64"))
    ),
    "a number is negative": Corruption("annual_inc", _cell("annual_inc", -1.0)),
    "a number is too large": Corruption("funded_amnt", _cell("funded_amnt", 100_001)),
    "a number is infinite": Corruption("int_rate", _cell("int_rate", float("inf"))),
    "a category is unknown": Corruption("emp_length", _cell("emp_length", "emp_11")),
    "a category is in lower case": Corruption("sub_grade", _cell("sub_grade", "c1")),
    "a category has a blank": Corruption("term", _cell("term", " term_36")),
    "a label is unknown": Corruption("Class", _cell("Class", "late")),
    "a state is unknown": Corruption("addr_state", _cell("addr_state", "XX")),
    "a key is there twice": Corruption("loan_id", _cell("loan_id", 1)),
    "every row is there twice": Corruption(
        "loan_id", lambda t: pd.concat([t, t], ignore_index=True)
    ),
    "rates are fractions": Corruption("int_rate", _column("int_rate", lambda t: t.int_rate / 100)),
    "incomes are in thousands": Corruption(
        "annual_inc", _column("annual_inc", lambda t: t.annual_inc / 1000)
    ),
    "incomes are of a month": Corruption(
        "annual_inc", _column("annual_inc", lambda t: t.annual_inc / 12)
    ),
    "amounts are in cents": Corruption(
        "funded_amnt", _column("funded_amnt", lambda t: t.funded_amnt * 100)
    ),
    "some incomes are a thousandfold": Corruption(
        "annual_inc", _column("annual_inc", lambda t: t.annual_inc.mask(_some(t, 0.03), 5e7))
    ),
    "some incomes are nought": Corruption(
        "annual_inc", _column("annual_inc", lambda t: t.annual_inc.mask(_some(t, 0.04), 0.0))
    ),
    "two columns are swapped": Corruption("total_bal_il", _swapped("total_bal_il", "num_il_tl")),
    "a number is constant": Corruption("open_il_24m", _column("open_il_24m", lambda t: 1)),
    "a skewed number is constant": Corruption("int_rate", _column("int_rate", lambda t: 11.99)),
    "a category is constant": Corruption("term", _column("term", lambda t: "term_36")),
    "there is one class": Corruption("Class", _column("Class", lambda t: "good")),
    "the bad are twice as many": Corruption("Class", _relabelled(0.06)),
    "labels are inverted": Corruption(
        "Class", _column("Class", lambda t: t.Class.map({"bad": "good", "good": "bad"}))
    ),
    "labels are shuffled": Corruption("int_rate", _shuffled("Class")),
    "rates are other rows'": Corruption("int_rate", _shuffled("int_rate")),
    "there are few rows": Corruption(None, lambda t: t.tail(79)),
    "there are no rows": Corruption(None, lambda t: t.head(0)),
    "rows were lost": Corruption(None, lambda t: t[~_some(t, 0.05)]),
    "the last week is absent": Corruption("arrived", lambda t: t[t.arrived < "2016-03-25"]),
    "a row is of the future": Corruption("arrived", _cell("arrived", "2016-04-01")),
    "a day is written otherwise": Corruption("arrived", _cell("arrived", "31.03.2016")),
    "a day does not exist": Corruption("arrived", _cell("arrived", "2016-02-30")),
}
