"""A month's budget, with a mail to somebody before it is spent."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True, kw_only=True)
class BudgetArgs:
    account: str
    monthly: int
    """US dollars."""
    subscribers: Sequence[str]
    """Mail addresses."""


class Budget(pulumi.ComponentResource):
    """Tells at 80 % spent, and as soon as the forecast is above the whole."""

    def __init__(
        self, name: str, args: BudgetArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("ferry:aws:Budget", name, {"monthly": args.monthly}, opts)
        told = [("ACTUAL", 80), ("FORECASTED", 100)]
        aws.budgets.Budget(
            name,
            account_id=args.account,
            budget_type="COST",
            limit_amount=str(args.monthly),
            limit_unit="USD",
            time_unit="MONTHLY",
            notifications=[
                {
                    "notification_type": kind,
                    "comparison_operator": "GREATER_THAN",
                    "threshold": percent,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": list(args.subscribers),
                }
                for kind, percent in told
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
