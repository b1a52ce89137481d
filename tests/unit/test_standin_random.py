"""How the stand-in for the provider `random` draws, adopts and compares."""

import base64
import string
import threading
from typing import Any

import bcrypt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.standins.provider import Invalid, Operation, ProviderError, Refused
from lab.standins.random import (
    RandomProvider,
    adopt_id,
    adopt_password,
    adopt_string,
    complaints_about_id,
    complaints_about_text,
    draw_id,
    draw_text,
)
from lab.standins.values import UNKNOWN, Secret

PASSWORD = "random:index/randomPassword:RandomPassword"
ID = "random:index/randomId:RandomId"
CLASSES = {
    "Lower": string.ascii_lowercase,
    "Upper": string.ascii_uppercase,
    "Numeric": string.digits,
    "Special": "!@#$%&*()-_=+[]{}<>:?",
}

inputs_of_text = st.fixed_dictionaries(
    {"length": st.integers(-1, 12)},
    optional={
        **{name.lower(): st.booleans() for name in CLASSES},
        **{f"min{name}": st.integers(0, 3) for name in CLASSES},
        "overrideSpecial": st.text("~^", max_size=2),
    },
)


def operation(kind: str, *, identity: str = "", preview: bool = False) -> Operation:
    return Operation(
        urn="urn",
        type=kind,
        name="name",
        id=identity,
        preview=preview,
        cancelled=threading.Event(),
        log=lambda message, severity: None,
        status=lambda message: None,
    )


@example({"length": 3, "minSpecial": 1, "overrideSpecial": ""})
@given(inputs_of_text)
def test_a_text_has_its_length_its_minima_and_only_its_characters(inputs: dict[str, Any]) -> None:
    classes = {**CLASSES, "Special": inputs.get("overrideSpecial", CLASSES["Special"])}
    minima = {name: inputs.get(f"min{name}", 0) for name in classes}
    allowed = [name for name in classes if inputs.get(name.lower(), True)]
    possible = (
        inputs["length"] >= max(1, sum(minima.values()))
        and any(classes[name] for name in allowed)
        and all(classes[name] or not count for name, count in minima.items())
    )
    if complaints_about_text(inputs):
        assert not possible
        return
    assert possible
    drawn = draw_text(inputs)
    assert len(drawn) == inputs["length"]
    for name, count in minima.items():
        assert sum(character in classes[name] for character in drawn) >= count
    others = {name for name in classes if name not in allowed and not minima[name]}
    assert not any(character in classes[name] for character in drawn for name in others)


def test_two_texts_are_not_the_same() -> None:
    assert draw_text({"length": 30}) != draw_text({"length": 30})


def test_the_places_of_the_minima_are_drawn_too() -> None:
    inputs = {"length": 8, "minLower": 1, "upper": False, "special": False}
    places = {draw_text(inputs | {"lower": False})[0].isdigit() for _ in range(200)}
    assert places == {True, False}


@given(st.integers(1, 20), st.text("ab,-", max_size=3))
def test_an_id_is_one_number_in_four_forms(length: int, prefix: str) -> None:
    made = adopt_id(draw_id({"byteLength": length, "prefix": prefix}))
    forms = {key: form.removeprefix(prefix) for key, form in made.outputs.items()}
    content = bytes.fromhex(forms["hex"])
    assert len(content) == length == made.inputs["byteLength"]
    assert made.inputs.get("prefix", "") == prefix
    assert int(forms["dec"]) == int.from_bytes(content)
    assert base64.b64decode(forms["b64Std"]) == content
    assert forms["b64Url"] == made.id == base64.urlsafe_b64encode(content).decode().rstrip("=")


def test_what_is_no_id_is_named() -> None:
    with pytest.raises(ProviderError, match="'p,!' is no"):
        adopt_id("p,!")
    assert complaints_about_id({"byteLength": 0})
    assert not complaints_about_id({"byteLength": 1})


@pytest.mark.parametrize("text", ["short", "ä" * 80])
def test_a_password_is_secret_and_so_is_its_hash(text: str) -> None:
    made = adopt_password(text)
    result, hashed = made.outputs["result"], made.outputs["bcryptHash"]
    assert (made.id, made.inputs, result) == ("none", {"length": len(text)}, Secret(text))
    assert isinstance(hashed, Secret)
    assert hashed.value.startswith("$2a$10$")
    assert bcrypt.checkpw(text.encode()[:72], hashed.value.encode())


def test_a_string_is_its_own_id() -> None:
    made = adopt_string("abc")
    assert (made.id, made.inputs, made.outputs) == ("abc", {"length": 3}, {"result": "abc"})


@pytest.mark.parametrize(
    ("new", "changed"),
    [
        ({"length": 8}, []),
        ({"length": 8, "special": True, "minLower": 0}, []),
        ({"length": 9}, ["length"]),
        ({"length": 8, "number": False}, ["number", "numeric"]),
        ({"length": 8, "keepers": {"a": "1"}}, ["keepers"]),
        ({"length": UNKNOWN}, ["length"]),
    ],
)
def test_a_change_is_a_replacement_and_a_default_is_no_change(
    new: dict[str, Any], changed: list[str]
) -> None:
    found = RandomProvider().diff(operation(PASSWORD), {"length": 8}, {}, new).changes
    assert sorted(found) == changed
    assert all(change.replace for change in found.values())


def test_a_preview_draws_nothing() -> None:
    state = RandomProvider().create(operation(PASSWORD, preview=True), {"length": UNKNOWN})
    assert not {"result", "bcryptHash"} & state.outputs.keys()


def test_secret_keepers_stay_secret() -> None:
    inputs = {"byteLength": 2, "keepers": {"a": Secret("b")}}
    state = RandomProvider().create(operation(ID), inputs)
    assert state.outputs["keepers"] == {"a": Secret("b")}
    read = RandomProvider().read(operation(ID, identity=state.id), inputs, state.outputs)
    assert read == state


def test_inputs_are_checked_by_name() -> None:
    with pytest.raises(Invalid, match="size is no input"):
        RandomProvider().check(operation(PASSWORD), {}, {"length": 1, "size": 2}, b"")
    with pytest.raises(Invalid, match="length is 0"):
        RandomProvider().check(operation(PASSWORD), {}, {"length": 0}, b"")
    unknown = {"length": UNKNOWN, "minUpper": 5}
    assert RandomProvider().check(operation(PASSWORD), {}, unknown, b"") == unknown


def test_other_types_are_refused_by_name() -> None:
    with pytest.raises(Refused, match="random:index/randomPet:RandomPet"):
        RandomProvider().check(operation("random:index/randomPet:RandomPet"), {}, {}, b"")
