"""The secrets that a stack has, by names: those to look for where none must be."""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.lab.hunting import secret_words, unpacked

# How the engine marks a secret in a state that was exported with them.
_MARK = ("4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270")
# What is scraped from where: its operator keeps it in a Secret, Prometheus tells it to everybody.
_TOLD = {("prometheus-prometheus", "prometheus.yaml.gz")}
_PASSWORD = "random:index/randomPassword:RandomPassword"


def passwords(exported: Mapping[str, Any]) -> dict[str, str]:
    """All that were generated, from `pulumi stack export --show-secrets`."""
    return {
        f"password {_name(each)}": next(_texts(each["outputs"]["result"]))
        for each in exported["deployment"]["resources"]
        if each["type"] == _PASSWORD
    }


def in_state(exported: Mapping[str, Any]) -> dict[str, str]:
    """The passwords, and the secret words of all that the program gave away as a secret."""
    found = passwords(exported)
    for each in exported["deployment"]["resources"]:
        # What is known of a password beside itself is its hash.
        parts = each.get("outputs" if each["type"] == _PASSWORD else "inputs")
        for text in _marked(parts):
            _add(found, f"state of {_name(each)}", text)
    return found


def in_cluster(secrets: Sequence[Mapping[str, Any]], known: Mapping[str, str]) -> dict[str, str]:
    """`known`, and the secret words of the cluster's Secrets."""
    found = dict(known)
    for each in secrets:
        about = each["metadata"]
        for key, value in (each.get("data") or {}).items():
            if (about["name"], key) in _TOLD:
                continue
            for data in unpacked(base64.b64decode(value)):
                name = f"Secret {about['namespace']}/{about['name']} {key}"
                _add(found, name, data.decode(errors="replace"))
    return found


def _name(resource: Mapping[str, Any]) -> str:
    return resource["urn"].rpartition("::")[2]


def _add(found: dict[str, str], name: str, text: str) -> None:
    """Adds the words of `text` that are not there yet, numbered."""
    new = sorted(secret_words(text) - {*found.values()})
    for number, word in enumerate(new, start=sum(each.startswith(f"{name} ") for each in found)):
        found[f"{name} {number}"] = word


def _marked(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The texts of all that is marked as secret, at whatever depth."""
    if isinstance(value, dict) and value.get(_MARK[0]) == _MARK[1]:
        yield from _texts(value)
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _marked(each)


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401
    """Every text, marked or not."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict) and value.get(_MARK[0]) == _MARK[1]:
        yield from _texts(json.loads(value["plaintext"]))
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
