"""Gathers what a promotion's report is about, from ledgers and the bucket, and writes it."""

from pathlib import Path
from urllib.parse import quote

from promotion import dossier, evidence, findings, ledger, plots, tables
from promotion.history import of_model
from promotion.record import Moved
from promotion.refusals import GateRefused, NeverUp
from promotion.release import Release
from promotion.report import Facts, as_html, as_markdown
from promotion.stack import Stack

_MOVES = ("promote", "pin", "rollback")


def collect(stack: Stack, model: str) -> Facts:
    """The last attempt to move a release of `model` in `stack`, refused ones included.

    Raises `GateRefused` where there was none or its evidence is gone, `DependencyDown`.
    """
    records = of_model(ledger.of(stack).records(), model)
    attempts = [each for each in records if each.action in _MOVES and each.after is not None]
    if not attempts or attempts[-1].after is None:
        raise GateRefused(f"the ledger of {stack.name} has no move of {model} to report")
    attempt, moved = attempts[-1], attempts[-1].after
    below = stack.below
    source, release = _release(stack, below, model, moved)
    found = dossier.read(source.bucket(), model, release.pin())
    elsewhere = of_model(ledger.of(below).records(), model) if below else []
    return Facts(
        stack=stack.name,
        attempt=attempt,
        release=release,
        figures=findings.of(found),
        deliveries=[
            each
            for each in [*elsewhere, *records]
            if each.action == "deliver" and each.tried == moved
        ],
        approvals=[each for each in records if each.outcome == "approved" and each.after == moved],
        links=_links(source, release),
    )


def write(facts: Facts, folder: Path) -> list[Path]:
    """Put report.md, report.html and the plots into `folder`; returns their paths."""
    drawn = plots.draw(facts.figures)
    files = {
        **drawn,
        "report.md": as_markdown(facts, drawn).encode(),
        "report.html": as_html(facts, drawn).encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def show(facts: Facts, *, as_json: bool) -> None:
    """The facts as JSON, or the Markdown without plots, as a comment can hold it."""
    if as_json:
        tables.document(facts.document())
    else:
        print(as_markdown(facts, {}), end="")


def _release(stack: Stack, below: Stack | None, model: str, moved: Moved) -> tuple[Stack, Release]:
    """The release, and the stack whose bucket has it: of a refused one, that is the one below."""
    key = evidence.record(model, moved.version)
    try:
        if (stored := evidence.read(stack.bucket(), key)) is not None or below is None:
            if stored is None:
                raise GateRefused(f"{key} is not in the bucket of {stack.name}")
            return stack, Release.read(stored, evidence=moved.evidence)
    except NeverUp:
        if below is None:
            raise
    return below, dossier.release_of(below.bucket(), model, moved)


def _links(source: Stack, release: Release) -> dict[str, str]:
    model, version = quote(release.model), release.version
    key = evidence.record(release.model, version)
    at = source.outputs.bucket
    return {
        "The version in MLflow": f"{source.outputs.mlflow.url}/#/models/{model}/versions/{version}",
        "Its evidence": f"{at.endpoint}/{at.name}/{key}",
    }
