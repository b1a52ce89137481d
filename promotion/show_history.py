"""What the audit commands print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from promotion import tables
from promotion.differing import Difference
from promotion.history import Live
from promotion.record import Gate, Moved, Record


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A stack's ledger after verification; `unmirrored` is None where no bucket was asked."""

    stack: str
    records: int
    last: str | None
    broken: str | None = None
    unmirrored: int | None = None


def when(time: datetime) -> str:
    """To the second, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%SZ}"


def move(record: Record) -> str:
    """Like `3 → 4`, by versions."""
    return f"{version(record.before)} → {version(record.after)}"


def version(release: Moved | None) -> str:
    return "none" if release is None else str(release.version)


def gate(verdict: Gate) -> str:
    """Like `passed auc: saw 0.78, wanted 0.75`."""
    numbers = f"saw {number(verdict.saw)}"
    if verdict.wanted is not None:
        numbers += f", wanted {number(verdict.wanted)}"
    return f"{'passed' if verdict.passed else 'FAILED'} {verdict.name}: {numbers}"


def number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)


def history(records: Sequence[Record], *, as_json: bool) -> None:
    """One row per attempt, oldest first."""
    if as_json:
        tables.document({"records": [plain(record) for record in records]})
        return
    table = tables.table("at", "#", "model", "action", "version", "outcome", "who", "reason")
    for each in records:
        failed = [found.name for found in each.gates if not found.passed]
        reason = each.reason or ", ".join(failed)
        tables.row(
            table, when(each.at), each.sequence, each.model, each.action, move(each),
            each.outcome, each.who, reason,
        )  # fmt: skip
    tables.out.print(table)


def live(stack: str, at: datetime, found: Mapping[str, Live], *, as_json: bool) -> None:
    """What each model served at a time, and why."""
    if as_json:
        models = {
            model: {
                "release": each.release.model_dump(mode="json"),
                "since": plain(each.delivered)["at"],
                "delivered": plain(each.delivered),
                "moved": each.moved and plain(each.moved),
                "approvals": [plain(approval) for approval in each.approvals],
                "doubt": each.doubt and plain(each.doubt),
            }
            for model, each in sorted(found.items())
        }
        tables.document({"stack": stack, "at": at.isoformat(), "models": models})
        return
    table = tables.table(stack, f"at {when(at)}")
    for model, each in sorted(found.items()):
        table.add_section()
        tables.row(table, model, f"version {each.release.version}")
        tables.row(table, "since", when(each.delivered.at))
        tables.row(table, "image", each.release.image)
        tables.row(table, "weights", each.release.weights)
        tables.row(table, "evidence", each.release.evidence)
        tables.row(table, "delivered", _by(each.delivered))
        if each.moved:
            tables.row(table, "moved", f"{_by(each.moved)}, {move(each.moved)}")
            for verdict in each.moved.gates:
                tables.row(table, "", gate(verdict))
        for approval in each.approvals:
            tables.row(table, "approved", _by(approval))
        if each.doubt:
            tables.row(table, "in doubt", f"{_by(each.doubt)} failed: {each.doubt.reason}")
    if not found:
        tables.row(table, "nothing", "no model was live")
    tables.out.print(table)


def _by(record: Record) -> str:
    commit = f", commit {record.commit[:12]}" if record.commit else ""
    return f"record {record.sequence}: {record.action} by {record.who}, {when(record.at)}{commit}"


def diff(
    left: str, right: str, found: Sequence[Difference], *, compared: Sequence[str], as_json: bool
) -> None:
    """Every field in which two stacks differ; `compared` names what was looked at."""
    if as_json:
        fields = [
            {"model": each.model, "field": each.field, left: each.left, right: each.right}
            for each in found
        ]
        tables.document({"stacks": [left, right], "compared": compared, "differences": fields})
        return
    if not found:
        tables.out.print(f"{left} and {right} have the same {' and '.join(compared)}")
        return
    table = tables.table("model", "field", left, right)
    for each in found:
        tables.row(table, each.model, each.field, number(each.left), number(each.right))
    tables.out.print(table)


def checked(found: Sequence[Checked], *, as_json: bool) -> None:
    """Each ledger with its end, for a comparison by eye with an older one."""
    if as_json:
        tables.document({"ledgers": [vars(each) for each in found]})
        return
    table = tables.table("ledger", "records", "last", "found", "mirror")
    for each in found:
        lacks = "not asked" if each.unmirrored is None else f"lacks {each.unmirrored}"
        verdict = "BROKEN" if each.broken else "whole"
        tables.row(table, each.stack, each.records, each.last or "-", verdict, lacks)
    tables.out.print(table)


def plain(record: Record) -> dict[str, object]:
    """A record as JSON values."""
    return record.model_dump(mode="json")
