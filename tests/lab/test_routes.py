"""Alertmanager's own tool walks the routes: every alert reaches one receiver, and a real one."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lab import toolchain
from monitoring import rules
from monitoring.routes import NOBODY, Receivers, configuration
from tests.unit.test_monitoring_routes import NAMED, SETS

pytestmark = pytest.mark.lab

# Each alert as it is, and one of somebody else's of every severity.
ALERTS = sorted(
    {(each.name, each.severity) for each in rules.alerts()}
    | {("Another", severity) for severity in ("critical", "warning", "info", "")}
)
LABELS = {"environment": "dev", "namespace": "dev-models", "model": "credit-default"}


def amtool(*arguments: str) -> str:
    """What the tool prints; it must succeed."""
    command = [str(toolchain.binary("amtool")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def tool() -> None:
    toolchain.ensure(["alertmanager"])


@pytest.fixture(params=SETS, ids=lambda named: "+".join(named) or "nobody")
def named(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Receivers that a stack may name."""
    return request.param


@pytest.fixture
def file(named: dict[str, Any], tmp_path: Path) -> Path:
    """The configuration for them, as Alertmanager reads it."""
    path = tmp_path / "alertmanager.yaml"
    path.write_text(json.dumps(configuration(Receivers(**named))))
    return path


def test_alertmanager_accepts_every_configuration(file: Path) -> None:
    assert "SUCCESS" in amtool("check-config", str(file))


def test_every_alert_reaches_one_receiver_and_a_real_one(named: dict[str, Any], file: Path) -> None:
    for alert, severity in ALERTS:
        labels = {"alertname": alert, **LABELS, **({"severity": severity} if severity else {})}
        pairs = [f"{name}={value}" for name, value in labels.items()]
        told = amtool("config", "routes", "test", f"--config.file={file}", *pairs).split()
        assert len(told) == 1, (alert, severity, told)
        assert told[0] in (named or {NOBODY}), (alert, severity, told)


@pytest.mark.parametrize(
    ("severity", "receiver"), [("critical", "pagerduty"), ("warning", "slack"), ("info", "email")]
)
def test_severity_chooses_the_receiver(severity: str, receiver: str, tmp_path: Path) -> None:
    file = tmp_path / "alertmanager.yaml"
    file.write_text(json.dumps(configuration(Receivers(**NAMED))))
    pairs = (f"severity={severity}", "alertname=MlflowDown")
    verify = f"--verify.receivers={receiver}"
    amtool("config", "routes", "test", f"--config.file={file}", verify, *pairs)
