"""Two stacks in memory, dev and prod above it: buckets, registries, outputs and an engine."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ruamel.yaml import YAML

from infra.outputs import ServedModel, StackOutputs
from infra.settings import Data, Pin, parse
from promotion import (
    aliases,
    copying,
    deliver,
    engine,
    evidence,
    health,
    images,
    ledger,
    moves,
    pins,
    promote,
    verify,
)  # fmt: skip
from promotion.ledger import Ledger
from promotion.models import Registered
from promotion.record import Record
from promotion.refusals import DependencyDown, GateRefused
from promotion.release import Release, digest
from promotion.stack import Stack
from tests.unit import test_release
from tests.unit.test_ferry import DEV, OUTPUTS
from tests.unit.test_gates import DATA, KEY, SIGNER, card, documents

MODEL = "credit-default"
PROD = DEV.replace("environment: dev", "environment: prod\n    below: dev")


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


class Bucket(test_release.Bucket):
    """Counts each write as an effect."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self.world = world

    def put_object(self, **given: Any) -> None:  # noqa: ANN401
        self.world.effect(partial(super().put_object, **given))

    def Object(self, key: str) -> Any:  # noqa: ANN401
        stored: Any = super().Object(key)
        stored.last_modified = datetime.now(UTC) - timedelta(hours=1)
        return stored


