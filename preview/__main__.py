"""The command: `python -m preview [--base REVISION] [STACK…]`, for a pull request's comment."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from monitoring.prices import Prices
from policy.pack import violations
from policy.rule import Resource
from preview.cost import monthly
from preview.difference import steps
from preview.markdown import StackPreview, page

_ROOT = Path(__file__).parents[1]
_BROKEN = 3


@contextmanager
def _tree(revision: str) -> Generator[Path]:
    """The files of a revision, in a folder of their own, with Git's own knowledge of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "base"
        _git("worktree", "add", "--detach", "--force", str(folder), revision)
        try:
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> None:
    done = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True)
    if done.returncode:
        raise typer.BadParameter(done.stderr.strip(), param_hint="--base")


def _recorded(stacks: list[str], root: Path) -> dict[str, Any]:
    """What the tree's program registers for each of the stacks that has a file there."""
    there = [stack for stack in stacks if (root / f"Pulumi.{stack}.yaml").is_file()]
    # Today's recorder reads yesterday's program: the base may have none, or another.
    recorder = _ROOT / "preview" / "record.py"
    done = subprocess.run(
        [sys.executable, "-P", str(recorder), *there],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise RuntimeError(f"{root.name}: {reason[0]}")
    return json.loads(done.stdout)


def _previewed(
    stack: str, before: list[dict[str, Any]], after: list[dict[str, Any]], prices: Prices
) -> StackPreview:
    return StackPreview(
        stack=stack,
        resources=len(after),
        steps=steps(before, after),
        violations=list(violations([Resource.read(each) for each in after])),
        before=monthly(before, prices),
        after=monthly(after, prices),
    )


def main(
    stacks: Annotated[list[str] | None, typer.Argument(help="All that have a file.")] = None,
    base: Annotated[str, typer.Option(help="The revision to compare with.")] = "main",
) -> None:
    """Tell what the working tree changes in every stack: resources, policy, cost. Exit code 3: a
    rule is broken."""
    known = sorted(path.name.split(".")[1] for path in _ROOT.glob("Pulumi.*.yaml"))
    unknown = sorted(set(stacks or ()) - set(known))
    if unknown:
        raise typer.BadParameter(f"no Pulumi.{unknown[0]}.yaml; there are {', '.join(known)}")
    prices = Prices.read()
    try:
        with _tree(base) as folder, ThreadPoolExecutor() as both:
            wanted = stacks or known
            before, after = both.map(_recorded, (wanted, wanted), (folder, _ROOT))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        raise typer.Exit(2) from None
    found = [_previewed(stack, before.get(stack, []), after[stack], prices) for stack in wanted]
    print(page(base, found, prices))
    if any(each.violations for each in found):
        raise typer.Exit(_BROKEN)


if __name__ == "__main__":
    typer.run(main)
