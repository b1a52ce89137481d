"""`python -m analysis.judge`: watches a canary beside its stable until it can say which one stays.

Exit codes: 0 promote, 1 roll back, 2 usage. The last line on stdout, and the termination message,
is a JSON document with verdict, reason, samples and every measure.
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from analysis import prometheus, words
from analysis.evidence import Evidence, Pairs
from analysis.mirror import Mirror
from analysis.verdict import Looks, Verdict

LOOK_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the judge; the exit code."""
    options = _parser().parse_args(arguments)
    if options.stable_hash == options.canary_hash:
        print("the canary is the stable: there is nothing to compare", file=sys.stderr)
        return 2
    document = asyncio.run(_judge(options))
    words.last(document, options.termination_log)
    return 0 if document["verdict"] == "promote" else 1


async def _judge(options: argparse.Namespace) -> dict[str, Any]:
    end = time.monotonic() + options.deadline
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # No cookies, no proxy: the two releases are asked alike.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        mirror = Mirror(session, options.stable_url, options.canary_url)
        runner = web.AppRunner(mirror.application(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, port=options.port).start()
        asking = asyncio.create_task(mirror.ask())
        try:
            verdict = await _looks(options, session, mirror, end, stop)
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await runner.cleanup()
    return {**verdict.document(), "model": options.model, "canary": options.canary_hash}


async def _looks(
    options: argparse.Namespace,
    session: aiohttp.ClientSession,
    mirror: Mirror,
    end: float,
    stop: asyncio.Event,
) -> Verdict:
    """Look until there is a verdict, or the deadline makes one."""
    looks = Looks(options.minimum_requests)
    hashes = (options.stable_hash, options.canary_hash)
    window = prometheus.Window(*hashes)
    verdict = _nothing("no look was finished")
    while not stop.is_set():
        try:
            window.add(await prometheus.read(session, options.prometheus, options.model, hashes))
        except prometheus.NoData as error:
            window.lost(str(error))
        try:
            verdict = looks.look(_evidence(window, mirror))
        except Exception as error:  # a fault of the judge promotes nothing, and may pass
            verdict = _nothing(f"the judge failed: {error!r}"[:300])
        left = end - time.monotonic()
        words.log(
            "look",
            verdict=verdict.word,
            reason=verdict.reason[:500],
            pairs=verdict.evidence.pairs.asked,
            dropped=mirror.dropped,
            secondsLeft=round(left, 1),
        )
        if verdict.word != "hold":
            return verdict
        if left <= 0:
            return verdict.late()
        try:
            await asyncio.wait_for(stop.wait(), min(LOOK_SECONDS, left))
        except TimeoutError:
            continue
    return Verdict(word="roll back", reason="stopped", evidence=verdict.evidence)


def _evidence(window: prometheus.Window, mirror: Mirror) -> Evidence:
    return Evidence(
        stable=window.counts(window.stable),
        canary=window.counts(window.canary),
        pairs=mirror.pairs,
        missing=window.missing,
    )


def _nothing(reason: str) -> Verdict:
    evidence = Evidence(stable=None, canary=None, pairs=Pairs(), missing=reason)
    return Verdict(word="hold", reason=reason, evidence=evidence)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("analysis.judge", description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--stable-hash", required=True, help="of the stable's pod template")
    parser.add_argument("--canary-hash", required=True, help="of the canary's pod template")
    parser.add_argument("--prometheus", required=True, help="URL")
    parser.add_argument("--stable-url", required=True)
    parser.add_argument("--canary-url", required=True)
    parser.add_argument("--minimum-requests", type=_positive, required=True, help="of each release")
    parser.add_argument("--deadline", type=_positive, required=True, help="seconds")
    parser.add_argument("--port", type=_positive, default=8080, help="for mirrored requests")
    parser.add_argument("--termination-log", type=Path, default=words.TERMINATION_LOG)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, is {number}")
    return number


if __name__ == "__main__":
    sys.exit(main())
