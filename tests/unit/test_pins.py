"""Pins move one at a time, by compare-and-swap, and leave the rest of the file as it was."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.settings import Data, Pin
from promotion import pins
from promotion.refusals import Conflict

FILE = """\
# The dev stack.
config:
  ferry:platform:
    environment: dev # the stack's name
    models:
      credit-default: {scaling: {minimum: 1, maximum: 2}}
encryptionsalt: v1:abc=
"""


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    return st.text("0123456789abcdef", min_size=length, max_size=length)


digests = hexadecimal(64).map("sha256:{}".format)
words = st.text("abc/._-019", min_size=1).filter(lambda word: word.strip() == word)
some_pins = st.fixed_dictionaries(
    {
        "version": st.integers(1, 10**9),
        "run": hexadecimal(32),
        "image": digests,
        "weights": digests,
        "signer": digests | st.just("keyless"),
        "data": st.fixed_dictionaries(
            {"key": words, "versionId": words, "sha256": hexadecimal(64)}
        ),
        "features": digests,
        "commit": hexadecimal(40),
        "evidence": digests,
    }
).map(Pin.model_validate)


def a_pin(version: int = 1) -> Pin:
    digest = "sha256:" + "0" * 64
    return Pin(
        version=version,
        run="1" * 32,
        image=digest,
        weights=digest,
        signer=digest,
        data=Data(key="data/loans.parquet", version_id="v", sha256="2" * 64),
        features=digest,
        commit="3" * 40,
        evidence=digest,
    )


@pytest.fixture
def stack_file(tmp_path: Path) -> Path:
    path = tmp_path / "Pulumi.dev.yaml"
    path.write_text(FILE)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pin=some_pins)
def test_any_pin_that_is_written_is_read_back(stack_file: Path, pin: Pin) -> None:
    stack_file.write_text(FILE)
    assert pins.move(stack_file, "credit-default", pin, expected=None)
    assert pins.read(stack_file, "credit-default") == pin


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pin=some_pins)
def test_putting_a_pin_in_and_taking_it_out_leaves_the_bytes_as_they_were(
    stack_file: Path, pin: Pin
) -> None:
    stack_file.write_text(FILE)
    pins.move(stack_file, "credit-default", pin, expected=None)
    pins.move(stack_file, "credit-default", None, expected=pin)
    assert stack_file.read_text() == FILE


def test_every_line_of_the_file_survives_a_pin(stack_file: Path) -> None:
    pins.move(stack_file, "credit-default", a_pin(), expected=None)
    assert set(FILE.splitlines()) <= set(stack_file.read_text().splitlines())


def test_the_same_pin_again_does_not_touch_the_file(stack_file: Path) -> None:
    pins.move(stack_file, "credit-default", a_pin(), expected=None)
    before = stack_file.stat()
    assert not pins.move(stack_file, "credit-default", a_pin(), expected=None)
    assert (stack_file.stat().st_ino, stack_file.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )


def test_a_pin_that_moved_meanwhile_is_not_overwritten(stack_file: Path) -> None:
    pins.move(stack_file, "credit-default", a_pin(1), expected=None)
    with pytest.raises(Conflict, match=r"moved to version 1 .* decided on no pin"):
        pins.move(stack_file, "credit-default", a_pin(2), expected=None)
    assert pins.read(stack_file, "credit-default") == a_pin(1)


def test_a_failed_replacement_leaves_the_old_file_and_no_draft(
    stack_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        pins.move(stack_file, "credit-default", a_pin(), expected=None)
    assert stack_file.read_text() == FILE
    assert os.listdir(stack_file.parent) == [stack_file.name]


def test_one_models_pin_does_not_move_anothers(stack_file: Path) -> None:
    pins.move(stack_file, "credit-default", a_pin(1), expected=None)
    pins.move(stack_file, "churn", a_pin(2), expected=None)
    pins.move(stack_file, "churn", None, expected=a_pin(2))
    assert pins.read(stack_file, "credit-default") == a_pin(1)
    assert pins.read(stack_file, "churn") is None


def test_the_files_mode_survives(stack_file: Path) -> None:
    stack_file.chmod(0o640)
    pins.move(stack_file, "credit-default", a_pin(), expected=None)
    assert stack_file.stat().st_mode & 0o777 == 0o640
