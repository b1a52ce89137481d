"""Rules, runbooks and queries keep to the contract: names, labels, units, texts, commands."""

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analysis import prometheus
from monitoring import promql, recordings, rules, slo
from monitoring.alerts import Alert
from monitoring.contract import OURS, PROBES, RATIO, Series, catalogue, reasons
from monitoring.recordings import Recording

ROOT = Path(__file__).parents[2]
BOOKS = ROOT / "docs" / "runbooks"
ALERTS = rules.alerts()
RECORDINGS = (*recordings.accuracy(), *recordings.burn())
OWN = re.compile(r"(prediction|inference|request_log|outcomes|feature_drift|drift|watch)_\w+")


def _known() -> dict[str, Series]:
    """Everything that may be named, recordings too; each is made of what stands before it."""
    known = dict(catalogue())
    for each in RECORDINGS:
        made = promql.series(each.expression, known)
        known[each.name] = replace(made, labels=made.labels | each.labels.keys())
    return known


KNOWN = _known()


def _id(rule: Alert | Recording) -> str:
    return "-".join([rule.name, *rule.labels.values()])


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDINGS], ids=_id)
def test_an_expression_keeps_to_the_contract(rule: Alert | Recording) -> None:
    assert promql.complaints(rule.expression, KNOWN) == []


@pytest.mark.parametrize("rule", [*ALERTS, *RECORDINGS], ids=_id)
def test_a_rule_is_for_any_model(rule: Alert | Recording) -> None:
    assert not re.search(r"\b(model|version)[=!]", rule.expression)


@pytest.mark.parametrize("rule", RECORDINGS, ids=_id)
def test_a_recording_is_named_by_level_metric_and_operation(rule: Recording) -> None:
    level, metric, operation = rule.name.split(":")
    assert level in KNOWN[rule.name].labels
    assert metric
    assert operation


def test_shares_are_shares() -> None:
    names = {recordings.ACCURACY, recordings.LOWER, recordings.UPPER}
    for name in names | {slo.ratio(window) for window in slo.WINDOWS}:
        assert KNOWN[name].unit == RATIO, name


@pytest.mark.parametrize("alert", ALERTS, ids=_id)
def test_an_alert_names_only_labels_that_it_has(alert: Alert) -> None:
    labels = promql.series(alert.expression, KNOWN).labels
    said = alert.summary + alert.description
    assert set(re.findall(r"\$labels\.(\w+)", said)) <= labels | alert.labels.keys()
    # One alert for each that somebody can look at, not for each pod that tells it.
    assert not labels & {"endpoint", "service", "node"}


@pytest.mark.parametrize("alert", ALERTS, ids=_id)
def test_an_alert_tells_whom_what_and_where_to_read_on(alert: Alert) -> None:
    rule = alert.rule("https://example.org/runbooks/")
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["labels"]["team"] in {"models", "platform"}
    assert re.fullmatch(r"[1-9]\d*[mh]", rule["for"])
    url = rule["annotations"]["runbook_url"]
    assert url == f"https://example.org/runbooks/{alert.page}"
    assert (BOOKS / alert.page).is_file()
    for said in (alert.summary, alert.description):
        assert said.endswith(".")


def test_every_page_is_of_an_alert() -> None:
    pages = {path.name for path in BOOKS.glob("*.md")} - {"README.md"}
    assert pages == {alert.page for alert in ALERTS}


@pytest.mark.parametrize("page", sorted(BOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_is_short_and_what_it_names_exists(page: Path) -> None:
    text = page.read_text()
    if page.stem != "README":
        assert text.startswith(f"# {page.stem}\n")
        assert re.findall("^## (.*)$", text, re.M) == ["Look first", "What to do"]
    assert len(text.splitlines()) <= 40
    for linked in re.findall(r"\]\(([^)]*)\)", text):
        assert (BOOKS / linked).is_file(), linked
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (?:-s )?([a-z-]+)", text):
        assert re.search(rf"^(?:[a-z-]+ )*{target}(?: [a-z-]+)*:", makefile, re.M), target
    command_line = (ROOT / "promotion" / "cli.py").read_text()
    for command in re.findall(r"`ferry ([a-z-]+)", text):
        assert re.search(rf'\b{command.replace("-", "_")}\b|"{command}"', command_line), command


@pytest.mark.parametrize("page", sorted(BOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_a_pages_queries_keep_to_the_contract(page: Path) -> None:
    for said in re.findall("`([^`\n]+)`", page.read_text()):
        if OWN.match(said) or re.match(r"\w+ by \(", said):
            names = {*KNOWN, *(name.removesuffix("_total") for name in KNOWN)}
            assert said in names or promql.complaints(said, KNOWN) == [], said


def test_the_alert_of_the_article_is_the_articles() -> None:
    (alert,) = (alert for alert in ALERTS if alert.name == "ModelDriftDetected")
    assert alert.hold == "5m"
    assert alert.severity == "warning"
    assert alert.summary == "Accuracy decreased by more than 2% over the last day."


def test_burn_rates_are_googles() -> None:
    found = [(burn.factor, burn.long, burn.short) for burn in slo.BURNS]
    assert found == [(14.4, "1h", "5m"), (6, "6h", "30m"), (3, "1d", "2h"), (1, "3d", "6h")]


def test_probes_are_looked_at_by_an_alert_each() -> None:
    asked = {job for alert in ALERTS for job in re.findall(r'\bjob="([\w-]+)"', alert.expression)}
    assert asked == set(PROBES)


def test_groups_are_as_the_operator_has_them() -> None:
    groups = rules.groups("https://example.org")
    names = [group["name"] for group in groups]
    assert len(names) == len(set(names))
    made = [rule for group in groups for rule in group["rules"]]
    assert len(made) == len(ALERTS) + len(RECORDINGS)
    keys = [(rule.get("alert"), rule.get("record"), str(rule.get("labels"))) for rule in made]
    assert len(keys) == len(set(keys))


def test_the_judges_query_keeps_to_the_contract() -> None:
    query = prometheus.query("loans", ("aaa", "bbb"))
    assert promql.complaints(query, KNOWN) == []
    for wrong in ("inference_errors_total", "modle"):
        broken = query.replace("inference_error_total", wrong, 1).replace("model=", f"{wrong}=")
        assert promql.complaints(broken, KNOWN)


def test_the_judge_lays_blame_as_the_contract_does() -> None:
    assert set(reasons("server")) == prometheus.SERVER
    assert set(reasons("client")) == prometheus.CLIENT


def _words(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_whatever_else_names_a_metric_of_ours_knows_it() -> None:
    named = {*KNOWN, *re.findall(r"^\[metrics\.(\w+)", OURS.read_text(), re.M)}
    rooms = ("analysis", "components", "infra", "promotion", "policy", "preview")
    words = {
        word: path
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        for word in _words(path)
    }
    found = {word: str(path) for word, path in words.items() if OWN.fullmatch(word)}
    assert {"prediction_latency_seconds", "inference_error"} <= found.keys()
    assert {word: path for word, path in found.items() if word not in named} == {}
