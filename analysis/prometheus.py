"""What Prometheus knows of the two releases; whatever is no such answer is no data."""

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from analysis.evidence import Counts

LATENCY, SCORE, ERROR = "prediction_latency_seconds", "prediction_score", "inference_error"
SERIES = (f"{LATENCY}_bucket", f"{SCORE}_bucket", f"{ERROR}_total")
HASH = "rollouts_pod_template_hash"
LOOK_BACK_SECONDS = 15
"""Three scrapes. Prometheus itself leaves out what is older, by the clock that dated it."""
SERVER = frozenset({"internal", "online", "loading", "shed", "deadline"})
CLIENT = frozenset(
    {"too_large", "timeout", "encoding", "http", "entity", "route", "method", "model", "protocol"}
)
"""What is wrong with the client, whichever release it asks. A reason in neither set is of the rows,
so that one that is not known here counts too."""
_TIMEOUT = aiohttp.ClientTimeout(total=4)
_MOST_BYTES = 16 << 20


class NoData(Exception):
    """Prometheus did not answer, or with something that is no answer."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of one pod: labels with the name, and (seconds, value) in order of time."""

    labels: frozenset[tuple[str, str]]
    samples: tuple[tuple[float, float], ...]

    def label(self, name: str) -> str:
        return next((value for key, value in self.labels if key == name), "")


def query(model: str, hashes: tuple[str, str]) -> str:
    """All series of both releases, with what was scraped of them lately."""
    matchers = (
        f'__name__=~"{"|".join(SERIES)}"',
        f"model={json.dumps(model)}",
        f'{HASH}=~"{"|".join(hashes)}"',
    )
    return f"{{{','.join(matchers)}}}[{LOOK_BACK_SECONDS}s]"


async def read(
    session: aiohttp.ClientSession, url: str, model: str, hashes: tuple[str, str]
) -> list[Series]:
    """The series that `query` names; raises `NoData` within some seconds."""
    try:
        async with session.post(
            f"{url.rstrip('/')}/api/v1/query",
            data={"query": query(model, hashes)},
            timeout=_TIMEOUT,
            allow_redirects=False,
        ) as answer:
            body = await answer.content.read(_MOST_BYTES)
            if answer.status != 200 or not answer.content.at_eof():
                raise NoData(f"Prometheus answered {answer.status}: {body[:200]!r}")
        return list(parse(json.loads(body)))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoData(f"Prometheus does not answer: {error!r}"[:300]) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoData(f"Prometheus answered what is no result: {error!r}"[:300]) from error


def parse(document: Any) -> Iterator[Series]:  # noqa: ANN401 - whatever came
    """The series of an answer; raises ValueError, KeyError or TypeError for any other document."""
    if document["status"] != "success" or document["data"]["resultType"] != "matrix":
        raise ValueError(f"status {document['status']!r}")
    for each in document["data"]["result"]:
        labels = frozenset((str(key), str(value)) for key, value in each["metric"].items())
        samples = tuple((float(at), float(value)) for at, value in each["values"])
        if samples:
            yield Series(labels=labels, samples=samples)


@dataclass
class Window:
    """What both releases counted since the first look, whatever restarts in between.

    A series counts from the value it was first seen with. A value below the one before it is one
    of a process that began again at zero.
    """

    stable: str
    canary: str
    _last: dict[frozenset[tuple[str, str]], tuple[float, float]] = field(default_factory=dict)
    _sums: dict[tuple[str, str, str], float] = field(default_factory=lambda: defaultdict(float))
    _missing: dict[str, str] = field(default_factory=dict)

    def add(self, series: list[Series]) -> None:
        """Take an answer in."""
        seen: dict[str, set[str]] = {self.stable: set(), self.canary: set()}
        broken: set[str] = set()
        for each in series:
            name, release = each.label("__name__"), each.label(HASH)
            if release not in seen or name not in SERIES:
                continue
            if all(math.isfinite(value) and value >= 0 for _, value in each.samples):
                seen[release].add(name)
                self._count(each, (release, name, each.label("le") or each.label("reason")))
            else:
                broken.add(release)
        self._missing = {}
        for release, names in seen.items():
            if absent := [name for name in SERIES if name not in names]:
                self._missing[release] = f"no sample of {', '.join(absent)} in the last " + (
                    f"{LOOK_BACK_SECONDS} s"
                )
            if release in broken:
                self._missing[release] = "a sample is no finite number"

    def lost(self, why: str) -> None:
        """There was no answer."""
        self._missing = {self.stable: why, self.canary: why}

    @property
    def missing(self) -> str:
        """Why a release has no counts; empty when both have."""
        stable, canary = self._missing.get(self.stable), self._missing.get(self.canary)
        if stable == canary:
            return stable or ""
        named = {"canary": canary, "stable": stable}
        return "; ".join(f"{name}: {why}" for name, why in named.items() if why)

    def counts(self, release: str) -> Counts | None:
        """The counts of a release, or None when the last answer had nothing fresh of it."""
        if release in self._missing:
            return None
        latency = self._histogram(release, LATENCY)
        errors = {
            kind: total
            for (of, name, kind), total in self._sums.items()
            if of == release and name == f"{ERROR}_total"
        }
        server = sum(total for reason, total in errors.items() if reason in SERVER)
        schema = sum(total for reason, total in errors.items() if reason not in SERVER | CLIENT)
        return Counts(
            requests=latency.get(math.inf, 0) + server + schema,
            server_errors=server,
            schema_errors=schema,
            latency=latency,
            scores=self._histogram(release, SCORE),
        )

    def _count(self, series: Series, place: tuple[str, str, str]) -> None:
        last = self._last.get(series.labels)
        grown = 0.0
        for at, value in series.samples:
            if last is None or at <= last[0]:
                continue
            grown += value - last[1] if value >= last[1] else value
            last = (at, value)
        self._last[series.labels] = last or series.samples[-1]
        self._sums[place] += grown

    def _histogram(self, release: str, name: str) -> dict[float, float]:
        return {
            float(bound): total
            for (of, series, bound), total in self._sums.items()
            if of == release and series == f"{name}_bucket"
        }
