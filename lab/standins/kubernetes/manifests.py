"""Kubernetes objects out of YAML: from files, patterns, addresses and text."""

import glob
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import urllib3
import yaml

from lab.standins.kubernetes.client import Object
from lab.standins.kubernetes.kubeconfig import SafeLoader
from lab.standins.provider import ProviderError

_PATTERN = re.compile(r"(?:^|[^\\])[*?\[]")
_FIRST = ("CustomResourceDefinition", "Namespace")


class _Loader(SafeLoader):
    """Reads a bare `=` as the text that Kubernetes' own reader takes it for."""


_Loader.add_constructor("tag:yaml.org,2002:value", SafeLoader.construct_yaml_str)


def read(location: str) -> Iterator[Object]:
    """The objects in a file, in the files that a pattern finds, or at an address.

    Raises ProviderError that names the location.
    """
    if location.startswith(("http://", "https://")):
        yield from parse(_fetched(location), location)
        return
    paths = sorted(glob.glob(location)) if _PATTERN.search(location) else [location]
    for path in paths:
        try:
            text = Path(path).read_text()
        except OSError as error:
            raise ProviderError(f"reading YAML file {path}: {error.strerror}") from error
        yield from parse(text, path)


def parse(text: str, source: str) -> Iterator[Object]:
    """The objects in a YAML text, without empty documents."""
    try:
        for document in yaml.load_all(text, Loader=_Loader):
            if document is not None and not isinstance(document, dict):
                raise ProviderError(f"{source}: a document is no Kubernetes object: {document!r}")
            if document:
                yield document
    except yaml.YAMLError as error:
        raise ProviderError(f"{source} is not YAML: {error}") from error


def expanded(objects: Iterable[Object]) -> Iterator[Object]:
    """The objects with lists taken apart. Raises ProviderError for one without kind or name."""
    for each in objects:
        if isinstance(each.get("items"), list) and str(each.get("kind", "")).endswith("List"):
            yield from expanded(each["items"])
            continue
        if not each.get("kind") or not each.get("apiVersion"):
            raise ProviderError(
                f"Kubernetes resources require a kind and apiVersion: {_head(each)}"
            )
        if not (each.get("metadata") or {}).get("name"):
            raise ProviderError(f"Kubernetes resources require a .metadata.name: {_head(each)}")
        yield each


def in_order(objects: Iterable[Object]) -> list[list[Object]]:
    """First what others live in or are kinds of, then the rest."""
    listed = list(objects)
    first = [each for each in listed if each["kind"] in _FIRST]
    rest = [each for each in listed if each["kind"] not in _FIRST]
    return [phase for phase in (first, rest) if phase]


def _fetched(address: str) -> str:
    try:
        response = urllib3.request("GET", address, timeout=60)
    except urllib3.exceptions.HTTPError as error:
        raise ProviderError(f"fetching YAML from {address}: {error}") from error
    if response.status != 200:
        raise ProviderError(f"fetching YAML from {address}: HTTP {response.status}")
    return response.data.decode()


def _head(each: Object) -> str:
    text = str(each)
    return text if len(text) <= 100 else f"{text[:97]}..."
