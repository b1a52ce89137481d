"""Stands in for the provider `random`: passwords, strings and ids that change when asked to."""

import base64
import binascii
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import bcrypt

from lab.standins.difference import differences
from lab.standins.plugin import serve
from lab.standins.provider import (
    Diff,
    Invalid,
    Operation,
    Properties,
    Provider,
    ProviderError,
    State,
)
from lab.standins.values import Secret, has_unknown, unwrap

# The input that switches a class of characters on -> the one that asks for a minimum, the class.
_CLASSES: Final = {
    "lower": ("minLower", string.ascii_lowercase),
    "upper": ("minUpper", string.ascii_uppercase),
    "numeric": ("minNumeric", string.digits),
    "special": ("minSpecial", "!@#$%&*()-_=+[]{}<>:?"),
}
_MINIMA: Final = tuple(minimum for minimum, _ in _CLASSES.values())
_BCRYPT_LIMIT: Final = 72  # bytes; bcrypt takes no more, and the official provider cuts there too
_BCRYPT_COST: Final = 10


@dataclass(frozen=True)
class _Made:
    """A value that exists: its id, what the program would have said, what is computed from it."""

    id: str
    inputs: Properties
    outputs: Properties


@dataclass(frozen=True)
class _Kind:
    """One resource type. `adopt` reads a value in the form that `draw` and `import` give it."""

    inputs: frozenset[str]
    complete: Callable[[Properties], Properties]
    complaints: Callable[[Properties], dict[str, str]]
    draw: Callable[[Properties], str]
    adopt: Callable[[str], _Made]


