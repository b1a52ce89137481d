"""One command, measured: wall seconds, CPU seconds and peak memory of it and its children."""

import os
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """`cpu` sums user and system over the command and the children it waited for; `peak` is the
    largest resident set of one of them, in MiB. Source: getrusage through wait4."""

    wall: float
    cpu: float
    peak: float


def run(command: Sequence[str]) -> Cost:
    """Run once; raises CalledProcessError with what the command printed when it fails."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        printed = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, printed)
    wall = time.perf_counter() - start
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def median(command: Sequence[str], times: int) -> Cost:
    """The median of each figure over `times` runs, after one run that warms the caches."""
    run(command)
    costs = [run(command) for _ in range(times)]
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.peak for cost in costs),
    )
