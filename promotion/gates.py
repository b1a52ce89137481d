"""Gates: what a release must show before its pin may move; pure, and silence never passes."""

import re
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.settings import Model, Pin
from promotion import evidence as bucket
from promotion import figures
from promotion.below import Below, served
from promotion.dossier import Evidence, Unusable
from promotion.record import Gate
from promotion.release import digest

LATE_CLOCK = timedelta(hours=1)
"""By how much two machines' clocks may differ before a time in the future is no time."""

_SECTIONS = (
    "Intended use",
    "Limits",
    "Data",
    "Performance",
    "Features",
    "Slices",
    "Fairness",
    "Robustness",
    "Privacy",
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the target asks for: its settings of the model, its pin now, and who has approved."""

    model: Model
    signers: Sequence[str] = ()
    current: Pin | None = None
    approvers: Set[str] = frozenset()
    authors: Set[str] = frozenset()
    """Of the promotion and of the release: their own approval is none."""
    now: datetime


def judge(found: Evidence, below: Below, wanted: Wanted) -> list[Gate]:
    """Every gate's verdict; evidence that is missing or malformed fails it with the reason."""
    bounds = wanted.model.gates
    return [
        *served(below),
        *_tried("evidence", lambda: _complete(found)),
        *_tried("metric", lambda: figures.metric(found, bounds.minimum_auc)),
        *_tried("champion", lambda: figures.champion(found, bounds.minimum_auc, wanted.current)),
        *_tried("data", lambda: _data(found)),
        *_tried("fairness", lambda: figures.fairness(found, bounds.maximum_fairness_gap)),
        *_tried("card", lambda: _card(found)),
        *_tried("signature", lambda: _signature(found, wanted)),
        _approvals(wanted),
        _freshness(found, wanted),
    ]


def _tried(name: str, gate: Callable[[], Gate]) -> Iterator[Gate]:
    try:
        yield gate()
    except Unusable as reason:
        yield Gate(name=name, passed=False, text=str(reason))


def _complete(found: Evidence) -> Gate:
    listed = found.release.files.keys()
    missing = sorted((bucket.REQUIRED - listed) | (listed - found.files.keys()))
    empty = sorted(name for name, content in found.files.items() if not content)
    text = "every file is there, as release.json lists it"
    if missing or empty:
        text = "; ".join(
            f"{word}: {', '.join(names)}"
            for word, names in (("missing", missing), ("empty", empty))
            if names
        )
    return Gate(
        name="evidence",
        passed=not (missing or empty),
        saw=len(found.files) - len(empty),
        wanted=len(bucket.REQUIRED | listed),
        text=text,
    )


def _data(found: Evidence) -> Gate:
    said = found.document("validation.json")
    trained_on, judged = found.release.data.sha256, said["sha256"].value
    failures, checks = said["failures"].value, said["checks"].number()
    if judged != trained_on:
        text = f"validation.json is of data {judged!r:.70}, the release was trained on {trained_on}"
        return Gate(name="data", passed=False, saw=str(judged)[:64], wanted=trained_on, text=text)
    passed = said["success"].value is True and failures == [] and checks >= 1
    failed = len(failures) if isinstance(failures, list) else "unknown"
    return Gate(
        name="data",
        passed=passed,
        saw=failed,
        wanted=0,
        text=f"{failed} of {checks:g} checks of the training data failed",
    )


def _card(found: Evidence) -> Gate:
    text = found.text("card.md")
    bodies = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n?)*)", text, re.MULTILINE))
    missing = [name for name in _SECTIONS if not bodies.get(name, "").strip()]
    release = found.release
    for name, value in (("weights", release.weights), ("data", release.data.sha256)):
        if value not in text:
            missing.append(f"this release's {name}")
    return Gate(
        name="card",
        passed=not missing,
        saw=len(_SECTIONS) - sum(name in _SECTIONS for name in missing),
        wanted=len(_SECTIONS),
        text=f"the card lacks {', '.join(missing)}" if missing else "the card is complete",
    )


def _signature(found: Evidence, wanted: Wanted) -> Gate:
    """By whom; that it is over these very weights, each pod verifies before it loads them."""
    signer = found.release.signer
    bundle = found.document("signature.json")
    envelope, material = bundle["dsseEnvelope"], bundle["verificationMaterial"]
    if not envelope["payload"].value or not envelope["signatures"].value:
        raise Unusable("signature.json holds no signature")
    hint = material["publicKey"]["hint"].value
    keys = {signer, f"sha256:{hint!s:.70}", digest(found.text("signer.pem").encode())}
    allowed = not wanted.signers or signer in wanted.signers
    text = f"signed by {signer}"
    if len(keys) > 1:
        others = ", ".join(sorted(keys - {signer}))
        text = f"release.json names signer {signer}, the signature beside it is of {others}"
    elif not allowed:
        text = f"signed by {signer}, which is not among platform.signers"
    return Gate(
        name="signature",
        passed=allowed and keys == {signer},
        saw=signer,
        wanted=", ".join(wanted.signers) or signer,
        text=text,
    )


def _approvals(wanted: Wanted) -> Gate:
    others = sorted(wanted.approvers - wanted.authors)
    needed = wanted.model.gates.approvals
    return Gate(
        name="approvals",
        passed=len(others) >= needed,
        saw=len(others),
        wanted=needed,
        text=f"approved by {', '.join(others) or 'nobody'} but its authors; wanted: {needed}",
    )


def _freshness(found: Evidence, wanted: Wanted) -> Gate:
    gates = wanted.model.gates
    limit, oldest = gates.maximum_age, gates.oldest
    if oldest is None:
        return Gate(name="freshness", passed=True, text="no bound is set")
    if found.made is None:
        text = "nobody can tell when the evidence was made"
        return Gate(name="freshness", passed=False, wanted=limit, text=text)
    age = wanted.now - found.made
    passed = -LATE_CLOCK <= age <= oldest
    return Gate(
        name="freshness",
        passed=passed,
        saw=f"{age.total_seconds() / 3600:.2f}h",
        wanted=limit,
        text=f"the evidence is of {found.made:%FT%TZ}, wanted is none older than {limit}"
        + (", and none from the future" if age < -LATE_CLOCK else ""),
    )