class World:
    """Both stacks; what their engines serve; and a killer that strikes at one of the effects."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "Pulumi.yaml").write_text("name: ferry\nruntime: python\n")
        (folder / "Pulumi.dev.yaml").write_text(DEV)
        (folder / "Pulumi.prod.yaml").write_text(PROD)
        self.buckets = {name: Bucket(self) for name in ("dev", "prod")}
        self.registries: dict[str, set[str]] = {"dev": set(), "prod": set()}
        self.served: dict[str, dict[str, Pin]] = {"dev": {}, "prod": {}}
        self.registered: dict[int, Registered] = {}
        self.aliases: dict[str, int] = {}
        self.silent: set[str] = set()
        self.bad: set[int] = set()
        self.down = ""
        self.updates: list[str] = []
        self.effects = 0
        self.kill_at: int | None = None
        self.kill_after = False

    def effect(self, act: Callable[[], Any]) -> Any:  # noqa: ANN401
        """One thing that stays; the killer strikes just before or just after it."""
        self.effects += 1
        if self.effects == self.kill_at and not self.kill_after:
            raise Killed
        found = act()
        if self.effects == self.kill_at and self.kill_after:
            raise Killed
        return found

    def stack(self, name: str) -> Stack:
        return Stack(name, self.folder)

    def records(self, stack: str = "prod") -> list[Record]:
        return self.ledger(stack).verify()

    def ledger(self, stack: str) -> Ledger:
        return ledger.of(self.stack(stack))

    def pin(self, stack: str = "prod") -> Pin | None:
        return pins.read(self.stack(stack).file, MODEL)

    def set(self, name: str, old: str, new: str) -> None:
        """Change a stack file as a person would."""
        path = self.folder / f"Pulumi.{name}.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    def build(self, version: int, **changes: object) -> Release:
        """A release of dev: its evidence, its image and its registered version."""
        image, weights = (f"sha256:{kind}{version:063d}" for kind in "ab")
        text = card().replace(test_release.ZEROS, weights)
        files = {f"{k}.json": json.dumps(v).encode() for k, v in documents(**changes).items()}
        files |= {"card.md": text.encode(), "card.html": b"<html>", "signer.pem": KEY}
        release = test_release.a_release(
            version=version, image=image, weights=weights, signer=SIGNER,
            data=Data(key="d", version_id="v", sha256=DATA),
            files={name: digest(content) for name, content in files.items()},
        )  # fmt: skip
        stored = {**files, evidence.RECORD: release.document()}
        for name, content in stored.items():
            self.buckets["dev"].objects[evidence.prefix(MODEL, version) + name] = content
        self.registries["dev"].add(image)
        fields = release.model_dump(exclude={"format", "image", "files"})
        self.registered[version] = Registered(**fields, dirty=False)
        return release

    def serve(self, version: int, **changes: object) -> Pin:
        """Build a release, pin it in dev and deliver it there."""
        pin = self.build(version, **changes).pin()
        moves.move(self.stack("dev"), MODEL, pin, expected=self.pin("dev"), action="pin")
        deliver.deliver(self.stack("dev"), quiet)
        return pin

    def outputs(self, name: str) -> StackOutputs:
        if name == self.down:
            raise DependencyDown(f"{name} does not answer")
        models = {
            model: {
                "url": f"http://{name}", "namespace": "m", "rollout": "r",
                "release": pin.model_dump(include={"version", "image", "weights", "evidence"}),
            }
            for model, pin in self.served[name].items()
        }  # fmt: skip
        registry = {"url": f"http://registry.{name}"}
        return StackOutputs.read({**OUTPUTS, "registry": registry, "models": models})

    def health(
        self, models: dict[str, ServedModel], rows: object, *, patience: float
    ) -> dict[str, Any]:
        """Each model answers as the version that its stack serves, unless it is silent."""
        found = {}
        for model, at in models.items():
            silent = at.url.removeprefix("http://") in self.silent
            answers = "no answer" if silent else {"versions": [str(at.release.version)]}
            found[model] = SimpleNamespace(answers=answers)
        return found

    def skopeo(self, *arguments: str) -> None:
        assert arguments[0] == "copy"
        assert {"--all", "--preserve-digests"} <= set(arguments)
        source, into = arguments[-2:]
        image = source.partition("@")[2]
        assert image in self.registries[source.split("/")[2].removeprefix("registry.")]
        self.effect(partial(self.registries[into.split("/")[2].split(".")[1]].add, image))

    def up(self, stack: Stack, say: object) -> engine.Ran:
        """An update: serves every pin, except of a version that is bad."""
        self.updates.append(stack.name)
        wanted = {m: pins.read(stack.file, m) for m in (MODEL,)}
        complaints = [
            engine.Complaint(
                urn=f"urn:pulumi:x::ferry::ferry:serving:ModelService::{m}", text="bad"
            )
            for m, pin in wanted.items()
            if pin and pin.version in self.bad
        ]
        now = {model: pin for model, pin in wanted.items() if pin}
        if not complaints:
            self.effect(partial(self.served.__setitem__, stack.name, now))
        return engine.Ran(ok=not complaints, complaints=complaints, printed="")

    def digest(self, registry: str, repository: str, tag: str, auth: object) -> str | None:
        name = registry.removeprefix("http://registry.")
        return tag if tag in self.registries[name] else None


def quiet(text: str) -> None:
    """Says nothing."""


@lru_cache(maxsize=64)
def _pin(text: str, model: str) -> Pin | None:
    return pins._pin(YAML(typ="safe").load(text), model)


_settings = lru_cache(maxsize=64)(parse)


def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world of its own in `folder`, with everything outside of the process replaced by it."""
    made = World(folder)

    class Registry:
        def __init__(self, stack: Stack) -> None:
            assert stack.name == "dev", "only the lowest stack has registered versions"
            made.outputs(stack.name)

        def version(self, model: str, version: int) -> Registered:
            if version not in made.registered:
                raise GateRefused(f"{model} has no version {version}")
            return made.registered[version]

        def point(self, model: str, alias: str, version: int) -> None:
            made.aliases[alias] = version

        def delete(self, model: str, version: int) -> bool:
            return made.registered.pop(version, None) is not None

    monkeypatch.setattr(Stack, "outputs", property(lambda self: made.outputs(self.name)))
    monkeypatch.setattr(Stack, "registry_login", ("u", "p"))
    monkeypatch.setattr(Stack, "bucket", lambda self: made.buckets[self.name])
    monkeypatch.setattr(verify, "ModelRegistry", Registry)
    monkeypatch.setattr(aliases, "ModelRegistry", Registry)
    monkeypatch.setattr(health, "ask", made.health)
    monkeypatch.setattr(images, "digest", made.digest)
    monkeypatch.setattr(copying, "_skopeo", made.skopeo)
    monkeypatch.setattr(engine, "up", made.up)
    monkeypatch.setattr(engine, "clear_pending", lambda stack, say: None)
    monkeypatch.setattr(ledger, "mirror_if_reachable", lambda stack, say: None)
    # The same text is the same pins and settings, and parsing it is what takes the time here.
    monkeypatch.setattr(pins, "read", lambda path, model: _pin(path.read_text(), model))
    monkeypatch.setattr("promotion.stack.parse", _settings)
    monkeypatch.setattr("tempfile.tempdir", str(folder))  # locks are left where they are made
    monkeypatch.setattr("os.fsync", lambda handle: None)  # nobody pulls the plug here
    monkeypatch.setattr(ledger, "author", lambda directory: "me@ferry.test")
    monkeypatch.setattr(ledger, "head", lambda directory: None)
    monkeypatch.setattr(promote, "_commit_author", lambda target, pin: "")
    for module, name in ((pins, "_replace"), (ledger, "_write")):
        real = getattr(module, name)

        def wrapped(*a: Any, _real: Any = real, **k: Any) -> Any:  # noqa: ANN401
            return made.effect(partial(_real, *a, **k))

        monkeypatch.setattr(module, name, wrapped)
    return made
