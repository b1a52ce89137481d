"""Runs the program of a working tree for some stacks and records what it registers.

    python -m preview.record STACK…     # in the tree; prints JSON

Nothing is asked of any provider: what only a provider knows stands as a placeholder.
"""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pulumi import runtime
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import reset_options
from ruamel.yaml import YAML

from preview import amazon

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - marks a secret on the wire
GENERATED = "generated-by-"
DIGEST = "sha256:" + "d" * 64


class Providers(Mocks):
    """Answers for the providers, with placeholders for what only they know."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        state = dict(args.inputs)
        match args.typ:
            case "random:index/randomPassword:RandomPassword":
                state["result"] = f"{GENERATED}{args.name}"
                state["bcryptHash"] = f"$2a$10${GENERATED}{args.name}"
            case "random:index/randomId:RandomId":
                state["hex"] = f"id-{args.name}"
            case "docker:index/image:Image":
                repository = args.inputs["imageName"].rpartition(":")[0]
                state["repoDigest"] = f"{repository}@{DIGEST}"
            case kind if kind.startswith("aws:"):
                state |= amazon.told(kind, args.name, args.inputs)
            case kind if kind.startswith("kubernetes:"):
                state["metadata"] = {"name": f"{args.name}-auto", **state.get("metadata", {})}
        return f"{args.name}-id", state

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token in amazon.ANSWERS:
            return amazon.ANSWERS[args.token], []
        raise RuntimeError(f"{args.token} asks a provider, and a preview from nothing has none")


class Monitor(MockMonitor):
    """Notes every resource in the order of its registration, secrets left out."""

    def __init__(self, mocks: Mocks) -> None:
        super().__init__(mocks)
        self.registered: list[dict[str, Any]] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: ANN401 - the SDK's
        answer = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(
                {
                    "urn": answer.urn,
                    "type": request.type,
                    "name": request.name,
                    "parent": request.parent,
                    "protect": request.protect,
                    "props": concealed(runtime.rpc.deserialize_properties(request.object)),
                }
            )
        return answer


def concealed(value: Any) -> Any:  # noqa: ANN401 - JSON-like data
    """The value as anybody may see it."""
    return without_secrets(value, lambda _: "[secret]")


def without_secrets(value: Any, instead: Callable[[dict[str, Any]], Any]) -> Any:  # noqa: ANN401
    """The value with something `instead` of each marked secret."""
    match value:
        case dict() if _SECRET in value:
            return instead(value)
        case dict():
            return {key: without_secrets(each, instead) for key, each in value.items()}
        case list():
            return [without_secrets(each, instead) for each in value]
    return value


def configure(stack: str, root: Path, **instead: Any) -> None:  # noqa: ANN401 - blocks of settings
    """Give the program the stack's file, with other `ferry:` blocks where told so."""
    text = (root / f"Pulumi.{stack}.yaml").read_text()
    config = YAML(typ="safe", pure=True).load(text)["config"]
    config |= {f"ferry:{block}": value for block, value in instead.items()}
    set_all_config({key: json.dumps(value) for key, value in config.items()})


def record(stack: str, root: Path, **instead: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    """What the program in `root` registers for the stack whose file is there; see `configure`."""
    from infra.program import main

    configure(stack, root, **instead)
    asyncio.set_event_loop(asyncio.new_event_loop())
    reset_options()  # of the stack before
    monitor = Monitor(Providers())
    runtime.set_mocks(monitor.mocks, project="ferry", stack=stack, preview=False, monitor=monitor)
    runtime.test(lambda: main() and None)()
    return monitor.registered


if __name__ == "__main__":
    found = {stack: record(stack, Path.cwd()) for stack in sys.argv[1:]}
    json.dump(found, sys.stdout, default=str)
