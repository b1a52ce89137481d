"""What the lab's tests share: a control plane without nodes, and Pulumi projects on it."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from lab.rehearsal.control_plane import ControlPlane, control_plane
from lab.rehearsal.kubelet import Kubelet
from lab.standins.kubernetes import kubeconfig
from lab.standins.kubernetes.client import Client
from tests.lab.project import Project

# Minutes each, and few tests: begun first, so that the workers end together.
LONGEST = ["whole", "test_promotion", "test_faults", "test_rehearsal", "test_delivery"]
SAME_LAB = {"test_bad_input": "test_cluster"}
"""Files whose lab has the name of another's."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {place: number for number, place in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(_place(str(item.path)), len(order)))


class _ByPlace(LoadScopeScheduling):
    """A worker takes a file whole, or a folder: its tests share a lab, and follow each other."""

    def _split_scope(self, nodeid: str) -> str:
        place = _place(nodeid.partition("::")[0])
        return SAME_LAB.get(place, place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByPlace | None:  # noqa: ANN401
    return _ByPlace(config, log) if config.getvalue("dist") == "loadfile" else None


def _place(file: str) -> str:
    """A file of this folder, or a folder in it."""
    return file.rpartition("tests/lab/")[2].partition("/")[0].removesuffix(".py")


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with its controllers; Pods get the fate that their label names."""
    with control_plane(tmp_path_factory.mktemp("plane")) as running:
        client = Client(kubeconfig.load(str(running.kubeconfig), None))
        with Kubelet(client):
            yield running


@pytest.fixture
def api(plane: ControlPlane) -> Client:
    """The API, past the provider."""
    return Client(kubeconfig.load(str(plane.kubeconfig), None))


@pytest.fixture
def namespace(api: Client) -> str:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    api.create(manifest, "test", dry_run=False)
    return name


@pytest.fixture
def cluster_project(plane: ControlPlane, namespace: str, tmp_path: Path) -> Project:
    """A project whose objects go into the test's namespace unless they name another."""
    project = Project(tmp_path, {"KUBECONFIG": str(plane.kubeconfig)})
    assert project.run("config", "set", "kubernetes:namespace", namespace).code == 0
    return project
