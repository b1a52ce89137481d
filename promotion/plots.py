"""Plots of a report as SVG files; the same figures give the same bytes."""

import io
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from promotion.findings import Figure, Figures, Gap

_LONGEST = 40  # letters of a label


def draw(figures: Figures) -> Mapping[str, bytes]:
    """Every plot that there are figures for, by its file's name."""
    found: dict[str, bytes] = {}
    if isinstance(figures.metrics, tuple) and figures.metrics:
        found["metrics.svg"] = intervals(figures.metrics, "value and 95% interval", "baseline")
    if isinstance(figures.differences, tuple) and figures.differences:
        found["champion.svg"] = intervals(
            figures.differences, "difference from the champion and 95% interval", "no difference"
        )
    if isinstance(figures.gaps, tuple):
        gaps = [gap for gap in figures.gaps if gap.value is not None]
        if gaps:
            found["fairness.svg"] = bars(gaps)
    return found


def intervals(figures: Sequence[Figure], x: str, mark: str) -> bytes:
    """A row per figure: its value with the interval around it, and a cross at its mark."""
    rows = range(len(figures))
    with _figure([figure.name for figure in figures], x) as (axes, out):
        axes.hlines(rows, [f.low for f in figures], [f.high for f in figures], color="tab:blue")
        axes.plot([f.value for f in figures], rows, "o", color="tab:blue", label="release")
        axes.plot([f.mark for f in figures], rows, "x", color="grey", label=mark)
        axes.legend()
    return out.getvalue()


def bars(gaps: Sequence[Gap]) -> bytes:
    """A bar per gap between groups, and a line at what groups drawn by lot would show."""
    rows = range(len(gaps))
    with _figure([f"{gap.split}: {gap.measure}" for gap in gaps], "gap") as (axes, out):
        axes.barh(rows, [gap.value for gap in gaps], height=0.5, label="release")
        axes.plot([gap.by_chance for gap in gaps], rows, "|", ms=18, color="black", label="chance")
        axes.legend()
    return out.getvalue()


@contextmanager
def _figure(labels: Sequence[str], x: str) -> Generator[tuple[Any, io.BytesIO]]:
    """Axes with a row per label, and where the SVG will be when they are left."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    out = io.BytesIO()
    # Letters become outlines, so no foreign text enters the file and no font is looked for; the
    # user's own style must not change the bytes.
    with mpl.rc_context(mpl.rcParamsDefault):
        mpl.rcParams["svg.hashsalt"] = "ferry"
        mpl.rcParams["svg.fonttype"] = "path"
        mpl.rcParams["text.parse_math"] = False
        figure = Canvas(figsize=(8, 1.2 + 0.35 * len(labels)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        yield axes, out
        axes.set_yticks(range(len(labels)), [_label(label) for label in labels])
        axes.set_ylim(len(labels) - 0.5, -0.5)
        axes.set_xlabel(x)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})


def _label(text: str) -> str:
    """As letters that the font has."""
    plain = "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    return plain if len(plain) <= _LONGEST else plain[: _LONGEST - 3] + "..."
