"""The provider: which resources are covered, and what is the same for all of them."""

import threading
from collections.abc import Mapping
from typing import Final

from lab.standins.aws import configuration
from lab.standins.aws.bucket import Bucket
from lab.standins.aws.objects import Object
from lab.standins.aws.resource import Resource
from lab.standins.aws.settings import SETTINGS
from lab.standins.aws.store import Store
from lab.standins.difference import differences
from lab.standins.provider import (
    Diff,
    Invalid,
    Operation,
    PartialFailure,
    Properties,
    Provider,
    ProviderError,
    Refused,
    State,
)
from lab.standins.values import rewrap, unwrap

_RESOURCES: Final[Mapping[str, Resource]] = {
    "aws:s3/bucket:Bucket": Bucket(),
    "aws:s3/bucketObjectv2:BucketObjectv2": Object(),
    **SETTINGS,
}


class AwsProvider(Provider):
    """Covers S3: buckets, what is set on them, and objects."""

    name, version = "aws", "7.51.1"

    def __init__(self) -> None:
        self._configuration: configuration.Configuration | None = None
        self._store: Store | None = None
        self._lock = threading.Lock()

    def check_config(self, new: Properties) -> Properties:
        if failures := configuration.complaints(new):
            raise Invalid(failures)
        return new

    def configure(self, args: Properties) -> None:
        # On the first preview the endpoint may be unknown: then there is nothing to call either.
        self._configuration = configuration.parse(args)

    def check(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        resource = self._resource(operation)
        new = {key: value for key, value in new.items() if value is not None}
        if unknown := sorted(new.keys() - resource.inputs):
            raise Invalid(
                {
                    key: f"{key} of {operation.type} is not covered by the lab's stand-in; "
                    "use the official plugin"
                    for key in unknown
                }
            )
        region, known = unwrap(new.get("region")), self._configuration
        if isinstance(region, str) and known and region != known.region:
            raise Invalid({"region": f"region is {region}, but the provider's is {known.region}"})
        return resource.complete(operation, old, new, seed)

    def diff(
        self, operation: Operation, old_inputs: Properties, old: Properties, new: Properties
    ) -> Diff:
        resource = self._resource(operation)
        before, after = resource.comparable(old_inputs), resource.comparable(new)
        changes = differences(before, after, replace=resource.replaces)
        first = isinstance(resource, Bucket) and resource.keeps_name(old_inputs, new)
        return Diff(changes=changes, delete_before_replace=first)

    def create(self, operation: Operation, inputs: Properties) -> State:
        resource = self._resource(operation)
        if operation.preview:
            return State(id="", inputs=inputs, outputs=_shown(inputs))
        try:
            state = resource.create(self._connected(), operation, unwrap(inputs))
        except PartialFailure as failure:
            raise PartialFailure(_marked(failure.state, inputs), failure.reasons) from None
        return _marked(state, inputs)

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        resource = self._resource(operation)
        state = resource.read(self._connected(), operation.id, unwrap(inputs))
        return _marked(state, inputs) if state else None

    def update(
        self, operation: Operation, old_inputs: Properties, old: Properties, inputs: Properties
    ) -> Properties:
        resource = self._resource(operation)
        if operation.preview:
            kept = {key: item for key, item in old.items() if key not in resource.volatile}
            return kept | _shown(inputs)
        outputs = resource.update(self._connected(), operation, unwrap(old), unwrap(inputs))
        return rewrap(outputs, inputs)

    def delete(self, operation: Operation, inputs: Properties, outputs: Properties) -> None:
        self._resource(operation).delete(self._connected(), operation, unwrap(outputs))

    def _resource(self, operation: Operation) -> Resource:
        if operation.type not in _RESOURCES:
            raise Refused(
                f"{operation.type} is not covered by the lab's stand-in; use the official plugin"
            )
        return _RESOURCES[operation.type]

    def _connected(self) -> Store:
        if self._configuration is None:
            raise ProviderError(
                "the configuration of the provider aws is not known yet, for it comes from a "
                "resource that does not exist yet; create that one first"
            )
        with self._lock:
            if self._store is None:
                # boto3 takes longer to load than the rest of the plugin, and an update that
                # changes nothing never needs it.
                from lab.standins.aws.client import connect

                self._store = connect(self._configuration)
            return self._store


def _shown(inputs: Properties) -> Properties:
    return {key: item for key, item in inputs.items() if not key.startswith("__")}


def _marked(state: State, inputs: Properties) -> State:
    """The state, secret wherever the inputs are."""
    return State(
        id=state.id, inputs=rewrap(state.inputs, inputs), outputs=rewrap(state.outputs, inputs)
    )
