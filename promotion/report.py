"""The report of a promotion: what moved, on what evidence, by whom, as Markdown and as HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from promotion import markdown
from promotion.findings import Figure, Figures, Gap
from promotion.markdown import table
from promotion.record import Record
from promotion.release import Release
from promotion.show_history import move, number, plain, version, when


@dataclass(frozen=True, kw_only=True)
class Facts:
    """An attempt to move a release in `stack`, with all that belongs to it.

    `deliveries` are those of this release, there and in the stack below; `links` are names with
    URLs of ours.
    """

    stack: str
    attempt: Record
    release: Release
    figures: Figures
    deliveries: Sequence[Record]
    approvals: Sequence[Record]
    links: Mapping[str, str]

    @property
    def title(self) -> str:
        return f"{self.attempt.model} {move(self.attempt)} in {self.stack}"

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "stack": self.stack,
            "model": self.attempt.model,
            "attempt": plain(self.attempt),
            "release": self.release.model_dump(mode="json", by_alias=True),
            "figures": asdict(self.figures),
            "deliveries": [plain(record) for record in self.deliveries],
            "approvals": [plain(record) for record in self.approvals],
            "links": dict(self.links),
        }


def as_markdown(facts: Facts, plots: Mapping[str, bytes]) -> str:
    """The report; it names the `plots`, which are to lie beside it."""
    sections = {
        "Release": _release(facts),
        "Gates": _gates(facts.attempt),
        "Metrics": [*_metrics(facts.figures.metrics), *_image("metrics.svg", plots)],
        "Against the champion": [*_champion(facts.figures), *_image("champion.svg", plots)],
        "Fairness": [*_fairness(facts.figures.gaps), *_image("fairness.svg", plots)],
        "Deliveries": _deliveries(facts.deliveries),
        "Approvals": _approvals(facts.approvals),
        "Data": _data(facts),
        "Links": [f"- [{name}](<{url}>)" for name, url in facts.links.items()] or ["None."],
    }
    lines = [f"# Promotion report: {markdown.text(facts.title)}", "", *_outcome(facts.attempt)]
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def as_html(facts: Facts, plots: Mapping[str, bytes]) -> str:
    """The report as one page with its plots inside."""
    return markdown.html(f"Promotion: {facts.title}", as_markdown(facts, plots), plots)


def _outcome(attempt: Record) -> list[str]:
    commit = f", at commit {attempt.commit}" if attempt.commit else ""
    said = (
        f"**{attempt.outcome}**: {attempt.action} by {markdown.text(attempt.who)}, "
        f"{when(attempt.at)}{commit}, record {attempt.sequence} of the ledger of {attempt.stack}."
    )
    reason = ["", f"Reason: {markdown.text(attempt.reason)}"] if attempt.reason else []
    return [said, *reason]


def _release(facts: Facts) -> list[str]:
    before, after = facts.attempt.before, facts.attempt.after
    rows = [
        (name, getattr(before, name, "none"), getattr(after, name, "none"))
        for name in ("version", "image", "weights", "evidence")
    ]
    made = facts.release
    rows += [(name, "", getattr(made, name)) for name in ("run", "commit", "features", "signer")]
    return table(("", "From", "To"), rows)


def _gates(attempt: Record) -> list[str]:
    if not attempt.gates:
        return [f"This {attempt.action} asked no gate."]
    rows = [
        (
            gate.name,
            "passed" if gate.passed else "FAILED",
            number(gate.saw),
            number(gate.wanted),
            gate.text,
        )
        for gate in attempt.gates
    ]
    failed = sum(not gate.passed for gate in attempt.gates)
    total = len(rows)
    said = f"{failed} of {total} failed." if failed else f"All {total} passed."
    return [said, "", *table(("Gate", "Verdict", "Saw", "Wanted", "Why"), rows)]


def _interval(figure: Figure) -> str:
    return f"{figure.low:.4f} to {figure.high:.4f}"


def _metrics(found: tuple[Figure, ...] | str) -> list[str]:
    if isinstance(found, str):
        return [f"None: {markdown.text(found)}"]
    rows = [(f.name, f"{f.value:.4f}", _interval(f), f"{f.mark:.4f}") for f in found]
    return table(("Metric", "Value", "95% interval", "Baseline"), rows)


def _champion(figures: Figures) -> list[str]:
    found = figures.differences
    if isinstance(found, str):
        return [f"No comparison: {markdown.text(found)}"]
    rows = [(f.name, f"{f.value:+.4f}", f"{f.low:+.4f} to {f.high:+.4f}") for f in found]
    return [
        f"This release minus {figures.champion}, on the same rows; an interval around 0 shows no "
        "difference.",
        "",
        *table(("Metric", "Difference", "95% interval"), rows),
    ]


def _fairness(gaps: tuple[Gap, ...] | str) -> list[str]:
    if isinstance(gaps, str):
        return [f"None: {markdown.text(gaps)}"]
    if not gaps:
        return ["No sensitive split is declared."]
    rows = [
        (gap.split, gap.measure, f"{gap.value:.4f}", f"{gap.by_chance:.4f}")
        if gap.value is not None and gap.by_chance is not None
        else (gap.split, gap.measure, "too few rows", "")
        for gap in gaps
    ]
    return table(("Split", "Measure", "Largest gap", "By chance"), rows)


def _deliveries(records: Sequence[Record]) -> list[str]:
    if not records:
        return ["This release was delivered nowhere yet."]
    rows = [
        (each.stack, when(each.at), move(each), each.outcome, each.who, each.reason or "")
        for each in records
    ]
    return table(("Stack", "At", "Version", "Outcome", "Who", "Reason"), rows)


def _approvals(records: Sequence[Record]) -> list[str]:
    if not records:
        return ["Nobody has approved this release."]
    rows = [(each.who, when(each.at), version(each.after), each.sequence) for each in records]
    return table(("Who", "At", "Version", "Record"), rows)


def _data(facts: Facts) -> list[str]:
    data = facts.release.data
    rows = [
        ("Snapshot", data.key),
        ("Version", data.version_id),
        ("Its sha256", data.sha256),
        ("Validation", facts.figures.validation),
    ]
    return table(("", ""), rows)


def _image(name: str, plots: Mapping[str, bytes]) -> list[str]:
    return ["", f"![{name.removesuffix('.svg')}]({name})"] if name in plots else []
