"""The `ferry` command refuses with a text that helps and an exit code that scripts can tell."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from promotion import pins
from promotion.cli import app
from promotion.refusals import NeverUp
from promotion.stack import Stack
from tests.unit.test_pins import a_pin

DEV = """\
config:
  ferry:platform:
    environment: dev
    foundation: {kind: cluster, context: null}
    ingress: {class: traefik, domain: dev.ferry.test}
    data: {keep: false, lockDays: 1}
"""

OUTPUTS = {
    "environment": "dev",
    "namespaces": {role: role for role in ("platform", "monitoring", "models", "jobs")},
    "bucket": {"name": "b", "endpoint": "http://s3.dev.ferry.test", "region": "us-east-1"},
    "registry": {"url": "http://registry.dev.ferry.test"},
    "mlflow": {"url": "http://mlflow.dev.ferry.test", "internalUrl": "http://mlflow"},
}

SERVED = {
    "url": "http://127.0.0.1:9",
    "namespace": "m",
    "rollout": "r",
    "release": {"version": 1, "image": "sha256:1", "weights": "sha256:2", "evidence": "sha256:3"},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: ferry\nruntime: python\n")
    (tmp_path / "Pulumi.dev.yaml").write_text(DEV)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ferry(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_a_valid_stack_file_passes_from_any_folder_of_the_project(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "er")
    assert ferry("check").exit_code == 0


def test_the_settings_are_one_json_document_on_request(project: Path) -> None:
    said = json.loads(ferry("check", "--json").stdout)
    assert said["ferry:platform"]["data"] == {"keep": False, "lockDays": 1}


def test_every_complaint_about_a_stack_file_comes_at_once_with_exit_code_2(project: Path) -> None:
    wrong = DEV.replace("lockDays: 1", "lockDays: never").replace("class:", "clas:")
    (project / "Pulumi.dev.yaml").write_text(wrong)
    refused = ferry("check")
    assert refused.exit_code == 2
    assert "Pulumi.dev.yaml:5: ferry:platform.ingress.clas" in refused.stderr
    assert "did you mean class?" in refused.stderr
    assert "Pulumi.dev.yaml:6: ferry:platform.data.lockDays" in refused.stderr


def test_an_unknown_stack_names_those_that_there_are(project: Path) -> None:
    refused = ferry("check", "--stack", "prd")
    assert refused.exit_code == 2
    assert "no Pulumi.prd.yaml; stacks are: dev" in refused.stderr


def test_outside_of_a_project_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = ferry("check")
    assert refused.exit_code == 2
    assert "run this inside the project" in refused.stderr


def test_nothing_pinned_is_nothing_to_verify(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: Stack) -> None:
        raise NeverUp("dev was never brought up here")

    monkeypatch.setattr(Stack, "bucket", none)
    assert ferry("verify").exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["credit-default", "--all"]])
def test_unpin_wants_one_model_or_all_of_them(project: Path, arguments: list[str]) -> None:
    refused = ferry("unpin", *arguments)
    assert refused.exit_code == 2
    assert "name one model, or give --all" in refused.stderr


def test_unpin_all_leaves_the_file_as_it_was_before_the_pins(project: Path) -> None:
    file = project / "Pulumi.dev.yaml"
    for model in ("churn", "credit-default"):
        pins.move(file, model, a_pin(), expected=None)
    assert ferry("unpin", "--all").exit_code == 0
    assert file.read_text() == DEV


def test_unpinning_what_is_not_pinned_is_no_error(project: Path) -> None:
    assert ferry("unpin", "credit-default").exit_code == 0


def test_a_release_of_a_model_without_a_pin_is_refused_with_exit_code_3(project: Path) -> None:
    refused = ferry("release", "show", "credit-default")
    assert refused.exit_code == 3
    assert "Pulumi.dev.yaml pins no credit-default" in refused.stderr


def test_without_an_engine_the_remedy_is_named_with_exit_code_5(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(project))
    refused = ferry("status")
    assert refused.exit_code == 5
    assert "make -s env" in refused.stderr


def test_exec_names_a_command_that_is_not_there(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stack, "environment", lambda self: {})
    refused = ferry("exec", "--", "no-such-command")
    assert refused.exit_code == 2
    assert "no command 'no-such-command'" in refused.stderr


def test_a_model_that_stays_silent_makes_waiting_for_it_fail_with_exit_code_5(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = {**OUTPUTS, "models": {"credit-default": SERVED}}
    monkeypatch.setattr(Stack, "_pulumi", lambda self, *arguments: json.dumps(outputs))
    assert ferry("status").exit_code == 0
    refused = ferry("status", "--wait", "0")
    assert refused.exit_code == 5
    assert "no answer from credit-default" in refused.stderr
    assert "no answer" in refused.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [("churn=row.json", "serves no model 'churn'"), ("credit-default=none.json", "no rows in")],
)
def test_a_row_to_score_that_cannot_be_sent_is_a_usage_error(
    project: Path, monkeypatch: pytest.MonkeyPatch, given: str, words: str
) -> None:
    served = {"credit-default": SERVED}
    monkeypatch.setattr(
        Stack, "_pulumi", lambda self, *arguments: json.dumps({**OUTPUTS, "models": served})
    )
    refused = ferry("status", "--score", given)
    assert refused.exit_code == 2
    assert words in refused.stderr


def test_status_says_where_a_stack_is_watched_as_far_as_it_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = {
        name: {"url": f"http://{name}.dev.ferry.test"} for name in ("prometheus", "alertmanager")
    }
    monkeypatch.setattr(
        Stack, "_pulumi", lambda self, *arguments: json.dumps({**OUTPUTS, **sites, "models": {}})
    )
    urls = json.loads(ferry("status", "--json").stdout)["urls"]
    assert {name: url for name, url in urls.items() if name.lower() in {*sites, "grafana"}} == {
        "Prometheus": "http://prometheus.dev.ferry.test",
        "Alertmanager": "http://alertmanager.dev.ferry.test",
    }
    shown = ferry("status").stdout
    assert all(each["url"] in shown for each in sites.values())
