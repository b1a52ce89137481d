"""Asks a live Prometheus what the panels of the screens ask."""

import json
from collections.abc import Iterator

import requests

from monitoring import dashboards


def silent(prometheus: str, model: str) -> dict[str, str]:
    """The panels, as `screen: title`, with a query that got no series, and that query.

    Raises `requests.HTTPError` when Prometheus takes one for no query at all.
    """
    found = {}
    for panel, query in _asked(model):
        answer = requests.get(f"{prometheus}/api/v1/query", params={"query": query}, timeout=10)
        answer.raise_for_status()
        if not answer.json()["data"]["result"]:
            found[panel] = query
    return found


def _asked(model: str) -> Iterator[tuple[str, str]]:
    for name, text in dashboards.texts().items():
        for panel in json.loads(text)["panels"]:
            for target in panel.get("targets", []):
                query = target["expr"].replace("$__rate_interval", "1m").replace("$model", model)
                yield f"{name.removesuffix('.json')}: {panel['title']}", query
