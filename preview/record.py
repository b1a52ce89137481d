"""Runs the program of a working tree for some stacks and records what it registers.

    python -m preview.record STACK…     # in the tree; prints JSON

Nothing is asked of any provider: what only a provider knows stands as a placeholder.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from pulumi import runtime
from pulumi.runtime.config import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks
from pulumi.runtime.settings import reset_options
from ruamel.yaml import YAML

_SECRET = "4dabf18193072939515e22adb298388d"  # noqa: S105 - marks a secret on the wire
_DIGEST = "sha256:" + "0" * 64


class _Providers(Mocks):
    """Answers for the providers, with placeholders."""

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        state = dict(args.inputs)
        match args.typ:
            case "random:index/randomPassword:RandomPassword":
                state |= {"result": f"<{args.name}>", "bcryptHash": f"<{args.name}>"}
            case "random:index/randomId:RandomId":
                state["hex"] = f"<{args.name}>"
            case "docker:index/image:Image":
                repository = args.inputs["imageName"].rpartition(":")[0]
                state["repoDigest"] = f"{repository}@{_DIGEST}"
            case "aws:s3/bucket:Bucket":
                state["bucket"] = args.name
            case kind if kind.startswith("kubernetes:"):
                state["metadata"] = {"name": args.name, **state.get("metadata", {})}
        return args.name, state

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], None]:
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
    match value:
        case dict() if _SECRET in value:
            return "[secret]"
        case dict():
            return {key: concealed(each) for key, each in value.items()}
        case list():
            return [concealed(each) for each in value]
        case str() | int() | float() | bool() | None:
            return value
    return str(value)


def record(stack: str, root: Path) -> list[dict[str, Any]]:
    """What the program in `root` registers for the stack whose file is there."""
    from infra.program import main

    text = (root / f"Pulumi.{stack}.yaml").read_text()
    config = YAML(typ="safe", pure=True).load(text)["config"]
    set_all_config({key: json.dumps(value) for key, value in config.items()})
    asyncio.set_event_loop(asyncio.new_event_loop())
    reset_options()  # of the stack before
    monitor = Monitor(_Providers())
    runtime.set_mocks(monitor.mocks, project="ferry", stack=stack, preview=False, monitor=monitor)
    runtime.test(lambda: main() and None)()
    return monitor.registered


if __name__ == "__main__":
    json.dump({stack: record(stack, Path.cwd()) for stack in sys.argv[1:]}, sys.stdout)
