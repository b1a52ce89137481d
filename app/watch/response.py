"""Response: the windows that were judged become a retraining Job when the rule says so."""

from collections.abc import Callable, Sequence

from obstore.store import ObjectStore

from app.definition import Definition
from app.watch import jobs
from app.watch.answer import Answer, answer, signals
from app.watch.damping import Rule, Starts
from app.watch.objects import Documents
from app.watch.retraining import Reason, Window
from app.watch.tick import Judged, Respond


def none(judged: Sequence[Judged], now: float) -> Answer:
    """Of a watch that only looks."""
    return Answer()


def by_jobs(bucket: ObjectStore, model: Definition, cooldown: float, namespace: str) -> Respond:
    """Starts Jobs from the model's CronJob `<model>-train`, `cooldown` seconds apart at least."""
    drifted, of = model.watch.drifted_windows
    rule = Rule(drifted=drifted, of=of, cooldown=cooldown)

    def start(job: str, reason: Reason) -> bool:
        api = jobs.Api.of_this_pod()
        return jobs.start(api, namespace, f"{model.name}-train", job, reason)

    return by(bucket, model, rule, start)


def by(
    bucket: ObjectStore, model: Definition, rule: Rule, start: Callable[[str, Reason], object]
) -> Respond:
    """Calls `start` with a Job's name and its reason."""
    documents = Documents(bucket)
    starts = Starts(documents, model.name)

    def respond(judged: Sequence[Judged], now: float) -> Answer:
        windows = [_window(each) for each in judged]
        return answer(starts, windows, signals(documents, model.dataset.name), now, rule, start)

    return respond


def _window(judged: Judged) -> Window:
    found = judged.drift
    figures = {
        "rows": found.rows,
        "drifted": list(found.drifted),
        "psi": {name: round(shift.psi, 4) for name, shift in found.features.items()},
    }
    drifted = None if found.verdict == "short" else found.detected
    return Window(ended=judged.ended, drifted=drifted, figures=figures)
