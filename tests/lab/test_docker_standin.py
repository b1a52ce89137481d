"""The lab's `docker`, and what a program sees of the provider over it, with a real registry."""

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from lab import paths
from tests.lab.project import Project
from tests.lab.stores import Service, image_registry

pytestmark = pytest.mark.lab

_BUSYBOX = Path("/bin/busybox")
_DOCKERFILE = """\
FROM scratch AS shell
COPY busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM shell
ARG GREETING=none
COPY file.txt /file.txt
RUN cat /etc/xdg/pip/pip.conf; echo "$GREETING" > /greeting
ENV A=b
USER 1000
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with image_registry(tmp_path_factory.mktemp("registry")) as service:
        yield service


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with image_registry(tmp_path_factory.mktemp("locked"), locked=True) as service:
        yield service


@pytest.fixture
def docker(tmp_path: Path) -> "Docker":
    return Docker(tmp_path / "credentials")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "context")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    make_context(project.folder / "image")
    return project


class Docker:
    """The command, with credentials of its own."""

    def __init__(self, credentials: Path) -> None:
        self._variables = {**os.environ, "DOCKER_CONFIG": str(credentials)}
        self._variables["PYTHONPATH"] = str(paths.repository())

    def run(
        self, *arguments: str, typed: str = "", **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """One command, however it ends."""
        return subprocess.run(
            [sys.executable, "-m", "lab.standins.docker_cli", *arguments],
            env=self._variables | variables,
            input=typed,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def __call__(self, *arguments: str, **variables: str) -> str:
        """What one command prints; it must succeed."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """One command that goes on."""
        return subprocess.Popen(
            [sys.executable, "-m", "lab.standins.docker_cli", *arguments],
            env=self._variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def digest(self, name: str) -> str:
        """`repository@digest` of a pushed image."""
        return self("image", "inspect", "--format", "{{index .RepoDigests 0}}", name).strip()


def make_context(folder: Path) -> Path:
    folder.mkdir()
    (folder / "Dockerfile").write_text(_DOCKERFILE)
    (folder / "busybox").write_bytes(_BUSYBOX.read_bytes())
    (folder / "busybox").chmod(0o755)
    (folder / "file.txt").write_text("1")
    return folder


def blobs(service: Service, name: str, tag: str) -> tuple[dict[str, Any], list[bytes]]:
    """The configuration of a pushed image, and its layers unpacked."""
    base = f"http://{service.address}/v2/{name}"
    accept = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}
    manifest = requests.get(f"{base}/manifests/{tag}", headers=accept, timeout=10).json()
    layers = [
        gzip.decompress(requests.get(f"{base}/blobs/{each['digest']}", timeout=10).content)
        for each in manifest["layers"]
    ]
    config = requests.get(f"{base}/blobs/{manifest['config']['digest']}", timeout=10).json()
    return config, layers


def _processes() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout


def _wait_for(happens: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < until
        time.sleep(0.2)


# The command


def test_the_same_content_has_the_same_digest(
    docker: Docker, context: Path, registry: Service
) -> None:
    name = f"{registry.address}/same:1"
    digests = set()
    for moment in (1_000_000_000, 1_500_000_000):
        os.utime(context / "file.txt", (moment, moment))
        docker("build", "--no-cache", "-t", name, str(context))
        docker("push", name)
        digests.add(docker.digest(name))
    assert len(digests) == 1
    assert digests.pop().startswith(f"{registry.address}/same@sha256:")
    docker("rmi", "-f", name)


def test_a_build_reaches_what_the_host_reaches_and_keeps_nothing_of_it(
    docker: Docker, context: Path, registry: Service
) -> None:
    name = f"{registry.address}/clean:1"
    index = "https://user:word@index.test/simple"
    built = docker("build", "--no-cache", "-t", name, str(context), PIP_INDEX_URL=index)
    assert f"index-url = {index}" in built
    docker("push", name)
    config, layers = blobs(registry, "clean", "1")
    assert config["config"]["Env"][1:] == ["A=b"]
    assert "index.test" not in str(config)
    assert not any(b"index.test" in layer or b"pip.conf" in layer for layer in layers)
    docker("rmi", "-f", name)


def test_arguments_labels_targets_and_ids(
    docker: Docker, context: Path, registry: Service, tmp_path: Path
) -> None:
    name = f"{registry.address}/args:1"
    file = tmp_path / "id"
    options = ["--label", "l=v", "--build-arg", "GREETING", "--iidfile", str(file)]
    docker("build", "-t", name, *options, str(context), GREETING="from the environment")
    docker("push", name)
    _, layers = blobs(registry, "args", "1")
    assert any(b"from the environment\n" in layer for layer in layers)
    assert docker("inspect", "-f", "{{.Id}}", name).strip() == file.read_text()
    assert docker("inspect", "-f", "{{json .Config.Labels}}", file.read_text()) == '{"l": "v"}\n'
    docker("build", "-t", name, "--target", "shell", str(context))
    assert docker("inspect", "-f", "{{json .Config.User}}", name) == '""\n'
    docker("rmi", "-f", name)


def test_a_public_base_comes_from_the_mirror(
    docker: Docker, context: Path, registry: Service, tmp_path: Path
) -> None:
    public = f"{registry.address}/docker.io/library/trial-base:1"
    base = tmp_path / "base"
    base.mkdir()
    (context / "Dockerfile").write_text("FROM trial-base:1\nENV C=d\n")
    # The second time it is another image under the same name.
    for turn in "12":
        (base / "Dockerfile").write_text(f"FROM scratch\nENV TURN={turn}\n")
        docker("build", "-t", public, str(base))
        docker("push", public)
        docker("rmi", "-f", public)
        docker("build", "-t", "trial", str(context), FERRY_MIRROR=registry.address)
        environment = docker("inspect", "-f", "{{json .Config.Env}}", "trial")
        assert f'"TURN={turn}", "C=d"' in environment
    (context / "Dockerfile").write_text("FROM trial-base:2\n")
    ran = docker.run("build", str(context), FERRY_MIRROR=registry.address)
    assert ran.returncode == 1
    assert "trial-base:2" in ran.stderr
    docker("rmi", "-f", "trial", "trial-base:1")


def test_a_locked_registry_wants_a_login(docker: Docker, context: Path, locked: Service) -> None:
    name = f"{locked.address}/private:1"
    docker("build", "-t", name, str(context))
    assert docker.run("push", name).returncode == 1
    login = ("login", "-u", locked.user, "--password-stdin", locked.address)
    assert docker.run(*login, typed="wrong").returncode == 1
    assert docker.run(*login, typed=locked.password).returncode == 0
    docker("push", name)
    docker("logout", locked.address)
    assert docker.run("push", name).returncode == 1
    docker("rmi", "-f", name)


def test_a_dockerfile_may_choose_its_shell_and_what_it_ignores(
    docker: Docker, context: Path, tmp_path: Path
) -> None:
    file = tmp_path / "Other"
    file.write_text(
        'FROM scratch\nCOPY . /all\nSHELL ["/all/busybox", "sh", "-c"]\nRUN /all/busybox ls /all\n'
    )
    Path(f"{file}.dockerignore").write_text("file.txt\n")
    built = docker("build", "--no-cache", "-t", "other", "-f", str(file), str(context))
    assert "busybox\n" in built
    assert "file.txt\n" not in built
    docker("rmi", "-f", "other")


def test_a_build_that_is_ended_leaves_nothing_running_and_nothing_mounted(
    docker: Docker, context: Path
) -> None:
    (context / "Dockerfile").write_text(_DOCKERFILE + "RUN exec sleep 6543\n")
    with docker.start("build", "--no-cache", "-t", "ended", str(context)) as build:
        _wait_for(lambda: "sleep 6543" in _processes())
        build.terminate()
        assert build.wait(30) == 143
    _wait_for(lambda: "sleep 6543" not in _processes())
    storage = str(paths.cache() / "buildah")  # of everybody's builds
    _wait_for(lambda: storage not in Path("/proc/mounts").read_text())


def test_what_is_not_there_is_an_error(docker: Docker, tmp_path: Path) -> None:
    inspected = docker.run("image", "inspect", "nothing:1")
    assert (inspected.returncode, inspected.stdout) == (1, "[]\n")
    assert "No such image: nothing:1" in inspected.stderr
    assert docker.run("push", "nothing:1").returncode == 1
    missing = docker.run("build", str(tmp_path))
    assert missing.returncode == 125
    assert f"there is no Dockerfile {tmp_path}/Dockerfile" in missing.stderr


# The provider

_PROGRAM = """
    import os
    import pulumi
    import pulumi_docker as docker

    server = os.environ["REGISTRY"]
    image = docker.Image(
        "image",
        image_name=f"{server}/by-pulumi:1",
        build={"context": "image", "args": {"GREETING": pulumi.Output.secret("a-secret-greeting")}},
        registry={
            "server": server, "username": os.environ["REGISTRY_USER"],
            "password": pulumi.Output.secret(os.environ["REGISTRY_PASSWORD"]),
        },
    )
    pulumi.export("digest", image.repo_digest)
    pulumi.export("server", image.registry_server)