def draw_text(inputs: Properties) -> str:
    """A new string after plain, valid inputs; each class holds at least its minimum."""
    given = complete_text(inputs)
    classes = _classes(given)
    drawn = [
        secrets.choice(classes[name])
        for name, (minimum, _) in _CLASSES.items()
        for _ in range(given[minimum])
    ]
    every = "".join(classes[name] for name in _CLASSES if given[name])
    drawn += [secrets.choice(every) for _ in range(given["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def complete_text(inputs: Properties) -> Properties:
    """The inputs of a string with the defaults; `number` is the old name of `numeric`."""
    numeric = inputs.get("numeric", inputs.get("number", True))
    defaults = dict.fromkeys(_CLASSES, True) | dict.fromkeys(_MINIMA, 0)
    return defaults | inputs | {"numeric": numeric, "number": numeric}


def complaints_about_text(inputs: Properties) -> dict[str, str]:
    """Why no string can be drawn after plain inputs: input -> reason."""
    given = complete_text(inputs)
    length = given.get("length") or 0
    found: dict[str, str] = {}
    if length < 1:
        found["length"] = f"length is {length}; it must be at least 1"
    elif sum(given[minimum] for minimum in _MINIMA) > length:
        total = " + ".join(f"{minimum} {given[minimum]}" for minimum in _MINIMA)
        found["length"] = f"length is {length}, less than {total}"
    if not any(given[name] and _classes(given)[name] for name in _CLASSES):
        found["special"] = f"one of {', '.join(_CLASSES)} must be true and have characters"
    for name, (minimum, _) in _CLASSES.items():
        if given[minimum] and not _classes(given)[name]:
            found[minimum] = f"{minimum} is {given[minimum]}, but there are no such characters"
    return found


def draw_id(inputs: Properties) -> str:
    """A new id after plain inputs, as `prefix,base64url`."""
    return f"{inputs.get('prefix') or ''},{_url(secrets.token_bytes(inputs['byteLength']))}"


def complaints_about_id(inputs: Properties) -> dict[str, str]:
    """Why no id can be drawn after plain inputs: input -> reason."""
    length = inputs.get("byteLength") or 0
    return {} if length >= 1 else {"byteLength": f"byteLength is {length}; it must be at least 1"}


def adopt_id(text: str) -> _Made:
    """The id written as `base64url` or `prefix,base64url`. Raises ProviderError."""
    prefix, _, encoded = text.rpartition(",")
    try:
        content = base64.b64decode(encoded + "=" * (-len(encoded) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise ProviderError(f"{text!r} is no [prefix,]base64url id: {error}") from None
    forms = {
        "b64Url": encoded,
        "b64Std": base64.b64encode(content).decode(),
        "hex": content.hex(),
        "dec": str(int.from_bytes(content)),
    }
    inputs: Properties = {"byteLength": len(content), **({"prefix": prefix} if prefix else {})}
    return _Made(encoded, inputs, {key: prefix + form for key, form in forms.items()})


def adopt_password(text: str) -> _Made:
    """A password; its id says nothing about it."""
    salt = bcrypt.gensalt(_BCRYPT_COST, prefix=b"2a")
    hashed = bcrypt.hashpw(text.encode()[:_BCRYPT_LIMIT], salt).decode()
    outputs = {"result": Secret(text), "bcryptHash": Secret(hashed)}
    return _Made("none", {"length": len(text)}, outputs)


def adopt_string(text: str) -> _Made:
    """A string that is no secret, and so is its own id."""
    return _Made(text, {"length": len(text)}, {"result": text})


_TEXT_INPUTS: Final = frozenset(
    {"length", "keepers", "overrideSpecial", "number", *_CLASSES, *_MINIMA}
)
_KINDS: Final = {
    "random:index/randomPassword:RandomPassword": _Kind(
        _TEXT_INPUTS, complete_text, complaints_about_text, draw_text, adopt_password
    ),
    "random:index/randomString:RandomString": _Kind(
        _TEXT_INPUTS, complete_text, complaints_about_text, draw_text, adopt_string
    ),
    "random:index/randomId:RandomId": _Kind(
        frozenset({"byteLength", "keepers", "prefix"}), dict, complaints_about_id, draw_id, adopt_id
    ),
}


class RandomProvider(Provider):
    """Covers RandomPassword, RandomString and RandomId; every change is a replacement."""

    name, version = "random", "4.21.4"

    def check(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        kind = self._kind(operation)
        failures = {
            key: f"{key} is no input of {operation.type}; it has {', '.join(sorted(kind.inputs))}"
            for key in sorted(new.keys() - kind.inputs)
        }
        if not failures and not has_unknown(new):
            failures = kind.complaints(unwrap(new))
        if failures:
            raise Invalid(failures)
        return new

    def diff(
        self, operation: Operation, old_inputs: Properties, old: Properties, new: Properties
    ) -> Diff:
        # With defaults: to say what was the case anyway must not draw a new password.
        before, after = map(self._kind(operation).complete, (old_inputs, new))
        return Diff(changes=differences(before, after, replace=frozenset({*before, *after})))

    def create(self, operation: Operation, inputs: Properties) -> State:
        kind = self._kind(operation)
        outputs = kind.complete(inputs)
        if operation.preview:
            return State(id="", inputs=inputs, outputs=outputs)
        made = kind.adopt(kind.draw(unwrap(inputs)))
        return State(id=made.id, inputs=inputs, outputs=outputs | made.outputs)

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        kind = self._kind(operation)
        if outputs:
            return State(id=operation.id, inputs=inputs, outputs=outputs)
        made = kind.adopt(operation.id)
        complete = kind.complete(made.inputs)
        return State(id=made.id, inputs=made.inputs, outputs=complete | made.outputs)

    def delete(self, operation: Operation, inputs: Properties, outputs: Properties) -> None:
        """There is nothing outside the state."""

    def _kind(self, operation: Operation) -> _Kind:
        if operation.type not in _KINDS:
            raise self._refused(operation.type)
        return _KINDS[operation.type]


def _classes(given: Properties) -> dict[str, str]:
    override = given.get("overrideSpecial")
    return {
        name: override if name == "special" and override is not None else characters
        for name, (_, characters) in _CLASSES.items()
    }


def _url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


if __name__ == "__main__":
    serve(RandomProvider())
