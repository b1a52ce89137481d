"""Card: what a model is for, how good it is, for whom and how far, as Markdown and as HTML."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from app.definition import Definition

Document = Mapping[str, Any]

_PLOTS = {
    "roc.png": "True against false positive rate",
    "precision_recall.png": "Precision against recall",
    "calibration.png": "Share of positive rows against the mean score",
    "shap.png": "Share of each feature in the scores",
}
_MOST_FEATURES = 10
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "td,th{border:1px solid #999;padding:.2rem .6rem;text-align:left}"
    "img{max-width:100%}"
)


def markdown(model: Definition, facts: Document, plots: Mapping[str, bytes]) -> str:
    """The card as Markdown; `facts` holds `source`, `metrics`, `fairness` and `privacy`.

    Each of the `plots` (PNG) is put in as a data URI; without any, the text stands alone.
    """
    metrics = facts["metrics"]
    sections = {
        "Intended use": [_safe(model.intended_use)],
        "Limits": [f"- {limit}" for limit in map(_safe, model.limits)] or ["None are stated."],
        "Data": _data(model, facts["source"]),
        "Performance": [
            *_performance(metrics), "", *_champion(metrics["champion"]), "", *_images(plots)
        ],
        "Features": _features(metrics["importance"]),
        "Slices": _slices(metrics["slices"]),
        "Fairness": _fairness(facts["fairness"]),
        "Robustness": _robustness(metrics["robustness"]),
        "Privacy": _privacy(facts["privacy"]),
    }  # fmt: skip
    lines = [f"# Model card: {_safe(model.name)}"]
    for title, body in sections.items():
        lines += ["", f"## {title}", "", *body]
    return "\n".join(lines) + "\n"


def html(title: str, text: str) -> str:
    """The Markdown as one HTML page that needs neither network nor scripts, and allows none."""
    from markdown_it import MarkdownIt

    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{_escaped(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )


def _data(model: Definition, source: Document) -> list[str]:
    schema = model.schema
    return _table(
        ("", ""),
        [
            ("Table", f"{model.dataset.name}: {model.dataset.source}"),
            ("Snapshot", f"{source['key']}, version {source['versionId']}"),
            ("Its sha256", source["sha256"]),
            ("Rows", f"{source['training_rows']} trained on, {source['held_out_rows']} held out"),
            ("Predicts", f"probability that {schema.target} is {schema.positive}"),
            ("Features", f"{len(schema.names)}, schema {schema.hash()}"),
            ("Weights", source["weights"]),
            ("Code", f"commit {source['commit']}{' with changes' if source['dirty'] else ''}"),
        ],
    )


def _performance(metrics: Document) -> list[str]:
    rows = [
        (name, _interval(figure), f"{metrics['baseline'][name]:.4f}")
        for name, figure in metrics["metrics"].items()
    ]
    return [
        f"On {metrics['rows']} held-out rows, {metrics['positives']} of them positive, with 95% "
        f"intervals; accuracies at the threshold {metrics['threshold']:.4f}. The baseline gives "
        "every row the share of positive rows in training.",
        "",
        *_table(("Metric", "Model", "Baseline"), rows),
    ]


def _champion(champion: Document | None) -> list[str]:
    if champion is None:
        return ["There was no earlier version to compare with."]
    named = f"Version {champion['version']} ({champion['alias']})"
    if "incomparable" in champion:
        return [_safe(f"{named} cannot be compared with: {champion['incomparable']}")]
    rows = [(name, _interval(figure)) for name, figure in champion["differences"].items()]
    return [
        f"{named} on the same rows; an interval around 0 shows no difference.",
        "",
        *_table(("Metric", "This model minus that version"), rows),
    ]


def _images(plots: Mapping[str, bytes]) -> list[str]:
    return [
        f"![{text}](data:image/png;base64,{base64.b64encode(plots[name]).decode()})\n"
        for name, text in _PLOTS.items()
        if name in plots
    ]


def _features(importance: Document) -> list[str]:
    rows = [(name, f"{size:.4f}") for name, size in list(importance.items())[:_MOST_FEATURES]]
    return [
        "The mean size of a feature's share in a score (Shapley values of the served model).",
        "",
        *_table(("Feature", "Share"), rows),
    ]


def _slices(slices: Document) -> list[str]:
    lines = ["An AUC is given where both classes have rows enough."]
    for split, groups in slices.items():
        rows = [
            (word, part["rows"], part["positives"], f"{part['mean_score']:.4f}",
             f"{part['accuracy']:.3f}", _interval(part["auc"]) if part["auc"] else "too few rows")
            for word, part in groups.items()
        ]  # fmt: skip
        titles = (split, "Rows", "Positive", "Mean score", "Accuracy", "AUC")
        lines += ["", *_table(titles, rows)]
    return lines


def _fairness(fairness: Document) -> list[str]:
    if not fairness["sensitive"]:
        return ["No sensitive split is declared for this model."]
    lines = [f"Decisions at the threshold {fairness['threshold']:.4f}."]
    for split, found in fairness["sensitive"].items():
        rows = [
            (word, part["rows"], part["positives"], *(_rate(part[name]) for name in (
                "selection_rate", "true_positive_rate", "false_positive_rate")))
            for word, part in found["groups"].items()
        ]  # fmt: skip
        titles = (split, "Rows", "Positive", "Called positive", "True positive", "False positive")
        lines += ["", *_table(titles, rows), ""]
        for name in ("demographic_parity_difference", "equalized_odds_difference"):
            gap = found[name]
            said = (
                f"{gap['value']:.3f} (by chance alone up to {gap['by_chance']:.3f})"
                if gap
                else "too few rows"
            )
            lines.append(f"- {name.replace('_', ' ').capitalize()}: {said}")
    return lines


def _robustness(levels: Iterable[Document]) -> list[str]:
    rows = [
        (f"{level['noise']:g}", f"{level['auc']:.4f}", f"{level['auc_change']:+.4f}",
         f"{level['mean_score_change']:.4f}", f"{level['decisions_changed']:.1%}")
        for level in levels
    ]  # fmt: skip
    return [
        "Noise shifts every number by that many of its standard deviations, and replaces every "
        "word with that chance.",
        "",
        *_table(("Noise", "AUC", "Change", "Mean change of a score", "Decisions changed"), rows),
    ]


def _privacy(privacy: Document) -> list[str]:
    attacks = privacy["membership_inference"]
    rows = [
        (name.replace("_", " "),
         _interval(attacks[name]["auc"]), _interval(attacks[name]["advantage"]))
        for name in ("threshold", "likelihood_ratio")
    ]  # fmt: skip
    prices = [
        ("none" if line["epsilon"] is None else f"{line['epsilon']:g}", f"{line['auc']:.4f}")
        for line in privacy["private_baseline"]
    ]
    return [
        f"Attacks that guess which of {attacks['members']} rows were trained on, beside "
        f"{attacks['strangers']} that were not; a coin has AUC 0.5 and advantage 0.",
        "",
        *_table(("Attack", "AUC", "Advantage"), rows),
        "",
        "A differentially private regression on the same rows (output perturbation):",
        "",
        *_table(("Epsilon", "AUC"), prices),
    ]


def _interval(figure: Document) -> str:
    return f"{figure['value']:.4f} ({figure['low']:.4f} to {figure['high']:.4f})"


def _rate(value: float | None) -> str:
    return "no rows" if value is None else f"{value:.3f}"


def _table(titles: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> list[str]:
    lines = [titles, ("---",) * len(titles), *rows]
    return ["| " + " | ".join(map(_safe, line)) + " |" for line in lines]


def _safe(word: object) -> str:
    """As Markdown text that means itself."""
    text = " ".join(str(word).split())
    return "".join(f"\\{sign}" if sign in r"\`*_[]<>|&#!" else sign for sign in text)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
