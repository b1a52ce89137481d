"""The acts of a rehearsal: a stack file's whole life in an account that was empty before."""

import re
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from lab.errors import LabError
from lab.rehearsal.stage import Stage

_PLATFORM, _PINS = "ferry:platform", "ferry:pins"
# What an engine wrote beside the settings belongs to another state.
_OF_ANOTHER_STATE = ("encryptionsalt", "encryptedkey", "secretsprovider")


@dataclass(frozen=True)
class Part:
    """A stack file as it is rehearsed: its data are not kept, or it could not be taken down."""

    stack: str
    account: str
    region: str
    content: dict[str, Any]

    @property
    def administrators(self) -> list[str]:
        return self.content["config"][_PLATFORM]["foundation"]["administrators"]

    @property
    def copies(self) -> str | None:
        """The bucket that takes copies: a person makes it before the stack."""
        foundation = self.content["config"][_PLATFORM]["foundation"]
        return (foundation.get("replica") or {}).get("bucket")

    @property
    def pins(self) -> dict[str, dict[str, Any]]:
        return self.content["config"].get(_PINS) or {}

    def text(
        self,
        *,
        administrators: list[str] | None = None,
        pins: dict[str, dict[str, Any]] | None = None,
    ) -> str:
        """The file, or with other administrators or pins."""
        settings = self.content["config"][_PLATFORM]
        given = {"administrators": administrators or self.administrators}
        foundation = {**settings["foundation"], **given}
        config = {
            **self.content["config"],
            _PLATFORM: {**settings, "foundation": foundation},
            _PINS: self.pins if pins is None else pins,
        }
        return yaml.safe_dump({**self.content, "config": config}, sort_keys=False)


def part(stack: str, text: str) -> Part:
    """Reads a stack file. Raises LabError for one that is on no account of Amazon's."""
    content = yaml.safe_load(text)
    settings = content["config"][_PLATFORM]
    foundation = settings["foundation"]
    if foundation["kind"] != "aws":
        raise LabError(
            f"Pulumi.{stack}.yaml has foundation.kind {foundation['kind']}; only `aws` is "
            f"rehearsed, the other is real: `make up STACK={stack}`"
        )
    kept = {key: item for key, item in content.items() if key not in _OF_ANOTHER_STATE}
    data = {**settings["data"], "keep": False}
    config = {**content["config"], _PLATFORM: {**settings, "data": data}}
    return Part(stack, foundation["account"], foundation["region"], {**kept, "config": config})


@dataclass(frozen=True)
class Act:
    """How one command of the engine's ended: seconds of the clock, and of all processors."""

    name: str
    seconds: float
    cpu: float
    text: str
    changes: dict[str, int]
    """By operation, how many resources; what stays as it is, is left out."""

    @property
    def echoes(self) -> list[str]:
        """What was made nowhere, and why, as the engine was told."""
        return sorted(set(re.findall(r"^ +(\S+ is an echo: .*?) *$", self.text, re.MULTILINE)))


def acts(stage: Stage, played: Part) -> Iterator[Act]:
    """Act after act. Raises LabError, with what the engine said at its end, for one that fails."""
    salt = made(stage, played)

    def act(name: str, command: str, *options: str, **changes: Any) -> Act:  # noqa: ANN401
        stage.file(played.stack).write_text(f"{played.text(**changes)}{salt}")
        now = () if command in ("preview", "refresh") else ("--yes", "--skip-preview")
        return _run(stage, name, [command, "--stack", played.stack, *now, *options])

    more = [*played.administrators, f"arn:aws:iam::{played.account}:role/one-more"]
    moved = {
        model: {**pin, "version": pin["version"] + 1, "image": f"sha256:{'e' * 64}"}
        for model, pin in played.pins.items()
    }
    nothing = "--expect-no-changes"
    yield act("preview of an empty account", "preview")
    yield act("up", "up")
    yield act("up again: no change", "up", nothing)
    yield act("preview: no change", "preview", nothing)
    yield act("refresh: nothing moved", "refresh", "--preview-only", nothing)
    yield act("one administrator more", "up", administrators=more)
    if moved:
        yield act("pins that moved", "up", administrators=more, pins=moved)
    yield act("destroy", "destroy")
    yield act("up once more, the same day", "up")
    yield act("destroy once more", "destroy")


def made(stage: Stage, played: Part) -> str:
    """Makes the stack, which is empty; the line that its file has to have from now on."""
    file = stage.file(played.stack)
    file.write_text(played.text())
    _run(stage, "init", ["stack", "init", played.stack])
    (salt,) = re.findall("^encryptionsalt.*\n", file.read_text(), re.MULTILINE)
    return salt


def _run(stage: Stage, name: str, arguments: list[str]) -> Act:
    began, spent = time.monotonic(), _spent()
    done = stage.pulumi(*arguments)
    seconds, cpu = time.monotonic() - began, _spent() - spent
    if done.returncode:
        told = done.stdout[done.stdout.find("Diagnostics:") :][-6000:]
        raise LabError(f"rehearsal: {name} failed after {seconds:.0f} s\n{told}")
    return Act(name, seconds, cpu, done.stdout, _changes(done.stdout))


def _spent() -> float:
    """Of processors, by the engine and its plugins: what of them has ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _changes(text: str) -> dict[str, int]:
    """Of the summary that the engine prints at its end."""
    _, _, summary = text.rpartition("Resources:\n")
    found = re.findall(r"^ +\S* ?(\d+) (?:to )?(\w+)", summary, re.MULTILINE)
    return {what: int(count) for count, what in found if what != "unchanged"}
