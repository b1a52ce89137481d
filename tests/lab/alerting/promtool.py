"""Runs `promtool test rules` over many files at once, and reads which rules failed."""

import json
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lab import toolchain

_AT_ONCE = 2
_SECONDS = 600  # on a machine that does much else; a minute where it does not
_FAILED = re.compile(r'^\s+(?:alertname: |expr: "round\()(\w+)', re.M)
_BROKEN = re.compile(r"^\s+rule: (\w+), time: .*, err: ", re.M)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rules that are evaluated together, and the tests that look at them."""

    name: str
    step: str
    """Between two evaluations."""
    rules: Sequence[Mapping[str, Any]]
    tests: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Failures:
    """The rules of a batch that a test found wrong or that could not be evaluated."""

    names: frozenset[str]
    text: str


def run(batches: Iterable[Batch], folder: Path) -> dict[str, Failures]:
    """The failures of each batch, by its name.

    A rule that cannot be evaluated ends its test: the others are then asked without it.
    """
    wanted = {batch.name: batch for batch in batches}
    broken: dict[str, frozenset[str]] = {name: frozenset() for name in wanted}
    found: dict[str, Failures] = {}
    while wanted:
        files = [_written(batch, folder) for batch in wanted.values()]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = [files[first::_AT_ONCE] for first in range(min(_AT_ONCE, len(files)))]
            answers = list(pool.map(lambda part: _said(part, folder), parts))
        said = {name: text for answer in answers for name, text in answer.items()}
        again = {}
        for name, text in said.items():
            if more := frozenset(_BROKEN.findall(text)):
                broken[name] |= more
                again[name] = _without(wanted[name], more)
            else:
                names = frozenset(_FAILED.findall(text)) | broken[name]
                found[name] = Failures(names=names, text=text)
        wanted = again
    return found


def _said(files: Sequence[str], folder: Path) -> dict[str, str]:
    """What promtool found wrong in each file, by the batch's name; nothing where all is well."""
    report = folder / f"{files[0]}.xml"
    done = subprocess.run(
        [str(toolchain.binary("promtool")), "test", "rules", f"--junit={report}", *files],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
    )
    suites = {each.get("name", ""): each for each in ElementTree.parse(report).getroot()}  # noqa: S314
    errors = [name for name, suite in suites.items() if suite.get("errors") != "0"]
    if sorted(suites) != sorted(files) or errors:
        raise RuntimeError(f"promtool could not test {', '.join(files)}: {done.stdout[-2000:]}")
    said = {}
    for file, suite in suites.items():
        text = "\n".join(each.text or "" for each in suite.iter("failure"))
        if text and not (_FAILED.search(text) or _BROKEN.search(text)):
            raise RuntimeError(f"promtool said of {file}: {text}")
        said[file.removesuffix(".test.json")] = text
    return said


def _without(batch: Batch, broken: frozenset[str]) -> Batch:
    rules = [rule for rule in batch.rules if rule.get("alert", rule.get("record")) not in broken]
    tests = []
    for test in batch.tests:
        kept = dict(test)
        if "alert_rule_test" in test:
            kept["alert_rule_test"] = [
                each for each in test["alert_rule_test"] if each["alertname"] not in broken
            ]
        if "promql_expr_test" in test:
            kept["promql_expr_test"] = [
                each
                for each in test["promql_expr_test"]
                if not any(f"round({name}," in each["expr"] for name in broken)
            ]
        tests.append(kept)
    return replace(batch, rules=rules, tests=tests)


def _written(batch: Batch, folder: Path) -> str:
    rules = folder / f"{batch.name}.rules.json"
    rules.write_text(json.dumps({"groups": [{"name": "all", "rules": batch.rules}]}))
    document = {
        "rule_files": [rules.name],
        "evaluation_interval": batch.step,
        "tests": batch.tests,
    }
    test = folder / f"{batch.name}.test.json"
    test.write_text(json.dumps(document))
    return test.name


def checked(groups: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """What `promtool check rules` has to complain of; empty when nothing."""
    file = folder / "rules.json"
    file.write_text(json.dumps({"groups": groups}))
    done = subprocess.run(
        [str(toolchain.binary("promtool")), "check", "rules", "--lint-fatal", file.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
