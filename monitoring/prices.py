"""What a month of CPU, memory and volume costs: a dated table."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Self

_TABLE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Per month: of one CPU, and of one GiB of memory and of volume."""

    currency: str
    as_of: date
    source: str
    cpu: float
    memory: float
    volume: float
    each: Mapping[str, float] = field(default_factory=dict)
    """Of a resource of AWS', by its kind; of a VpcEndpoint in each zone."""

    @classmethod
    def read(cls, path: Path = _TABLE) -> Self:
        """From a table like prices.toml. Raises ValueError naming what is missing or no number."""
        table = tomllib.loads(path.read_text())
        try:
            month = {key: float(table["month"][key]) for key in ("cpu", "memory", "volume")}
            each = {key: float(price) for key, price in table.get("each", {}).items()}
            told = {key: table[key] for key in ("currency", "as_of", "source")}
        except (KeyError, TypeError) as error:
            raise ValueError(f"{path.name}: {error} is missing") from None
        return cls(**told, **month, each=each)
