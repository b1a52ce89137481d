"""`python -m benchmarks.load URL FILE`: requests at a fixed rate, whatever the answers (open loop).

A request is due every 1/rate of a second, whether the one before was answered or not, and its
latency counts from when it was due. FILE gets a JSON line for each; `Load` is the same as a process
of its own, so that what the caller does can't hold the schedule up. Ends at SIGTERM, when what is
under way was answered.
"""

import argparse
import asyncio
import json
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import aiohttp

RATE = 50.0  # requests a second
PATIENCE = 10.0  # seconds for an answer
LATE = 0.1  # seconds that a request may be sent after it was due, before the schedule is lost


class Answer(NamedTuple):
    """One request: when it was due (Unix seconds), how much later it was sent, how long after it
    was due it was answered (both in seconds), and what it got: a version, or `failed …`."""

    due: float
    late: float
    seconds: float
    said: str

    @property
    def failed(self) -> bool:
        return self.said.startswith("failed")


async def run(
    url: str, body: bytes, rate: float, write: Callable[[Answer], None], over: asyncio.Event
) -> None:
    """Ask until `over`; `write` is called once for each request, as it ends."""
    clock, began, sent = asyncio.get_running_loop().time, time.time(), 0
    start = clock()
    asking: set[asyncio.Task[None]] = set()
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=timeout,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:

        async def ask(due: float) -> None:
            late = clock() - due
            said = await _said(session, url, body)
            write(Answer(began + due - start, late, clock() - due, said))

        while not over.is_set():
            due = start + sent / rate
            try:
                await asyncio.wait_for(over.wait(), max(0.0, due - clock()))
            except TimeoutError:
                task = asyncio.create_task(ask(due))
                asking.add(task)
                task.add_done_callback(asking.discard)
                sent += 1
        await asyncio.gather(*asking)


async def _said(session: aiohttp.ClientSession, url: str, body: bytes) -> str:
    try:
        async with session.post(
            url, data=body, headers={"content-type": "application/json"}
        ) as answer:
            text = await answer.text()
            return version(text) if answer.status == 200 else f"failed {answer.status}"
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"failed {type(error).__name__}"


def version(text: str) -> str:
    """Of an answer of ours, its version; of another, the text as it is."""
    try:
        return str(json.loads(text)["version"])
    except (ValueError, KeyError, TypeError):
        return text[:40]


class Load:
    """The load as a process, from `with` to its end; its answers are kept in `file`."""

    def __init__(self, url: str, body: bytes, file: Path, rate: float = RATE) -> None:
        self._command = [sys.executable, "-m", "benchmarks.load", url, str(file), f"--rate={rate}"]
        self._body, self._file = body, file

    def __enter__(self) -> Self:
        self._file.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)
        assert self._process.stdin is not None  # noqa: S101 - a pipe was asked for
        self._process.stdin.write(self._body)
        self._process.stdin.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        if self._process.wait(3 * PATIENCE):
            raise RuntimeError(f"the load ended with {self._process.returncode}")

    def between(self, begun: float, ended: float = math.inf) -> list[Answer]:
        """The requests that were due in this time and have ended, in the order they were due."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        found = (Answer(*json.loads(line)) for line in lines if line.endswith("]"))
        return sorted(each for each in found if begun <= each.due < ended)


def summary(answers: Sequence[Answer]) -> dict[str, Any]:
    """Requests, those that failed by their kind, latency in milliseconds, and how far behind its
    schedule the load was: `late` counts requests sent more than `LATE` after they were due."""
    times = [each.seconds * 1000 for each in answers]
    return {
        "requests": len(answers),
        "failed": sum(each.failed for each in answers),
        "failures": dict(Counter(each.said for each in answers if each.failed)),
        "answered": dict(Counter(each.said for each in answers if not each.failed)),
        "p50": quantile(times, 0.5),
        "p99": quantile(times, 0.99),
        "most": max(times, default=None),
        "late": sum(each.late > LATE for each in answers),
        "latest": max((each.late * 1000 for each in answers), default=None),
    }


def quantile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that `share` of them do not exceed; None of none."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


async def _main(options: argparse.Namespace, body: bytes) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    with options.file.open("w", buffering=1) as file:

        def write(answer: Answer) -> None:
            file.write(json.dumps(answer) + "\n")

        await run(options.url, body, options.rate, write, over)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path)
    parser.add_argument("--rate", type=float, default=RATE)
    asyncio.run(_main(parser.parse_args(), sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
