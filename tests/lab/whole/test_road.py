"""The whole road, walked once in a clone of its own: `make up`, and what people type after it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from lab import toolchain
from tests.lab.clone import Clone
from tests.lab.whole.jobs import MODEL, STACK, Jobs

pytestmark = pytest.mark.lab

HERE = Path(__file__).parents[3]


def test_make_up_ends_with_the_pinned_release_and_a_scored_loan(clone: Clone, up: str) -> None:
    ending = up[-3000:]
    assert f"{MODEL}.{STACK}.ferry.test" in ending
    assert "probability" in ending
    assert clone.pin()["image"][:40] in ending


def test_the_ingress_gives_the_same_score_to_anybody(clone: Clone, up: str) -> None:
    loan = json.loads((clone.folder / "app/data/lending-club/row.json").read_text())
    answer = requests.post(
        f"http://{MODEL}.{STACK}.ferry.test/predict", json=loan, timeout=10
    ).json()
    assert answer == clone.status()["models"][MODEL]["score"]


def test_clients_of_each_protocol_get_the_same_score(clone: Clone, up: str) -> None:
    toolchain.ensure(["grpcurl"])
    at = f"{MODEL}.{STACK}.ferry.test"
    printed = clone.run(
        "env", "PYTHONPATH=.", "app/.venv/bin/python", "tests/lab/clients.py", f"http://{at}",
        f"{MODEL}-grpc.{STACK}.ferry.test:80", str(toolchain.binary("grpcurl")), MODEL,
        "app/data/lending-club/row.json",
    )  # fmt: skip
    scores = json.loads(printed.splitlines()[-1])
    wanted = clone.status()["models"][MODEL]["score"]["probability"]
    assert len(scores) == 5
    assert scores == pytest.approx(dict.fromkeys(scores, wanted), abs=1e-6)


def test_the_pods_run_the_digest_of_the_pin(clone: Clone, up: str) -> None:
    images = clone.kubectl(
        "get", "pods", "-n", f"{STACK}-models", "-l", f"app.kubernetes.io/name={MODEL}",
        "-o", "jsonpath={.items[*].spec.containers[*].image}",
    )  # fmt: skip
    assert {image.partition("@")[2] for image in images.split()} == {clone.pin()["image"]}


def test_a_clone_that_knows_nothing_of_the_stack_leaves_its_model_alone(
    clone: Clone, up: str
) -> None:
    ledger, settings = clone.folder / f"ledger/{STACK}.jsonl", clone.file.read_text()
    lines, before = ledger.read_bytes(), clone.status()["models"]
    ledger.unlink()
    clone.file.write_text(settings.partition("  ferry:pins:")[0])
    try:
        assert "ends at record 0" in clone.make("up", code=2)
    finally:
        ledger.write_bytes(lines)
        clone.file.write_text(settings)
    assert clone.status()["models"] == before


def test_the_pin_is_what_the_model_registry_and_the_bucket_hold(clone: Clone, up: str) -> None:
    assert "1 pin(s)" in clone.ferry("verify")
    shown = clone.run(".venv/bin/ferry", "release", "show", MODEL, "--stack", STACK, "--json")
    release = json.loads(shown)
    assert {name: release[name] for name in ("version", "run", "weights", "commit")} == {
        name: clone.pin()[name] for name in ("version", "run", "weights", "commit")
    }
    assert release["commit"] == clone.run("git", "rev-parse", "HEAD").strip()


def test_every_comment_of_the_stack_file_is_still_there(clone: Clone, up: str) -> None:
    before = clone.run("git", "show", f"HEAD:{clone.file.name}").splitlines()
    assert set(before) <= set(clone.file.read_text().splitlines())


def test_a_preview_right_after_is_empty(clone: Clone, up: str) -> None:
    clone.pulumi("preview", "--expect-no-changes")


def test_the_platform_keeps_the_policy_that_the_engine_runs(clone: Clone, up: str) -> None:
    clone.pulumi("preview", "--policy-pack", "policy")


def test_a_preview_that_breaks_the_policy_stops_and_names_rule_and_object(
    clone: Clone, up: str, tmp_path: Path
) -> None:
    pack = shutil.copytree(HERE / "policy", tmp_path / "policy")
    exceptions = pack / "exceptions.py"
    exceptions.write_text(f"{exceptions.read_text()}\nEXEMPTIONS = ()\n")
    printed = clone.pulumi("preview", "--policy-pack", str(pack), code=1)
    assert "pods-mount-no-token" in printed
    assert "Deployment prometheus-operator: automountServiceAccountToken must be false" in printed


def test_make_up_again_changes_nothing(clone: Clone, up: str) -> None:
    pin, text = clone.pin(), clone.file.read_text()
    printed = clone.make("up")
    assert "unchanged" in printed
    assert not {"+ ", "~ ", "- "} & {line[:2] for line in printed.splitlines()}
    assert (clone.pin(), clone.file.read_text()) == (pin, text)


def test_a_deployment_deleted_behind_our_back_is_seen_by_refresh_and_healed_by_up(
    clone: Clone, up: str
) -> None:
    namespace = f"{STACK}-models"
    clone.kubectl("delete", "deployment", "-n", namespace, "--all", "--wait")
    assert "deleted" in clone.pulumi("refresh", "--yes")
    assert "created" in clone.pulumi("up", "--yes", "--skip-preview")
    assert 0 < clone.status()["models"][MODEL]["score"]["probability"] < 1


def test_an_update_that_was_killed_is_finished_by_the_next_make_up(clone: Clone, up: str) -> None:
    models = ("-n", f"{STACK}-models")
    clone.kubectl("delete", "deployment", *models, "--all", "--wait")
    clone.pulumi("refresh", "--yes")
    with subprocess.Popen(
        ["pulumi", "up", "--yes", "--skip-preview", "--stack", STACK, "--non-interactive"],
        cwd=clone.folder, env=clone.environment, stdout=subprocess.DEVNULL,
    ) as engine:  # fmt: skip
        while not clone.kubectl("get", "deployments", *models, "-o", "name"):
            assert engine.poll() is None
        engine.kill()
    assert f"killed (pid {engine.pid})" in clone.make("up")
    assert clone.kubectl("get", "deployments", *models, "-o", "name").split() == [
        f"deployment.apps/{MODEL}"
    ]
    clone.pulumi("preview", "--expect-no-changes")


def test_settings_that_make_no_sense_stop_everything_at_once(clone: Clone, up: str) -> None:
    good = clone.file.read_text()
    try:
        clone.file.write_text(
            good.replace("environment:", "enviroment:").replace("lockDays: 1", "lockDays: never")
        )
        refusal = clone.ferry("check", code=2)
        assert "enviroment" in refusal
        assert "did you mean environment?" in refusal
        assert "lockDays" in refusal
        line = good.splitlines().index(f"    environment: {STACK}") + 1
        assert f"{clone.file.name}:{line}" in refusal
        preview = clone.pulumi("preview", code=1)
        assert "did you mean environment?" in preview
        assert "kubernetes:" not in preview
    finally:
        clone.file.write_text(good)


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", "999"), ("weights", "sha256:" + "0" * 64), ("image", "sha256:" + "0" * 64)],
    ids=["a version that is missing", "other weights", "an image that is missing"],
)
def test_a_pin_to_what_is_not_there_deploys_nothing(
    clone: Clone, up: str, field: str, value: str
) -> None:
    good = clone.file.read_text()
    try:
        clone.file.write_text(good.replace(str(clone.pin()[field]), value, 1) if field != "version"
                              else good.replace("version: 1\n", f"version: {value}\n"))  # fmt: skip
        assert clone.pin()[field] == (int(value) if field == "version" else value)
        refusal = clone.ferry("verify", code=3)
        assert "nothing was deployed" in refusal
        assert value in refusal
        clone.make("up", code=2)
    finally:
        clone.file.write_text(good)
    clone.pulumi("preview", "--expect-no-changes")


def test_a_pin_without_a_digest_is_a_settings_error(clone: Clone, up: str) -> None:
    good = clone.file.read_text()
    try:
        clone.file.write_text(good.replace(clone.pin()["image"], "latest"))
        assert "ferry:pins.credit-default.image" in clone.ferry("check", code=2)
    finally:
        clone.file.write_text(good)


def test_a_job_puts_the_loans_where_the_server_finds_them_by_id(clone: Clone, jobs: Jobs) -> None:
    assert jobs.finish(jobs.template("ingest", "ingest")) == "Complete", jobs.told("ingest")
    sample = (clone.folder / "app/data/lending-club/sample.csv").read_text().splitlines()
    number = int(sample[1].split(",")[sample[0].split(",").index("loan_id")])
    answer = requests.post(
        f"http://{MODEL}.{STACK}.ferry.test/predict", json={"loan_id": number}, timeout=10
    )
    assert answer.json() == clone.status()["models"][MODEL]["score"]


def test_a_batch_job_scores_the_snapshot_with_the_pinned_release(jobs: Jobs) -> None:
    assert jobs.finish(jobs.template("batch", "batch")) == "Complete", jobs.told("batch")
    assert "9857" in jobs.told("batch")


def test_a_second_model_of_another_table_is_served_beside_the_first(clone: Clone, up: str) -> None:
    page = (HERE / "docs/second-model.md").read_text()
    files = re.findall(r"`(app/\S+)`\n\n```(?:python|json)\n(.*?)```", page, re.DOTALL)
    assert len(files) == 2
    for name, text in files:
        (clone.folder / name).write_text(text)
    clone.run("app/.venv/bin/python", "-m", "app.sample", "--model", "mortgage-denial")
    clone.run("git", "add", "app")
    clone.run("git", "commit", "--quiet", "--message", "A second model")
    clone.run("make", "release", f"STACK={STACK}", "MODEL=mortgage-denial")
    clone.pulumi("up", "--yes", "--skip-preview")
    row = "mortgage-denial=app/data/hmda/row.json"
    answer = clone.ferry("status", "--score", row, "--wait", "60", "--json")
    models = json.loads(answer[answer.index("{") :])["models"]
    assert 0 < models["mortgage-denial"]["score"]["probability"] < 1
    assert models["mortgage-denial"]["answers"]["name"] == "mortgage-denial"
    assert clone.status()["models"][MODEL]["pinned"]["image"] == clone.pin()["image"]


def test_no_secret_stands_in_the_clear_in_state_or_stack_file(clone: Clone, up: str) -> None:
    login = clone.output("credentials")
    # The other two of each login are its name: a user, or the id of a key.
    secret = {"password", "secretKey"}
    values = [value for keys in login.values() for key, value in keys.items() if key in secret]
    assert len(values) == 3
    state = clone.pulumi("stack", "export")
    outputs = clone.pulumi("stack", "output", "--json")
    for value in values:
        assert value not in state
        assert value not in outputs
        assert value not in clone.file.read_text()
