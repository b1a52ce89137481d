"""Grafana's screens, as files that it provisions."""

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.dashboards import cost, delivery, model, platform
from monitoring.prices import Prices


def texts() -> dict[str, str]:
    """JSON by file name; the same program gives the same bytes."""
    boards = (model.board(), delivery.board(), platform.board(), cost.board(Prices.read()))
    encode = JSONEncoder(sort_keys=True, indent=1).encode
    return {f"{board.uid}.json": encode(board) for board in boards}
