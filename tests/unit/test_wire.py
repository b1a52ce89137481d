"""Property values survive the way to the engine and back."""

import pytest
from google.protobuf import json_format, struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from lab.standins import values, wire
from lab.standins.values import UNKNOWN, Archive, Asset, Output, Reference, Secret, Value

# Text that is itself a mark of the protocol cannot occur in a program.
text = st.text(max_size=20)
numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False).map(
    lambda number: int(number) if float(number).is_integer() else number
)
plain_leaves = st.none() | st.booleans() | numbers | text
names = st.text(min_size=1, max_size=10)
hashes = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64)
assets = (
    st.builds(lambda value, digest: Asset(text=value, hash=digest), text, hashes)
    | st.builds(lambda value, digest: Asset(path=value, hash=digest), names, hashes)
    | st.builds(lambda value, digest: Asset(uri=value, hash=digest), names, hashes)
)
archives = st.recursive(
    st.builds(lambda value, digest: Archive(path=value, hash=digest), names, hashes)
    | st.builds(lambda value, digest: Archive(uri=value, hash=digest), names, hashes),
    lambda inner: st.builds(
        lambda files, digest: Archive(assets=files, hash=digest),
        st.dictionaries(names, assets | inner, max_size=3),
        hashes,
    ),
    max_leaves=4,
)
references = st.builds(Reference, names, st.none() | st.just(UNKNOWN) | names, text)


def nested(leaves: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
        max_leaves=12,
    )


plain = nested(plain_leaves)
marked = st.recursive(
    plain_leaves | st.just(UNKNOWN) | assets | archives | references,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(text, inner, max_size=4)
        | st.builds(Secret, inner)
        | st.builds(Output, inner, st.booleans(), st.lists(names, max_size=2).map(tuple))
    ),
    max_leaves=12,
)


@given(st.dictionaries(text, marked, max_size=5))
def test_every_value_comes_back_as_it_was_sent(properties: dict[str, Value]) -> None:
    assert wire.decode(wire.encode(properties)) == properties


@given(st.dictionaries(text, plain, max_size=5))
def test_plain_data_is_sent_as_the_json_that_it_is(properties: dict[str, Value]) -> None:
    assert json_format.MessageToDict(wire.encode(properties)) == properties


@given(numbers)
def test_integral_numbers_arrive_as_int_and_others_as_float(number: float) -> None:
    arrived = wire.decode(wire.encode({"number": number}))["number"]
    assert type(arrived) is type(number)


@given(plain)
def test_plain_data_holds_no_secret_and_no_unknown(value: Value) -> None:
    assert not values.has_unknown(value)
    assert not values.has_secret(value)
    assert values.unwrap(value) == value


@given(st.dictionaries(text, marked, max_size=5))
def test_unwrapping_leaves_no_secret_and_keeps_what_is_unknown(value: Value) -> None:
    bare = values.unwrap(value)
    assert not values.has_secret(bare)
    assert values.has_unknown(bare) == values.has_unknown(value)


@given(nested(plain_leaves | st.builds(Secret, plain)))
def test_rewrapping_what_was_unwrapped_restores_every_secret(value: Value) -> None:
    assert values.rewrap(values.unwrap(value), value) == value


def test_rewrapping_marks_by_path_and_leaves_the_rest() -> None:
    like = {"data": {"password": Secret("a")}, "items": [Secret(1), 2], "gone": Secret(1)}
    value = {"data": {"password": "b", "user": "c"}, "items": [7, 8, 9], "extra": True}
    assert values.rewrap(value, like) == {
        "data": {"password": Secret("b"), "user": "c"},
        "items": [Secret(7), 8, 9],
        "extra": True,
    }


def test_rewrapping_marks_what_comes_from_a_secret_output_once() -> None:
    assert values.rewrap("x", Output("y", secret=True)) == Secret("x")
    assert values.rewrap({"a": 1}, Output({"a": Secret(2)})) == {"a": Secret(1)}
    assert values.rewrap(Secret("x"), Secret("y")) == Secret("x")


@pytest.mark.parametrize(
    "value",
    [
        UNKNOWN,
        Secret(UNKNOWN),
        Output(),
        [1, {"deep": UNKNOWN}],
        Reference("urn", UNKNOWN),
    ],
)
def test_an_unknown_is_found_at_any_depth(value: Value) -> None:
    assert values.has_unknown(value)


@pytest.mark.parametrize("value", [Secret(1), Output(1, secret=True), [{"deep": Secret(1)}]])
def test_a_secret_is_found_at_any_depth(value: Value) -> None:
    assert values.has_secret(value)


@pytest.mark.parametrize(
    "mark",
    [
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    ],
)
def test_every_type_of_unknown_that_the_engine_sends_is_unknown(mark: str) -> None:
    struct = struct_pb2.Struct()
    struct.update({"value": mark})
    assert wire.decode(struct) == {"value": UNKNOWN}


def test_a_secret_does_not_show_its_value_when_it_is_printed() -> None:
    assert "hunter2" not in repr({"password": Secret("hunter2")})


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_lacks_is_refused_by_its_path(number: float) -> None:
    with pytest.raises(wire.WireError, match=r"^spec\.items\[1\]: "):
        wire.encode({"spec": {"items": [1, number]}})


def test_a_value_of_a_foreign_type_is_refused_by_its_path_and_type() -> None:
    with pytest.raises(wire.WireError, match=r"^spec\.when: a complex cannot be sent"):
        wire.encode({"spec": {"when": 1j}})


def test_a_key_that_is_no_string_is_refused() -> None:
    with pytest.raises(wire.WireError, match=r"^spec: key 1 is not a string"):
        wire.encode({"spec": {1: "a"}})


def test_an_undefined_mark_is_refused() -> None:
    struct = struct_pb2.Struct()
    struct.update({"a": {"4dabf18193072939515e22adb298388d": "nonsense"}})
    with pytest.raises(wire.WireError, match="unknown mark 'nonsense'"):
        wire.decode(struct)
