"""The commands about copies of MLflow's databases: thin edges over `backups` and `restore`."""

from typing import Annotated

import typer

from promotion import backups as copies
from promotion.auditing import moment
from promotion.options import Json, StackName, refusals, say, stack_of
from promotion.restore import restore as put_back
from promotion.tables import document, out, row, table


@refusals
def backups(stack: StackName = "dev", json: Json = False) -> None:
    """The copies of MLflow's databases in the stack's bucket, newest first."""
    found = copies.listed(stack_of(stack).bucket())
    if json:
        told = [{"at": f"{each.at:%FT%TZ}", "key": each.key, "bytes": each.bytes} for each in found]
        document({"stack": stack, "backups": told})
        return
    shown = table("taken (UTC)", "bytes", "sha256")
    for each in found:
        row(shown, f"{each.at:%FT%TZ}", each.bytes, each.sha256)
    out.print(shown if found else f"the bucket of {stack} holds no backup of MLflow")


@refusals
def restore(
    stack: StackName = "dev",
    at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="The newest not after it: RFC 3339, or a date: its end in UTC."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Put a copy of MLflow's databases back: the newest that holds every pinned version.

    MLflow stops meanwhile; what is served goes on. The present databases stay beside the copy.
    Exit 3 where none will do, or a pinned version is not in the one of `--at`.
    """
    backup = put_back(stack_of(stack), None if at is None else moment(at), say)
    if json:
        document({"stack": stack, "key": backup.key, "at": f"{backup.at:%FT%TZ}"})
    say(f"MLflow of {stack} is as it was at {backup.at:%FT%TZ}")
