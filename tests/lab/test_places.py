"""A secret is found in the real parts that need no cluster: engine, Git, store and registry."""

import json
import re
import secrets
import subprocess
from collections.abc import Iterator

import pytest

from lab import toolchain
from tests.lab.clone import Clone
from tests.lab.hunting import Hunter
from tests.lab.places import PLACES, Stack
from tests.lab.planting import PLANTED
from tests.lab.stores import image_registry, s3_store

pytestmark = pytest.mark.lab

HERE = ["state", "files", "ledger", "history", "bucket", "images"]
STACK = "t"
ROOT = {
    "urn": f"urn:pulumi:{STACK}::trial::pulumi:pulumi:Stack::trial-{STACK}",
    "custom": False,
    "type": "pulumi:pulumi:Stack",
    "outputs": {"prometheus": {"url": "http://prometheus.example"}},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A project with a state, and a store and a registry as if a program had made them."""
    home = tmp_path_factory.mktemp("places")
    clone = Clone(home / "project", STACK, "credit-default")
    for folder in ("project/ledger", "project/.venv", "backend", "store", "registry"):
        (home / folder).mkdir(parents=True)
    clone.file.write_text("config: {}\n")
    (clone.folder / "Pulumi.yaml").write_text("name: trial\nruntime: python\n")
    (clone.folder / ".venv/installed").write_text("not ours")
    tools = toolchain.binary("pulumi").parent
    clone.environment |= {
        "PATH": f"{tools}:{clone.environment['PATH']}",
        "PULUMI_BACKEND_URL": f"file://{home}/backend",
        "PULUMI_CONFIG_PASSPHRASE": "trial",
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
    }
    clone.run("git", "init", "--quiet")
    clone.run("pulumi", "stack", "init", STACK)
    made = Stack(clone, "")
    state = json.loads(made.pulumi("stack", "export"))
    state["deployment"]["resources"] = [ROOT]
    subprocess.run(
        ["pulumi", "stack", "import", "--stack", STACK],
        cwd=clone.folder, env=clone.environment, input=json.dumps(state).encode(), check=True,
    )  # fmt: skip
    with (
        s3_store(home / "store") as store,
        image_registry(home / "registry", locked=True) as images,
    ):
        at = {"name": "loans", "endpoint": f"http://{store.address}", "region": "us-east-1"}
        made.outputs = {
            "bucket": at,
            "registry": {"url": f"http://{images.address}"},
            "credentials": {
                "objectStore": {"accessKey": store.user, "secretKey": store.password},
                "registry": {"username": images.user, "password": images.password},
            },
        }
        made.bucket.create()
        made.bucket.Versioning().enable()
        yield made


@pytest.mark.parametrize("place", HERE)
def test_a_secret_that_is_put_in_a_place_is_found_there_and_another_is_not(
    stack: Stack, place: str
) -> None:
    bait = f"Bait{secrets.token_hex(13)}"
    put, encodings = PLANTED[place]
    assert _found(stack, place, bait) == set()
    put(stack, bait)
    assert _found(stack, place, bait) == encodings
    assert _found(stack, place, f"Bait{secrets.token_hex(13)}") == set()


def test_every_version_of_an_object_is_looked_through_and_what_is_said_beside_it(
    stack: Stack,
) -> None:
    stack.bucket.put_object(Key="a", Body=b"written-over-since", Metadata={"note": "told-beside"})
    stack.bucket.put_object(Key="a", Body=b"written-last")
    stack.bucket.Object("a").delete()
    texts = b"\n".join(data for _, data in PLACES["bucket"](stack))
    assert {b"written-over-since", b"told-beside", b"written-last"} <= {
        *re.findall(rb"[\w-]+", texts)
    }


def test_a_file_that_nobody_added_is_looked_through_and_what_was_installed_is_not(
    stack: Stack,
) -> None:
    (stack.clone.folder / "left-behind.txt").write_text("anything")
    (stack.clone.folder / ".gitignore").write_text("left-behind.txt\n")
    names = {name for name, _ in PLACES["files"](stack)}
    assert "left-behind.txt" in names
    assert not {name for name in names if ".venv" in name}


def _found(stack: Stack, place: str, bait: str) -> set[str]:
    """The encodings in which it is found."""
    hunter = Hunter({"bait": bait})
    return {find.encoding for _, data in PLACES[place](stack) for find in hunter.finds(data)}
