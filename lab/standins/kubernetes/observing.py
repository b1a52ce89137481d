"""What the program's inputs have become: a live object cut to the shape of the inputs."""

import base64
import binascii
import re
from decimal import Decimal
from typing import Any

from lab.standins.kubernetes.client import Object
from lab.standins.kubernetes.objects import SERVER_OWNED, without_last_applied

_SUFFIXES = {
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", *"kMGTPE"))},
    **{f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)},
    "m": Decimal("0.001"),
    "u": Decimal("0.000001"),
    "n": Decimal("0.000000001"),
}
_QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")


def observed(inputs: Object, live: Object) -> Object:
    """The inputs as the cluster has them now: what the program did not say is left out."""
    live = without_last_applied(live)
    if inputs.get("kind") == "Secret" and "stringData" in inputs:
        live = live | {"stringData": _readable(inputs["stringData"] or {}, live)}
    return _cut(inputs, live)


def imported(live: Object) -> Object:
    """Inputs for an object that no program has declared: all but what the server owns."""
    kept = {key: item for key, item in without_last_applied(live).items() if key != "status"}
    metadata = {key: item for key, item in kept["metadata"].items() if key not in SERVER_OWNED}
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop("deployment.kubernetes.io/revision", None)
    if "annotations" in metadata:
        metadata["annotations"] = annotations
    return kept | {"metadata": metadata}


def same_quantity(one: object, other: object) -> bool:
    """Whether both are the same amount, like 0.5 and "500m", or "1Gi" and "1024Mi"."""
    first, second = _amount(one), _amount(other)
    return first is not None and first == second


def _cut(inputs: Any, live: Any, *, amounts: bool = False) -> Any:  # noqa: ANN401 (any JSON)
    """`amounts`: whether the server may have written the same amount otherwise."""
    if isinstance(inputs, dict) and isinstance(live, dict):
        result = {}
        for key, given in inputs.items():
            if key in live:
                result[key] = _cut(given, live[key], amounts=amounts or key == "spec")
            elif _empty(given):
                # The server leaves out what says nothing.
                result[key] = given
        return result
    if isinstance(inputs, list) and isinstance(live, list):
        # Elements beyond those of the program are the cluster's own.
        pairs = zip(inputs, live, strict=False)
        return [_cut(given, item, amounts=amounts) for given, item in pairs]
    if amounts and same_quantity(inputs, live):
        return inputs
    return live


def _empty(value: object) -> bool:
    return value in (None, False, 0, "", [], {})


def _readable(written: dict[str, str], live: Object) -> dict[str, str]:
    """The keys of `stringData`, which the server only takes, as its `data` has them."""
    data = live.get("data") or {}
    return {key: _decoded(data[key]) for key in written if key in data}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return text


def _amount(value: object) -> Decimal | None:
    match = _QUANTITY.fullmatch(str(value))
    if not match:
        return None
    number, exponent, suffix = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent or 0)) * _SUFFIXES[suffix or ""]
