"""Plots: what a score is worth, as PNG files; the same numbers give the same bytes."""

import io
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve, roc_curve

from app.evaluate import Scored
from app.randomness import seeded

if TYPE_CHECKING:
    import shap

_BINS = 10
_SEED = 20160331


def draw(scored: Scored, explanation: "shap.Explanation") -> dict[str, bytes]:
    """Every plot by its file's name."""
    return {
        "roc.png": roc(scored),
        "precision_recall.png": precision_recall(scored),
        "calibration.png": calibration(scored),
        "shap.png": shapley(explanation),
    }


def roc(scored: Scored) -> bytes:
    """True against false positive rate over all thresholds."""
    false, true, _ = roc_curve(scored.labels, scored.scores)
    with _figure("False positive rate", "True positive rate") as (axes, out):
        axes.plot([0, 1], [0, 1], "--", color="grey", label="chance")
        axes.plot(false, true, label="model")
        called = scored.decisions
        axes.plot(
            called[scored.labels == 0].mean(),
            called[scored.labels == 1].mean(),
            "o",
            label=f"threshold {scored.threshold:.3f}",
        )
        axes.legend()
    return out.getvalue()


def precision_recall(scored: Scored) -> bytes:
    """Precision against recall over all thresholds."""
    precision, recall, _ = precision_recall_curve(scored.labels, scored.scores)
    with _figure("Recall", "Precision") as (axes, out):
        axes.axhline(scored.labels.mean(), ls="--", color="grey", label="chance")
        axes.plot(recall, precision, label="model")
        axes.legend()
    return out.getvalue()


def calibration(scored: Scored) -> bytes:
    """Share of positive rows against the mean score, in parts of equally many rows."""
    share, mean = calibration_curve(scored.labels, scored.scores, n_bins=_BINS, strategy="quantile")
    with _figure("Mean score", "Share of positive rows") as (axes, out):
        end = float(max(share.max(), mean.max()))
        axes.plot([0, end], [0, end], "--", color="grey", label="perfect")
        axes.plot(mean, share, "o-", label="model")
        axes.legend()
    return out.getvalue()


def shapley(explanation: "shap.Explanation") -> bytes:
    """Each feature's share in the scores of some rows, coloured by its value."""
    import shap

    # Points that would hide each other are moved apart by lot.
    with _figure("Share in the score", "") as (axes, out), seeded(_SEED):
        shap.plots.beeswarm(explanation, ax=axes, show=False, plot_size=None, color_bar=False)
    return out.getvalue()


@contextmanager
def _figure(x: str, y: str) -> Generator[tuple[Any, io.BytesIO]]:
    """Axes to draw on, and where the PNG will be when they are left."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out = io.BytesIO()
    # The user's own style must not change the bytes. A figure without pyplot is kept by nobody.
    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(6, 4.5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        yield axes, out
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        # The library's version would be in the file else.
        figure.savefig(out, format="png", dpi=100, metadata={"Software": None})