"""


def test_an_image_is_built_once_and_again_when_a_file_changes(
    tmp_path: Path, locked: Service, docker: Docker
) -> None:
    variables = {"REGISTRY": locked.address, "REGISTRY_USER": locked.user}
    variables["REGISTRY_PASSWORD"] = locked.password
    project = Project(tmp_path, variables)
    make_context(project.folder / "image")
    (project.folder / "image" / ".dockerignore").write_text("*.log\n")
    project.program(_PROGRAM)
    assert project.preview() == {"create": 2}
    project.up()
    first = project.output("digest")
    assert first.startswith(f"{locked.address}/by-pulumi@sha256:")
    assert project.output("server") == locked.address
    found = requests.head(
        f"http://{locked.address}/v2/by-pulumi/manifests/{first.partition('@')[2]}",
        auth=(locked.user, locked.password),
        headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        timeout=10,
    )
    assert found.status_code == 200
    assert locked.password not in project.state()
    assert "a-secret-greeting" not in project.state()

    (project.folder / "image" / "a.log").write_text("noise")
    assert project.preview() == {}
    (project.folder / "image" / "file.txt").write_text("2")
    assert project.preview() == {"update": 1}
    project.up()
    second = project.output("digest")
    assert second != first

    # The state is lost, the image is not.
    (project.folder / "image" / "Dockerfile").touch()
    docker("rmi", "-f", f"{locked.address}/by-pulumi:1")
    project.run("stack", "rm", "--yes", "--force")
    project.run("stack", "init", "t")
    assert "by-pulumi:1 is in the registry already" in project.up().text
    assert project.output("digest") == second
    project.destroy()


def test_a_failed_build_shows_what_docker_said(project: Project) -> None:
    (project.folder / "image" / "Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
    project.program(
        """
        import pulumi_docker as docker
        docker.Image("image", image_name="failing", build={"context": "image"}, skip_push=True)
        """
    )
    ran = project.run("up", "--yes", "--skip-preview")
    assert ran.code != 0
    assert "docker build failed" in ran.text
    assert "nothing" in ran.text


def test_an_image_need_not_be_pushed(project: Project, docker: Docker) -> None:
    project.program(
        """
        import pulumi
        import pulumi_docker as docker
        image = docker.Image(
            "image", image_name="stays", build={"context": "image"}, skip_push=True
        )
        pulumi.export("digest", image.repo_digest)
        """
    ).up()
    assert project.output("digest") == docker("inspect", "-f", "{{.Id}}", "stays").strip()
    docker("rmi", "-f", "stays")


def test_what_is_not_covered_is_refused_by_name(project: Project) -> None:
    project.program('import pulumi_docker as d\nd.RegistryImage("r", name="x")')
    assert "docker:index/registryImage:RegistryImage" in project.run("preview").text
