"""What a rehearsal is played on: an emulated AWS, a registry, and an API server without nodes."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from lab import environment, paths, toolchain
from lab.cluster.pki import write_private
from lab.rehearsal import services
from lab.rehearsal.auto_mode import AutoMode
from lab.rehearsal.control_plane import control_plane
from lab.rehearsal.kubelet import Kubelet
from lab.rehearsal.operator import Operator
from lab.standins.aws.stage import ENDPOINT, KUBERNETES, NODES, REGISTRY
from lab.standins.kubernetes import kubeconfig
from lab.standins.kubernetes.client import Client

_TOOLS = ("pulumi", "kubernetes", "etcd", "registry", "prometheus-operator")
_LAUNCHERS = {
    **environment.STAND_INS,
    "aws": "lab.standins.aws_command",
    "docker": "lab.rehearsal.docker",
}
_PATIENCE = 1500  # seconds for one command
_NOT_COPIED = (".venv", ".git", "__pycache__", ".*_cache", ".hypothesis", "mlruns", "mlartifacts")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """`variables` is all that an engine needs to find it; `aws` is the emulator's URL."""

    project: Path
    """A copy of the checkout: an engine writes into the stack files that it reads."""
    variables: dict[str, str]
    aws: str
    account: str
    api: Client

    def file(self, stack: str) -> Path:
        return self.project / f"Pulumi.{stack}.yaml"

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A command in the project, with `more` in its environment; both streams as one."""
        return subprocess.run(
            # It would go on alone if this process was killed.
            ["setpriv", "--pdeathsig=INT", *command],
            cwd=self.project,
            env=self.variables | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_PATIENCE,
        )

    def pulumi(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return self.run("pulumi", *arguments, "--non-interactive", **more)


@contextlib.contextmanager
def stage(
    folder: Path, *, account: str, region: str, copies: str | None = None
) -> Generator[Stage]:
    """Put up in an empty folder; whatever runs ends with the block. `copies` is a bucket there."""
    toolchain.ensure(_TOOLS)
    for name in ("bin", "backend", "home", "plane", "built"):
        (folder / name).mkdir()
    project = folder / "project"
    shutil.copytree(paths.repository(), project, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    (project / ".venv").symlink_to(Path(sys.prefix))
    environment.scripts(folder / "bin", _LAUNCHERS)
    write_private(folder / "passphrase", b"rehearsal")
    environment.without_log(folder / "home")
    with contextlib.ExitStack() as up:
        aws = up.enter_context(services.emulated_aws(folder, account))
        if copies is not None:
            services.versioned_bucket(aws, region, copies)
        registry = up.enter_context(services.amazons_registry(folder, account))
        plane = up.enter_context(control_plane(folder / "plane"))
        api = Client(kubeconfig.load(str(plane.kubeconfig), None))
        up.enter_context(Kubelet(api, of_jobs="succeeds"))
        up.enter_context(AutoMode(api))
        up.enter_context(Operator(api, plane.kubeconfig, folder / "operator.log"))
        yield Stage(
            project=project,
            variables={
                **_neutral(),
                "PATH": ":".join(
                    str(each)
                    for each in (
                        folder / "bin",
                        toolchain.binary("pulumi").parent,
                        Path(sys.executable).parent,
                        os.environ["PATH"],
                    )
                ),
                "KUBECONFIG": os.devnull,  # only what the program itself makes is asked
                "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}?{environment.WHOLE}",
                "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
                "PULUMI_HOME": str(folder / "home"),
                "PULUMI_SKIP_UPDATE_CHECK": "1",
                ENDPOINT: aws,
                "AWS_REGION": region,
                "AWS_ACCESS_KEY_ID": services.KEY,
                "AWS_SECRET_ACCESS_KEY": services.KEY,
                "AWS_EC2_METADATA_DISABLED": "true",
                KUBERNETES: str(plane.kubeconfig),
                REGISTRY: registry,
                # Of HTTP clients in Python, and in Go.
                "REQUESTS_CA_BUNDLE": str(folder / services.AUTHORITY),
                "SSL_CERT_FILE": str(folder / services.AUTHORITY),
                NODES: services.default_security_group(aws, region),
                "FERRY_REHEARSAL_IMAGES": str(folder / "built"),
            },
            aws=aws,
            account=account,
            api=api,
        )


def _neutral() -> dict[str, str]:
    """The environment less whatever leads to a real account, or to another engine's state."""
    led = ("AWS_", "PULUMI_", "KUBE", "FERRY_REHEARSAL_", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if not key.startswith(led)}
