"""A resource type of AWS as one row: the calls that make, read, change and delete it."""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any, Final

import jmespath

from lab.standins.aws.bucket import MADE_UP, autoname
from lab.standins.aws.shapes import tag_list
from lab.standins.aws.shaping import Values, fill, shaped
from lab.standins.aws.store import Api, StoreError
from lab.standins.provider import (
    Operation,
    PartialFailure,
    Properties,
    ProviderError,
    Refused,
    State,
)
from lab.standins.values import UNKNOWN

_MISSING: Final = re.compile(r"404|NotFound|NoSuch|DoesNotExist")


@dataclass(frozen=True)
class Call:
    """One call as boto3 names it; its parameters are a template (see `shaping.fill`)."""

    method: str
    parameters: Mapping[str, Any]
    of: frozenset[str] = frozenset()
    """The inputs that it sets: with none of them, or none changed, it is not made."""
    each: str | None = None
    """An input that is a list: a call for each element, whose fields are places too."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """How properties and calls correspond.

    Places in templates are inputs, `id`, `region` and `answer`, that of the call that makes it.
    """

    service: str
    make: Call
    """Its template has what is not in `plain`."""
    plain: frozenset[str] = frozenset()
    """The inputs that the making call has under the same name, whatever their case."""
    other: frozenset[str] = frozenset()
    """The inputs that templates take."""
    identity: str
    """A template, or after `=` the JMESPath in the making call's answer."""
    then: tuple[Call, ...] = ()
    change: tuple[Call, ...] = ()
    """What only an update calls."""
    fixed: frozenset[str] | None = None
    """Where making it again changes it: the inputs that even so can't be changed."""
    look: Call | None = None
    """None for an echo that names nothing which could be asked for."""
    there: str = "@"
    """JMESPath, as a template: what is in the answer to `look` if the thing is there."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Templates, or after `=` JMESPath in what is there; `a.b` is the part `b` of input `a`."""
    end: tuple[Call, ...] = ()
    """Its deletion; without any it goes with what it is a part of."""
    named: str | None = None
    """The input that gets a name where the program gives none."""
    tags: str | None = None
    """What EC2 calls the type in tags; `""` for other services' tags, None without tags."""
    echo: str | None = None
    """Why nothing is made: the request is checked by the API's description, `look` asked."""

    @property
    def inputs(self) -> frozenset[str]:
        more = set() if self.tags is None else {"tags"}
        return self.plain | self.other | more | {"region", MADE_UP}

    @property
    def replaces(self) -> frozenset[str]:
        if self.fixed is not None:
            return self.fixed | {"region"}
        later = {key for call in (*self.then, *self.change) if not call.each for key in call.of}
        return self.inputs - later - {"tags", MADE_UP}

    @property
    def volatile(self) -> frozenset[str]:
        return frozenset()

    def complete(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        key = self.named
        if key is None or key in new:
            return new
        kept = old.get(key) if key in (old.get(MADE_UP) or []) else None
        return {**new, key: kept or autoname(operation.name, seed), MADE_UP: [key]}

    def comparable(self, inputs: Properties) -> Properties:
        return {key: item for key, item in inputs.items() if key != MADE_UP}

    def shown(self, inputs: Properties, old: Properties) -> Properties:
        """What a preview tells: a part that only AWS knows is unknown, or as it was."""
        told = {key: item for key, item in inputs.items() if not key.startswith("__")}
        for whole, _, part in (key.partition(".") for key in self.outputs):
            if part and isinstance(inputs.get(whole), dict):
                before = old.get(whole)
                known = before.get(part, UNKNOWN) if isinstance(before, dict) else UNKNOWN
                told[whole] = {**told[whole], part: known}
        return told

    def create(self, store: Api, operation: Operation, inputs: Properties) -> State:
        values = {**inputs, "region": store.region}
        request = self._request(store, values)
        answer: dict[str, Any] = {}
        if self.echo is None:
            answer = store.call(self.make.method, **request)
        else:
            store.check(self.make.method, request)
        identity = _told(self.identity, values, answer)
        if not identity:
            raise ProviderError(f"{operation.type}: {self.make.method} answered with no id")
        values |= {"id": identity, "answer": answer}
        try:
            if self.tags and inputs.get("tags") and "TagSpecifications" not in request:
                self._tag(store, replace(operation, id=identity), {}, inputs["tags"])
            self._calls(store, self.then, values, inputs.keys())
            outputs = self._outputs(store, values)
        except ProviderError as error:
            state = State(id=identity, inputs=inputs, outputs=self.shown(inputs, inputs))
            raise PartialFailure(state, [str(error)]) from None
        if outputs is None:
            asked = self.look.method if self.look else self.make.method
            raise ProviderError(f"{operation.type} {identity}: {asked} has it not")
        return State(id=identity, inputs=inputs, outputs=outputs)

    def read(self, store: Api, identity: str, inputs: Properties) -> State | None:
        """Whether it is there; how it is set is not compared."""
        if not inputs:
            raise Refused(f"the lab's stand-in does not import by {self.make.method}")
        values = {**inputs, "region": store.region, "id": identity}
        outputs = self._outputs(store, values)
        return None if outputs is None else State(id=identity, inputs=inputs, outputs=outputs)

    def update(
        self, store: Api, operation: Operation, old: Properties, inputs: Properties
    ) -> Properties:
        values = {**inputs, "region": store.region, "id": operation.id}
        changed = {key for key in self.inputs if inputs.get(key) != old.get(key)}
        if "tags" in changed:
            self._tag(store, operation, old.get("tags") or {}, inputs.get("tags") or {})
        if self.fixed is not None:
            store.call(self.make.method, **self._request(store, values))
        self._calls(store, (*self.then, *self.change), values, changed)
        outputs = self._outputs(store, values)
        if outputs is None:
            raise ProviderError(f"{operation.id} is gone; `pulumi refresh` first")
        return outputs

    def delete(self, store: Api, operation: Operation, outputs: Properties) -> None:
        values = {**outputs, "region": store.region, "id": operation.id}
        for call in self.end:
            try:
                store.call(call.method, **fill(call.parameters, values))
            except StoreError as error:
                if not _MISSING.search(error.code):
                    raise

    def _request(self, store: Api, values: Values) -> dict[str, Any]:
        given = {key: values[key] for key in self.plain if values.get(key) is not None}
        tags = values.get("tags")
        if tags and self.tags == "":
            given["tags"] = tags
        shape = store.shape(self.make.method)
        request = shaped(given, shape, self.make.method)
        if tags and self.tags and "TagSpecifications" in shape.members:
            listed = [{"ResourceType": self.tags, "Tags": tag_list(tags)}]
            request["TagSpecifications"] = listed
        return request | fill(self.make.parameters, values)

    def _calls(self, store: Api, calls: Iterable[Call], values: Values, of: Set[str]) -> None:
        for call in calls:
            if call.of and not call.of & of:
                continue
            for element in values[call.each] if call.each else [{}]:
                request = fill(call.parameters, {**values, **element})
                if self.echo is None:
                    store.call(call.method, **request)
                else:
                    store.check(call.method, request)

    def _outputs(self, store: Api, values: Values) -> Properties | None:
        """What is known of it; None if it is not there."""
        try:
            answer = (
                store.call(self.look.method, **fill(self.look.parameters, values))
                if self.look
                else {}
            )
        except StoreError as error:
            if _MISSING.search(error.code):
                return None
            raise
        there = jmespath.search(fill(self.there, values), answer)
        if there is None:
            return None
        told = {key: item for key, item in values.items() if key in self.inputs - {MADE_UP}}
        if self.tags is not None:
            told["tagsAll"] = values.get("tags") or {}
        for key, template in self.outputs.items():
            whole, _, part = key.partition(".")
            found = _told(template, values, there)
            told[whole] = {**(told.get(whole) or {}), part: found} if part else found
        return told

    def _tag(self, store: Api, operation: Operation, old: Properties, new: Properties) -> None:
        if not self.tags:
            raise Refused(f"the lab's stand-in does not change the tags of {operation.type}")
        gone = [{"Key": key} for key in sorted(old.keys() - new.keys())]
        if gone:
            store.call("delete_tags", Resources=[operation.id], Tags=gone)
        store.call("create_tags", Resources=[operation.id], Tags=tag_list(new))


def _told(template: Any, values: Values, answer: Any) -> Any:  # noqa: ANN401 - JSON-like data
    if isinstance(template, str) and template.startswith("="):
        return jmespath.search(fill(template[1:], values), answer)
    return fill(template, values)
