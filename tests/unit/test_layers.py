"""The import rules of the tree, checked on the source itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = {
    *("infra", "components", "promotion", "app", "policy", "preview", "lab", "analysis"),
    "monitoring",
}
ALLOWED = {
    "infra": {"infra", "components", "monitoring"},
    "promotion": {"promotion", "infra.outputs", "infra.settings"},
    "components": {"components"},
    "policy": {"policy"},
    "preview": {"preview", "policy", "infra.program", "infra.settings", "monitoring.prices"},
    "app": {"app"},
    "lab": {"lab"},
    "analysis": {"analysis"},
    "monitoring": {"monitoring"},
}
FOREIGN = {"app": {"pulumi", "pulumi_aws", "pulumi_docker", "pulumi_kubernetes", "pulumi_random"}}


def sources(room: str) -> list[Path]:
    return [
        path
        for path in sorted((ROOT / room).rglob("*.py"))
        if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
    ]


def imported(text: str) -> set[str]:
    """Every module that the source names, with both halves of `from a import b` as a.b."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def trespasses(room: str, text: str) -> set[str]:
    """The imports of `text` that a file in `room` may not have."""
    modules = imported(text)
    ours = {name for name in modules if name.split(".")[0] in ROOMS}
    allowed = {
        name
        for name in ours
        if any(f"{name}.".startswith(f"{prefix}.") for prefix in ALLOWED[room])
    }
    foreign = {name for name in modules if name.split(".")[0] in FOREIGN.get(room, set())}
    return (ours - allowed) | foreign


@pytest.mark.parametrize(
    "path",
    [path.relative_to(ROOT) for room in ALLOWED for path in sources(room)],
    ids=str,
)
def test_a_file_imports_nothing_that_its_room_may_not(path: Path) -> None:
    assert trespasses(path.parts[0], (ROOT / path).read_text()) == set()


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("components", "from infra.settings import Settings"),
        ("components", "import infra"),
        ("infra", "from lab.paths import cache"),
        ("infra", "import promotion.pins"),
        ("promotion", "from infra.program import main"),
        ("promotion", "from infra import program"),
        ("promotion", "from components.bucket import Bucket"),
        ("policy", "from components.labels import labels"),
        ("preview", "from components.bucket import Bucket"),
        ("monitoring", "from components.monitoring import Monitoring"),
        ("lab", "from infra.settings import Pin"),
        ("monitoring", "from app.serving import contract"),
        ("components", "from monitoring import rules"),
        ("app", "import pulumi"),
        ("app", "from pulumi_kubernetes import apps"),
    ],
)
def test_a_trespass_is_seen(room: str, line: str) -> None:
    assert trespasses(room, line)


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("promotion", "from infra.settings import Pin"),
        ("promotion", "from infra import settings"),
        ("infra", "from components.bucket import Bucket"),
        ("infra", "from monitoring import rules"),
        ("components", "import pulumi"),
    ],
)
def test_what_is_allowed_passes(room: str, line: str) -> None:
    assert trespasses(room, line) == set()
