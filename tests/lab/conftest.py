"""What the lab's tests share: a control plane without nodes, and Pulumi projects on it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.rehearsal.control_plane import ControlPlane, control_plane
from lab.rehearsal.kubelet import Kubelet
from lab.standins.kubernetes import kubeconfig
from lab.standins.kubernetes.client import Client
from tests.lab.project import Project

HERE = Path(__file__).parent
# Minutes each, and few tests: begun first, so that the workers end together.
LONGEST = ["whole", "test_promotion", "test_faults", "test_rehearsal", "test_delivery"]


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A worker takes a file whole, or a folder: its tests share a lab, and follow each other."""
    places = {item: _place(item) for item in items if HERE in item.path.parents}
    for item, place in places.items():
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(place))
    order = {place: number for number, place in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(places.get(item, ""), len(order)))


def _place(item: pytest.Item) -> str:
    return item.path.relative_to(HERE).parts[0].removesuffix(".py")


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
