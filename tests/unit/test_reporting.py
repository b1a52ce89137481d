"""`ferry report` gathers a move's facts from ledgers and buckets, and writes them as files."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from infra.outputs import StackOutputs
from promotion import auditing, evidence, ledger
from promotion.record import Moved
from promotion.refusals import NeverUp
from promotion.release import Release
from promotion.stack import Stack
from tests.unit.test_ferry import DEV, OUTPUTS
from tests.unit.test_ledger import a_moved, add
from tests.unit.test_mirroring import Bucket
from tests.unit.test_report import some_evidence

app = typer.Typer()
app.command()(auditing.report)
app.command()(auditing.history)  # one command alone would take no name

FOUND = some_evidence()
MOVED = Moved.model_validate(Moved.of(FOUND.release.pin()))


@pytest.fixture
def buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Bucket]:
    """Of dev and of prod above it; dev's has the release."""
    (tmp_path / "Pulumi.yaml").write_text("name: ferry\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(DEV)
    prod = DEV.replace("environment: dev", "environment: prod\n    below: dev")
    (tmp_path / "Pulumi.prod.yaml").write_text(prod)
    monkeypatch.chdir(tmp_path)
    found = {"dev": Bucket(), "prod": Bucket()}
    store(found["dev"], FOUND.release)
    monkeypatch.setattr(Stack, "bucket", lambda self: found[self.name])
    monkeypatch.setattr(Stack, "outputs", StackOutputs.read(OUTPUTS))
    return found


def store(bucket: Bucket, release: Release) -> None:
    folder = evidence.prefix(release.model, release.version)
    bucket.stored[folder + "release.json"] = release.document()
    bucket.stored |= {folder + name: content for name, content in FOUND.files.items()}


def book(stack: str) -> ledger.Ledger:
    return ledger.of(Stack(stack, Path.cwd()))


def report(*arguments: str) -> Result:
    command = ["report", "credit-default", "--stack", "prod", *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def a_promotion() -> None:
    add(book("dev"), action="deliver", outcome="rolled-back", before=MOVED, after=a_moved(6))
    add(book("dev"), action="deliver", outcome="live", after=MOVED)
    add(book("dev"), action="deliver", outcome="live", after=a_moved(9))
    add(book("prod"), action="approve", outcome="approved", after=MOVED, who="boss@ferry.test")
    add(book("prod"), action="approve", outcome="approved", after=a_moved(9))
    add(book("prod"), action="promote", outcome="moved", after=a_moved(6))
    add(book("prod"), action="promote", outcome="moved", before=a_moved(6), after=MOVED)
    add(book("prod"), action="deliver", outcome="failed", before=a_moved(6), after=MOVED)
    add(book("prod"), model="churn", action="promote", outcome="moved", after=a_moved(1))


def test_a_report_has_the_last_move_with_the_deliveries_and_approvals_of_its_release(
    buckets: dict[str, Bucket],
) -> None:
    store(buckets["prod"], FOUND.release)
    a_promotion()
    said = json.loads(report("--json").stdout)
    assert said["attempt"]["action"] == "promote"
    assert said["release"]["version"] == 7
    deliveries = [(each["stack"], each["outcome"]) for each in said["deliveries"]]
    assert deliveries == [("dev", "rolled-back"), ("dev", "live"), ("prod", "failed")]
    assert [each["who"] for each in said["approvals"]] == ["boss@ferry.test"]
    assert said["figures"]["metrics"][0]["value"] == 0.78
    assert said["links"]["The version in MLflow"].endswith("/#/models/credit-default/versions/7")


@pytest.mark.usefixtures("buckets")
def test_of_a_refused_promotion_the_evidence_is_in_the_bucket_below() -> None:
    add(book("prod"), action="promote", outcome="refused", after=MOVED, reason="unfair")
    said = report()
    assert said.exit_code == 0
    assert "**refused**: promote by" in said.stdout
    assert "| auc | 0.7800 |" in said.stdout


def test_a_stack_that_was_never_up_has_its_evidence_below(
    buckets: dict[str, Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def bucket(stack: Stack) -> Bucket:
        if stack.name == "prod":
            raise NeverUp("prod was never brought up here")
        return buckets[stack.name]

    monkeypatch.setattr(Stack, "bucket", bucket)
    add(book("prod"), action="promote", outcome="refused", after=MOVED)
    assert report().exit_code == 0


def test_files_lie_together_and_writing_them_again_changes_nothing(
    buckets: dict[str, Bucket], tmp_path: Path
) -> None:
    store(buckets["prod"], FOUND.release)
    a_promotion()
    folder = tmp_path / "a" / "report"
    done = report("--out", str(folder))
    assert done.stdout == ""
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(first) == {
        "report.md", "report.html", "metrics.svg", "champion.svg", "fairness.svg",
    }  # fmt: skip
    assert b"![metrics](metrics.svg)" in first["report.md"]
    assert first["report.html"].count(b"data:image/svg+xml") == 3
    report("--out", str(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


@pytest.mark.usefixtures("buckets")
def test_a_model_that_never_moved_has_no_report() -> None:
    add(book("prod"), model="churn", action="promote", outcome="moved", after=a_moved(1))
    refused = report()
    assert refused.exit_code == 3
    assert "the ledger of prod has no move of credit-default" in refused.stderr


@pytest.mark.parametrize("forged", ["release.json", "metrics.json"])
def test_forged_evidence_is_reported_by_nobody(buckets: dict[str, Bucket], forged: str) -> None:
    add(book("prod"), action="promote", outcome="refused", after=MOVED)
    key = evidence.prefix("credit-default", 7) + forged
    buckets["dev"].stored[key] = buckets["dev"].stored[key].replace(b"0", b"1")
    refused = report()
    assert refused.exit_code == 3
    assert "was changed after" in refused.stderr


@pytest.mark.parametrize("where", ["dev", "prod"])
def test_another_release_under_the_same_name_is_reported_by_nobody(
    buckets: dict[str, Bucket], where: str
) -> None:
    add(book("prod"), action="promote", outcome="refused", after=MOVED)
    store(buckets[where], FOUND.release.model_copy(update={"commit": "9" * 40}))
    refused = report()
    assert refused.exit_code == 3
    assert f"the pin wants {MOVED.evidence}" in refused.stderr.replace("\n", " ")
