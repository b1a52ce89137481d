"""`python -m benchmarks.models`: what one more model costs in a preview.

The real engine previews a stack on AWS, in an account that is emulated and empty, with one pinned
model and with more. Beside it, a plain program with as many ConfigMaps as there are resources. A
model's cost is what the preview takes longer than with one, divided by the models more.
"""

import argparse
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from benchmarks import told
from lab.rehearsal.play import Part, made, part
from lab.rehearsal.stage import Stage, stage
from lab.standins.aws.stage import KUBERNETES
from tests.program.recorder import LIVE, PIN

MODEL = "credit-default"
_PLAIN = """import os, pathlib, pulumi, pulumi_kubernetes as k8s

kubeconfig = pathlib.Path(os.environ["{kubeconfig}"]).read_text()
there = pulumi.ResourceOptions(provider=k8s.Provider("there", kubeconfig=kubeconfig))
for number in range({count}):
    k8s.core.v1.ConfigMap(f"c{{number}}", metadata={{"name": f"c{{number}}"}}, opts=there)
"""


def many(models: int) -> Part:
    """The stack file of `docs/aws.md` with so many models, each like the one it has."""
    content = yaml.safe_load(LIVE)
    settings = content["config"]["ferry:platform"]
    names = [MODEL, *(f"{MODEL}-{number}" for number in range(2, models + 1))]
    # Copies: an engine refuses a file that says most things by reference.
    settings["models"] = {name: deepcopy(settings["models"][MODEL]) for name in names}
    content["config"]["ferry:pins"] = {name: deepcopy(PIN) for name in names}
    return part("live", yaml.safe_dump(content))


def previewed(on: Stage, times: int) -> tuple[int, float]:
    """How many resources would be made, and the seconds that tell so, a median."""
    seconds: list[float] = []
    created = 0
    for _ in range(times):
        began = time.monotonic()
        done = on.pulumi("preview", "--stack", "live", "--suppress-outputs")
        seconds.append(time.monotonic() - began)
        if done.returncode:
            raise SystemExit(done.stdout[-3000:])
        (found,) = re.findall(r"(\d+) to create", done.stdout)
        created = int(found)
    return created, statistics.median(seconds)


def measure(counts: Sequence[int], times: int) -> list[dict[str, Any]]:
    """A row for each count of models, the first of which is what the others are held against."""
    alone = many(counts[0])
    with (
        tempfile.TemporaryDirectory(prefix="ferry-models-") as folder,
        stage(Path(folder), account=alone.account, region=alone.region, copies=alone.copies) as on,
    ):
        program = on.project / "__main__.py"
        ours = program.read_text()
        salt = made(on, alone)
        rows: list[dict[str, Any]] = []
        for models in counts:
            on.file(alone.stack).write_text(f"{many(models).text()}{salt}")
            program.write_text(ours)
            created, seconds = previewed(on, times)
            program.write_text(_PLAIN.format(count=created, kubeconfig=KUBERNETES))
            _, plain = previewed(on, times)
            rows.append(
                {"models": models, "resources": created, "seconds": seconds, "plain": plain}
            )
            print(
                f"{models} models, {created} resources: {seconds:.1f} s; {plain:.1f} s", flush=True
            )
    return rows


def each(rows: Sequence[dict[str, Any]], row: dict[str, Any], what: str) -> str:
    """Milliseconds for each model more than in the first row."""
    more = row["models"] - rows[0]["models"]
    return f"{(row[what] - rows[0][what]) / more * 1000:.0f}" if more else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--times", type=int, default=3, help="previews of each, for a median")
    parser.add_argument("--out", type=Path, help="folder for models.json")
    options = parser.parse_args()
    rows = measure(options.models, options.times)
    told.write(rows, options.out, "models")
    heads = ("models", "resources", "s", "ms a model", "plain program, s", "ms for as many")
    cells = [
        (
            row["models"],
            row["resources"],
            f"{row['seconds']:.1f}",
            each(rows, row, "seconds"),
            f"{row['plain']:.1f}",
            each(rows, row, "plain"),
        )
        for row in rows
    ]
    print(told.table(heads, cells))
    print(f"load average {told.load()}")


if __name__ == "__main__":
    main()
