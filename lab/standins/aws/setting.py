"""A setting of a bucket that is a resource of its own: one way to handle all of them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lab.standins.aws.shapes import project
from lab.standins.aws.store import Store, StoreError
from lab.standins.provider import Invalid, Operation, Properties, ProviderError, State
from lab.standins.values import Secret

_PLACE: Final = frozenset({"bucket", "expectedBucketOwner", "region"})


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting: its calls as boto3 names them, and how properties and messages correspond."""

    put: str
    get: str
    remove: str | None = None
    """None: S3 cannot remove the setting; `off` is put instead."""
    off: Mapping[str, Any] = field(default_factory=dict)
    own: frozenset[str]
    """The inputs beside the bucket's name, its owner and the region."""
    request: Callable[[Properties], dict[str, Any]]
    properties: Callable[[dict[str, Any]], Properties]
    """Reads the answer to `get`; empty if the bucket has no such setting."""
    absent: frozenset[str] = frozenset()
    """S3's codes for "there is no such setting", or "it stays"."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: frozenset[str] = frozenset()
    volatile: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    """What the emulator takes and never reports, at whatever depth."""

    @property
    def inputs(self) -> frozenset[str]:
        return self.own | _PLACE

    @property
    def replaces(self) -> frozenset[str]:
        return self.fixed | _PLACE

    def complete(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        if "bucket" not in new:
            raise Invalid({"bucket": "bucket is missing: the name of the bucket"})
        return {**new, **({"policy": _text(new["policy"])} if "policy" in new else {})}

    def comparable(self, inputs: Properties) -> Properties:
        complete = {**self.defaults, **inputs}
        return (
            complete | {"policy": _canonical(inputs["policy"])} if "policy" in inputs else complete
        )

    def create(self, store: Store, operation: Operation, inputs: Properties) -> State:
        place = [inputs[key] for key in ("bucket", "expectedBucketOwner") if inputs.get(key)]
        identity = ",".join(place)
        return State(id=identity, inputs=inputs, outputs=self._apply(store, identity, inputs))

    def read(self, store: Store, identity: str, inputs: Properties) -> State | None:
        seen = self._seen(store, identity)
        if not seen:
            return None
        bucket, _, owner = identity.partition(",")
        place = {"bucket": bucket} | ({"expectedBucketOwner": owner} if owner else {})
        if "policy" in inputs and _canonical(inputs["policy"]) == _canonical(seen["policy"]):
            seen["policy"] = inputs["policy"]
        outputs = {**self.defaults, **inputs, **place, **seen, "region": store.region}
        unseen = {key: inputs[key] for key in inputs.keys() & {"region", "skipDestroy"}}
        told = project(place | seen, inputs, self.forgotten) if inputs else place | seen
        declared = unseen | told if inputs else told
        return State(id=identity, inputs=declared, outputs=outputs)

    def update(
        self, store: Store, operation: Operation, old: Properties, inputs: Properties
    ) -> Properties:
        return self._apply(store, operation.id, inputs)

    def delete(self, store: Store, operation: Operation, outputs: Properties) -> None:
        if outputs.get("skipDestroy"):
            return
        try:
            if self.remove:
                store.call(self.remove, **_where(operation.id))
            else:
                store.call(self.put, **_where(operation.id), **self.off)
        except StoreError as error:
            if error.code not in self.absent | {"NoSuchBucket"}:
                raise

    def _apply(self, store: Store, identity: str, inputs: Properties) -> Properties:
        store.call(self.put, **_where(identity), **self.request({**self.defaults, **inputs}))
        state = self.read(store, identity, inputs)
        if state is None:
            raise ProviderError(
                f"the endpoint {store.endpoint} accepted {self.put} for {identity} but reports "
                "no such setting: it does not implement it"
            )
        return state.outputs

    def _seen(self, store: Store, identity: str) -> Properties:
        try:
            return self.properties(store.call(self.get, **_where(identity)))
        except StoreError as error:
            if error.code in self.absent | {"NoSuchBucket"}:
                return {}
            raise


def _where(identity: str) -> dict[str, str]:
    bucket, _, owner = identity.partition(",")
    return {"Bucket": bucket} | ({"ExpectedBucketOwner": owner} if owner else {})


def _text(policy: Any) -> Any:  # noqa: ANN401 - a text, a document, or either of them secret
    match policy:
        case Secret(inner):
            return Secret(_text(inner))
        case dict():
            return json.dumps(policy)
    return policy


def _canonical(policy: Any) -> Any:  # noqa: ANN401 - as above, or unknown
    if isinstance(policy, Secret):
        return _canonical(policy.value)
    try:
        return json.dumps(json.loads(policy), sort_keys=True)
    except (TypeError, ValueError):
        return policy
