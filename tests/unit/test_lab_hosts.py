"""The lab's block in the host's name file."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.cluster import hosts

_line = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=30)
_text = st.lists(_line, max_size=8).map(lambda lines: "".join(f"{line}\n" for line in lines))
_block = st.lists(st.just("172.30.1.2 a.dev.ferry.test"), min_size=1, max_size=3)


def _plain(text: str) -> bool:
    return not any(line.startswith("# ferry-") for line in text.split("\n"))


@given(_text.filter(_plain), _block)
def test_taking_the_block_away_gives_back_the_file_byte_for_byte(
    text: str, block: list[str]
) -> None:
    assert hosts.with_block(hosts.with_block(text, "dev", block), "dev", []) == text


@given(_text.filter(_plain), _block)
def test_writing_twice_is_writing_once(text: str, block: list[str]) -> None:
    once = hosts.with_block(text, "dev", block)
    assert hosts.with_block(once, "dev", block) == once
    assert once.startswith(text)


@given(_text.filter(_plain), _block, _block)
def test_another_labs_block_stays(text: str, mine: list[str], other: list[str]) -> None:
    both = hosts.with_block(hosts.with_block(text, "dev", mine), "prod", other)
    alone = hosts.with_block(both, "dev", [])
    assert alone == hosts.with_block(text, "prod", other)


def test_a_block_looks_like_this() -> None:
    written = hosts.with_block("127.0.0.1 localhost\n", "dev", ["172.30.1.2 a.dev.ferry.test"])
    assert written == (
        "127.0.0.1 localhost\n# ferry-dev begin\n172.30.1.2 a.dev.ferry.test\n# ferry-dev end\n"
    )


def test_a_file_without_a_last_newline_keeps_its_last_line() -> None:
    written = hosts.with_block("127.0.0.1 localhost", "dev", ["1.2.3.4 a"])
    assert written.startswith("127.0.0.1 localhost\n# ferry-dev begin\n")


def test_a_block_whose_end_was_lost_costs_no_line_after_it() -> None:
    text = "# ferry-dev begin\n1.2.3.4 old\n127.0.0.1 mine\n"
    assert hosts.with_block(text, "dev", []) == "1.2.3.4 old\n127.0.0.1 mine\n"


def test_a_lost_beginning_leaves_no_marker_behind() -> None:
    assert hosts.with_block("1.2.3.4 x\n# ferry-dev end\n", "dev", []) == "1.2.3.4 x\n"


def test_only_names_under_the_labs_own_domain_are_taken() -> None:
    rules = [
        {"host": "a.dev.ferry.test"},
        {"host": "example.com"},
        {"host": "evil-dev.ferry.test"},
        {"host": "*.dev.ferry.test"},
        {"http": {}},
    ]
    assert hosts.names({"spec": {"rules": rules}}, "dev.ferry.test") == {"a.dev.ferry.test"}
    assert hosts.names({"spec": {"defaultBackend": {}}}, "dev.ferry.test") == set()


def test_the_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    file.chmod(0o644)
    before = file.stat().st_ino
    hosts.write("dev", {"b.dev.ferry.test": "1.2.3.4", "a.dev.ferry.test": "1.2.3.4"}, file)
    assert file.stat().st_ino != before
    assert file.stat().st_mode & 0o777 == 0o644
    assert file.read_text().split("\n")[1:4] == [
        "# ferry-dev begin",
        "1.2.3.4 a.dev.ferry.test",
        "1.2.3.4 b.dev.ferry.test",
    ]
    assert os.listdir(tmp_path) == ["hosts"]
    hosts.write("dev", {}, file)
    assert file.read_text() == "127.0.0.1 localhost\n"


def test_a_file_that_cannot_be_replaced_is_written_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    before = file.stat().st_ino

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "replace", busy)
    hosts.write("dev", {"a.dev.ferry.test": "1.2.3.4"}, file)
    assert file.stat().st_ino == before
    assert "1.2.3.4 a.dev.ferry.test" in file.read_text()
    assert os.listdir(tmp_path) == ["hosts"]


def test_an_unchanged_block_does_not_touch_the_file(tmp_path: Path) -> None:
    file = tmp_path / "hosts"
    file.write_text("127.0.0.1 localhost\n")
    hosts.write("dev", {"a": "1.2.3.4"}, file)
    before = file.stat().st_ino
    hosts.write("dev", {"a": "1.2.3.4"}, file)
    assert file.stat().st_ino == before


def test_a_route_of_traefiks_own_kind_has_names_as_well() -> None:
    route = {"spec": {"routes": [{"match": "Host(`a.dev.ferry.test`) && Path(`/x`)"}]}}
    assert hosts.names(route, "dev.ferry.test") == {"a.dev.ferry.test"}
    assert hosts.names(route, "prod.ferry.test") == set()
