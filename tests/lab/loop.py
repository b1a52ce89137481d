"""A stack with one watched model, the rows to send it, and looks at what comes of them."""

import gzip
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread
from typing import Any

import requests

from lab.cluster import identity
from tests.lab import outputs
from tests.lab.clone import Clone
from tests.lab.watched import receivers

MODEL = "credit-default"
STACK = "loop"
WINDOW = 60
SETTLED = 180
"""Seconds from a window's end until it is judged: the request log of it is in the bucket then."""
_ROWS = 1000  # of a request
# All loans, and those that a lender of bad risks would have: the same rows, other shares.
_TABLE = """
import json
from app.models.credit_default import DEFINITION
table = DEFINITION.dataset.published()
names = DEFINITION.schema.names
rows = table[list(names)].astype(object).where(table[list(names)].notna(), None)
risky = table["sub_grade"].str[0].isin(list("DEFG"))
loans = list(zip(rows.to_dict("records"), DEFINITION.dataset.labels(table).tolist()))
print(json.dumps({"all": loans, "risky": [loan for loan, is_so in zip(loans, risky) if is_so]}))
"""

Loans = list[tuple[dict[str, Any], int]]
"""Rows as clients send them, each with what became of it: 1 is bad."""


class Watched(Clone):
    """A clone whose stack serves and watches MODEL."""

    def loans(self) -> dict[str, Loans]:
        """The published table's: `all`, and the `risky` ones alone."""
        python = ("env", "PYTHONPATH=.", "app/.venv/bin/python")
        return json.loads(self.run(*python, "-c", _TABLE).splitlines()[-1])

    def settle_for(self, **road: str) -> None:
        """Changes the road in the stack's file, and when the model's watch has seen enough."""
        settings = ", ".join(f"{name}: {value}" for name, value in road.items())
        _change(
            self.file, 'road: {schedule: "0 2 * * *"', f'road: {{schedule: "0 2 * * *", {settings}'
        )
        model = self.folder / "app/models/credit_default.py"
        soon = "watch=Watch(maturity_days=0, drifted_windows=(2, 3))"
        _change(model, "watch=Watch(maturity_days=90)", soon)
        self.run("git", "commit", "--all", "--quiet", "--message", "Short windows")

    def tell(self, slack: str) -> None:
        """Has alerts sent to that address."""
        namespace = f"--namespace={STACK}-monitoring"
        self.kubectl(
            *("create", "secret", "generic", "slack-hook", namespace, f"--from-literal=url={slack}")
        )
        models = "    models:\n"
        _change(
            self.file, models, f"    monitoring: {{receivers: {{slack: slack-hook}}}}\n{models}"
        )
        self.make("deliver")

    def firing(self) -> list[str]:
        """The names of the alerts that fire."""
        alerts = self.asked('ALERTS{alertstate="firing"}')
        return sorted({each["metric"]["alertname"] for each in alerts})

    def ask(self, loans: Loans, number: int) -> list[str]:
        """Sends `number` of the rows, evenly taken, through the gateway.

        Returns what became of them, as lines of a table that `app.outcomes` reads.
        """
        step = len(loans) / number
        chosen = [loans[int(at * step)] for at in range(number)]
        became = ["id,row,outcome"]
        for first in range(0, number, _ROWS):
            part = chosen[first : first + _ROWS]
            answer = requests.post(
                f"http://{MODEL}.{STACK}.ferry.test/predict",
                json=[row for row, _ in part],
                timeout=30,
            )
            assert answer.status_code == 200, answer.text
            asked = answer.headers["x-request-id"]
            became += [f"{asked},{at},{outcome}" for at, (_, outcome) in enumerate(part)]
        return became

    def report(self, became: list[str]) -> None:
        """Brings outcomes into the bucket, where the watch finds them."""
        table = self.folder / "outcomes.csv"
        table.write_text("\n".join(became))
        told = self.ferry(
            *("exec", "--", "env", "PYTHONPATH=.", "app/.venv/bin/python", "-m", "app.outcomes"),
            *("--model", MODEL, "--file", str(table), "--json"),
        )
        assert json.loads(told[told.index("{") :])["new"] == len(became) - 1
        table.unlink()

    def figures(self) -> dict[str, float]:
        """What the watch tells, each series by its text without model and version."""
        path = f"/api/v1/namespaces/{STACK}-jobs/services/{MODEL}-watch:http/proxy/metrics"
        found = {}
        for line in self.kubectl("get", "--raw", path).splitlines():
            if not line.startswith("#") and f'model="{MODEL}"' in line:
                series, value = line.rsplit(" ", 1)
                name, _, labels = series.partition("{")
                own = [
                    e
                    for e in labels.rstrip("}").split(",")
                    if not e.startswith(("model=", "version="))
                ]
                found[name + ("{" + ",".join(own) + "}" if own else "")] = float(value)
        return found

    def asked(self, query: str) -> list[dict[str, Any]]:
        """What Prometheus answers."""
        answer = requests.get(
            f"{self.output('prometheus')['url']}/api/v1/query", params={"query": query}, timeout=30
        )
        answer.raise_for_status()
        return answer.json()["data"]["result"]

    def measured(self, series: str) -> float | None:
        """The newest value of the only series of the model's by that name in Prometheus."""
        found = self.asked(f'{series}{{model="{MODEL}"}}')
        return float(found[0]["value"][1]) if len(found) == 1 else None

    def until(self, what: str, seconds: float, look: Any) -> Any:  # noqa: ANN401
        """The first answer of `look` that is one; fails with what the watch said last."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := look():
                return found
            time.sleep(2)
        told = self.kubectl("logs", f"deployment/{MODEL}-watch", "-n", f"{STACK}-jobs", "--tail=30")
        raise AssertionError(f"{what}: not within {seconds} s\n{told}")

    def jobs(self) -> dict[str, dict[str, Any]]:
        """The Jobs that there are, by name."""
        listed = json.loads(self.kubectl("get", "jobs", "-n", f"{STACK}-jobs", "-o", "json"))
        return {each["metadata"]["name"]: each for each in listed["items"]}

    def keys(self, prefix: str) -> list[str]:
        return [each.key for each in outputs.bucket(self.output).objects.filter(Prefix=prefix)]

    def document(self, key: str) -> dict[str, Any]:
        return json.load(outputs.bucket(self.output).Object(key).get()["Body"])

    def logged(self) -> list[dict[str, Any]]:
        """Every line of the servers' request log, in the order of its objects."""
        objects = (
            outputs.bucket(self.output).Object(key).get() for key in self.keys(f"requests/{MODEL}/")
        )
        texts = (gzip.decompress(each["Body"].read()) for each in objects)
        return [json.loads(line) for text in texts for line in text.splitlines()]

    def move_back(self, lines: list[dict[str, Any]], windows: int) -> None:
        """Writes lines of the log once more, as traffic of the `windows` before now."""
        now = time.time()
        for back in range(1, windows + 1):
            then = now - back * WINDOW
            moved = [{**line, "time": then, "id": f"{line['id']}-{back}"} for line in lines]
            hour = time.strftime("%Y-%m-%dT%H", time.gmtime(then))
            outputs.bucket(self.output).put_object(
                Key=f"requests/{MODEL}/1/{hour}/moved-{back}.jsonl.gz",
                Body=gzip.compress("\n".join(map(json.dumps, moved)).encode()),
            )

    def restart_watch(self) -> None:
        where = ("-n", f"{STACK}-jobs", f"deployment/{MODEL}-watch")
        self.kubectl("rollout", "restart", *where)
        self.kubectl("rollout", "status", "--timeout=120s", *where)


@contextmanager
def slack() -> Generator[str]:
    """A Slack of this machine's, where pods of the lab reach it; what it got is `told`."""
    receivers.KEPT.clear()
    lab = identity.find(STACK)
    assert lab is not None
    server = ThreadingHTTPServer((str(lab.gateway), 0), receivers.Web)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{lab.gateway}:{server.server_port}/slack"
    finally:
        server.shutdown()
        server.server_close()


def told() -> list[str]:
    """The titles of the messages that Slack got, oldest first."""
    return [each["body"]["attachments"][0]["title"] for each in receivers.KEPT]


def before_a_window_ends(seconds: float) -> None:
    """Sleeps until so long before the end of a window."""
    time.sleep((-time.time() - seconds) % WINDOW)


def _change(file: Any, old: str, new: str) -> None:  # noqa: ANN401 - a path
    text = file.read_text()
    assert text.count(old) == 1, f"{file} has not one {old!r}"
    file.write_text(text.replace(old, new))
