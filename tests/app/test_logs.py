"""The log of a server whose stdout nobody reads: it serves, and tells later what was lost."""

import fcntl
import http.client
import json
import os
import threading
import time
from collections.abc import Generator
from typing import Any

import pytest
from rest_harness import HEAD, opened
from test_server import Start, environment, start  # noqa: F401 - fixtures

from app.serving.logs import Writer

PIPE_BYTES = 4096

# ruff: noqa: F811 - fixtures that are imported


@pytest.fixture
def pipe() -> Generator[tuple[int, int]]:
    """A pipe's two ends, with the least room there is."""
    ends = os.pipe()
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield ends
    for end in ends:
        os.close(end)


def _read(end: int, until: bytes) -> list[bytes]:
    found = b""
    while until not in found:
        found += os.read(end, 1 << 16)
    return found.splitlines()


def test_what_does_not_fit_is_dropped_at_once_and_told_of_later(pipe: tuple[int, int]) -> None:
    counted: list[int] = []
    writer = Writer(pipe[1], most=10_000)
    writer.count_dropped = counted.append
    line = b"x" * 99 + b"\n"
    begun = time.monotonic()
    for _ in range(500):
        writer.put([line, line])
    writer.drain(0.1)
    assert time.monotonic() - begun < 5
    writer_told = threading.Thread(target=lambda: (writer.drain(10), writer.put([b"end\n"])))
    writer_told.start()
    lines = _read(pipe[0], b"end\n")
    writer_told.join()
    told = [json.loads(line) for line in lines if line.startswith(b"{")]
    assert {each["event"] for each in told} == {"log lines dropped"}
    whole = lines.count(line.strip())
    assert sum(each["lines"] for each in told) == sum(counted) == 1000 - whole
    assert 100 <= whole <= 100 + PIPE_BYTES // len(line), "as much as may wait, and the pipe's"
    assert len(lines) == whole + len(told) + 1, "no line is in pieces"


def test_lines_are_in_their_order_and_each_is_there_once(pipe: tuple[int, int]) -> None:
    writer = Writer(pipe[1])
    for turn in range(2000):
        writer.put([b"%d\n" % turn])
    assert _read(pipe[0], b"1999\n") == [b"%d" % turn for turn in range(2000)]
    begun = time.monotonic()
    writer.drain(5)
    assert time.monotonic() - begun < 4, "nothing is left to wait for"


def test_a_reader_that_went_away_costs_the_lines_alone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    counted: list[int] = []
    writer = Writer(writing)
    writer.count_dropped = counted.append
    writer.put([b"a\n", b"b\n"])
    writer.drain(5)
    writer.put([b"c\n"])
    writer.drain(5)
    os.close(writing)
    assert counted == [2, 1]


def test_a_file_that_may_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    writer = Writer(pipe[1])
    writer.put([b"x" * 3 * PIPE_BYTES + b"\n"])
    writer.put([b"end\n"])
    first, end = _read(pipe[0], b"end\n")
    assert (len(first), end) == (3 * PIPE_BYTES, b"end")


ROUNDS, EACH = 120, 100


def _ask_much(port: int, loan: dict[str, Any]) -> None:
    body = json.dumps(loan).encode()
    request = HEAD + b"content-length: %d\r\n\r\n" % len(body) + body
    with opened(port) as client, client.makefile("rb") as answers:
        for _ in range(ROUNDS):
            client.sendall(request * EACH)
            for _ in range(EACH):
                assert answers.readline().split()[1] in (b"200", b"503")
                answers.read(int(http.client.parse_headers(answers)["content-length"]))


@pytest.mark.slow
def test_a_server_whose_log_nobody_reads_goes_on_and_its_log_goes_on_when_read(
    start: Start, loan: dict[str, Any]
) -> None:
    running = start()
    running.wait_for("/v2/health/ready", 200)
    _ask_much(running.port, loan)
    time.sleep(1.5)  # the last lines are handed over within 0.2 s
    connection = running.connect()
    connection.request("GET", "/metrics")
    metrics = connection.getresponse().read().decode().splitlines()
    [dropped] = [line for line in metrics if line.startswith("log_lines_dropped_total{")]
    stdout: Any = running.process.stdout
    found = b""
    while b"log lines dropped" not in found:
        found += os.read(stdout.fileno(), 1 << 20)
    running.process.terminate()
    found += stdout.read()
    assert running.process.wait(10) == 0
    lines = [json.loads(line) for line in found.splitlines()]
    told = sum(line["lines"] for line in lines if line["event"] == "log lines dropped")
    requests = [line for line in lines if line["event"] in ("request", "refused")]
    assert told == float(dropped.split()[-1]) > 0
    assert len(requests) + told == ROUNDS * EACH
    assert "draining" in {line["event"] for line in lines}, "what came later is there"


@pytest.mark.slow
def test_a_log_that_nobody_reads_keeps_no_server_from_leaving(
    start: Start, loan: dict[str, Any]
) -> None:
    running = start(DRAIN_SECONDS="0.1")
    running.wait_for("/v2/health/ready", 200)
    _ask_much(running.port, loan)
    running.process.terminate()
    assert running.process.wait(10) == 0
