"""Builds components and the whole program under the record."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import reset_options

from preview.record import Monitor, configure
from tests.program.recorder import LIVE, ROOT, Build, Live, Platform, Recorder


@pytest.fixture
def record() -> Recorder:
    """What the test has registered so far."""
    return Recorder()


@pytest.fixture
def build(record: Recorder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    """`build(lambda: Component(...))` registers everything and returns the record.

    A loop of its own, drained: no test runs what another one left behind.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # The SDK's mocks make a loop in each thread they run in, and leave it open.
    threads = ThreadPoolExecutor(max_workers=1, initializer=_open_loop)
    loop.set_default_executor(threads)

    def export(name: str, value: Any) -> None:  # noqa: ANN401 - as pulumi.export
        output = pulumi.Output.from_input(value)

        async def keep() -> None:
            record.outputs[name] = await output.future()
            if await output.is_secret():
                record.secret_outputs.add(name)

        exports.append(keep)

    exports: list[Callable[[], Any]] = []
    monkeypatch.setattr(pulumi, "export", export)

    def run(program: Callable[[], Any], stack: str = "dev") -> Recorder:
        monitor = Monitor(record)
        record.registered = monitor.registered
        pulumi.runtime.set_mocks(
            record, project="ferry", stack=stack, preview=False, monitor=monitor
        )
        pulumi.runtime.test(lambda: program() and None)()
        for keep in exports:
            loop.run_until_complete(keep())
        return record

    yield run
    set_all_config({})
    reset_options()
    threads.submit(_close_loop).result()
    threads.shutdown()
    asyncio.set_event_loop(None)
    loop.close()


def _open_loop() -> None:
    asyncio.set_event_loop(asyncio.new_event_loop())


def _close_loop() -> None:
    asyncio.get_event_loop().close()


# Many tests look at the same few programs; a record is only read.
_seen: dict[tuple[str, str], Recorder] = {}


@pytest.fixture
def platform(build: Build, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """`platform("dev", pins)` runs the program for a stack's file, as it is in the repository."""
    from infra.program import main

    monkeypatch.chdir(ROOT)

    def run(stack: str, pins: Mapping[str, Any]) -> Recorder:
        wanted = stack, json.dumps(pins)
        if wanted not in _seen:
            _seen[wanted] = program(stack, pins)
        return _seen[wanted]

    def program(stack: str, pins: Mapping[str, Any]) -> Recorder:
        configure(stack, ROOT, pins=pins)
        return build(main, stack)

    return run


@pytest.fixture
def live(build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Live:
    """`live(pins)` runs the program on AWS; `live(pins, old, new)` with a changed stack file."""
    from infra.program import main

    monkeypatch.chdir(ROOT)

    def run(pins: Mapping[str, Any], *change: str) -> Recorder:
        wanted = "live", json.dumps([pins, change])
        if wanted not in _seen:
            text = LIVE.replace(*change) if change else LIVE
            assert not change or text != LIVE
            (tmp_path / "Pulumi.live.yaml").write_text(text)
            configure("live", tmp_path, pins=pins)
            _seen[wanted] = build(main, "live")
        return _seen[wanted]

    return run
