"""The bucket's copy of a ledger: one locked object per record, which nobody can take back."""

from collections.abc import Callable, Sequence
from typing import Any

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

from promotion import evidence
from promotion.refusals import Conflict, DependencyDown

_PATIENCE = 5  # seconds for a record that another command is writing


def key(stack: str, sequence: int) -> str:
    """Where a record stands in the bucket."""
    return f"{_prefix(stack)}{sequence:08d}.json"


def upload(
    bucket: Any,  # noqa: ANN401 - boto3 resource
    stack: str,
    read: Callable[[], Sequence[bytes]],
    *,
    lock_days: int,
) -> int:
    """Put the lines that the bucket lacks, oldest first; returns how many.

    `read` gives them; it is called once it is known what the bucket has, so that what other
    commands append and upload meanwhile is in the file as well. Of the lines that the bucket has,
    the newest alone is compared: its chain vouches for all before it.
    Raises `Conflict` as `compare` does.
    """
    lines, present = same_end(bucket, stack, read)
    missing = [number for number in range(1, len(lines) + 1) if number not in present]
    for number in missing:
        _put(bucket, stack, number, lines[number - 1], lock_days)
    return len(missing)


def compare(bucket: Any, stack: str, lines: Sequence[bytes]) -> int:  # noqa: ANN401
    """Hold every record against the bucket's; returns how many of them it does not have yet.

    Raises `Conflict` naming the first that differs, or that the file lacks.
    """
    present = _present(bucket, stack)
    for number in sorted(present & set(range(1, len(lines) + 1))):
        _same(bucket, stack, number, lines[number - 1])
    _no_more(stack, lines, present)
    return len(lines) - len(present)


def same_end(
    bucket: Any,  # noqa: ANN401 - boto3 resource
    stack: str,
    read: Callable[[], Sequence[bytes]],
) -> tuple[Sequence[bytes], set[int]]:
    """The lines that `read` gives, and the sequences that the bucket has; raises as `upload`."""
    present = _present(bucket, stack)
    lines = read()
    shared = [number for number in present if number <= len(lines)]
    if shared:
        _same(bucket, stack, max(shared), lines[max(shared) - 1])
    _no_more(stack, lines, present)
    return lines, present


def _present(bucket: Any, stack: str) -> set[int]:  # noqa: ANN401
    """The sequences that the bucket holds."""
    prefix = _prefix(stack)
    keys = (key for key, _ in evidence.listed(bucket, prefix))
    names = (name.removeprefix(prefix).removesuffix(".json") for name in keys)
    return {int(name) for name in names if name.isascii() and name.isdigit()}


def _no_more(stack: str, lines: Sequence[bytes], present: set[int]) -> None:
    beyond = sorted(number for number in present if number > len(lines))
    if beyond:
        raise Conflict(
            f"ledger/{stack}.jsonl ends at record {len(lines)}, the bucket holds "
            f"{key(stack, beyond[0])} as well: the file was cut, or is older than another's; "
            "`git pull`, or take the missing lines from the bucket (docs/ledger.md); of a lab that "
            f"nobody needs, `make purge STACK={stack}` takes both"
        )


def _same(bucket: Any, stack: str, number: int, line: bytes) -> None:  # noqa: ANN401
    again = Retrying(
        retry=retry_if_result(lambda found: _half_put(found, line)),
        stop=stop_after_delay(_PATIENCE),
        wait=wait_fixed(0.2),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
    )
    found = again(evidence.read, bucket, key(stack, number))
    if _half_put(found, line):
        raise DependencyDown(
            f"the bucket shows no whole {key(stack, number)} after {_PATIENCE} s: it is still "
            "being written, or its writer was killed"
        )
    if found != line:
        raise Conflict(
            f"ledger/{stack}.jsonl: line {number}: the bucket's {key(stack, number)} is another "
            "record: the history was forked or rewritten; the bucket's is locked, so compare the "
            "two, and take the file back from Git or from the bucket"
        )


def _half_put(found: bytes | None, line: bytes) -> bool:
    """While an object is being put, a store may show none of it, or its beginning."""
    return found is None or (found != line and line.startswith(found))


def _put(bucket: Any, stack: str, number: int, line: bytes, lock_days: int) -> None:  # noqa: ANN401
    try:
        evidence.create(bucket, key(stack, number), line, lock_days=lock_days)
    except DependencyDown:
        if evidence.read(bucket, key(stack, number)) is None:
            raise
        _same(bucket, stack, number, line)  # another command was quicker


def _prefix(stack: str) -> str:
    return f"ledger/{stack}/"
