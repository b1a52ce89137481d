"""The provider: which resources are covered, and what is the same for all of them."""

import base64
import threading
from collections.abc import Mapping, Sequence
from typing import Final

from lab.standins.aws import account, configuration, databases, eks, network, stage
from lab.standins.aws.bucket import Bucket
from lab.standins.aws.objects import Object
from lab.standins.aws.resource import Resource
from lab.standins.aws.row import Row
from lab.standins.aws.settings import SETTINGS
from lab.standins.aws.store import Api
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
ROWS: Final[Mapping[str, Row]] = {
    **network.ROWS,
    **account.ROWS,
    **databases.ROWS,
    **eks.ROWS,
}
"""What is made in an account that is emulated, and only there."""
Covered = Resource | Row
_LOGIN: Final = "aws:ecr/getAuthorizationToken:getAuthorizationToken"


class AwsProvider(Provider):
    """Covers S3 against any endpoint, and an account that is emulated."""

    name, version = "aws", "7.51.1"

    def __init__(self) -> None:
        self._configuration: configuration.Configuration | None = None
        self._services: dict[str, Api] = {}
        self._echoed: set[str] = set()
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
        new = self._tagged(resource, new)
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
            return State(id="", inputs=inputs, outputs=_shown(resource, inputs, inputs))
        self._say_echo(operation, resource)
        try:
            state = resource.create(self._connected(resource), operation, unwrap(inputs))
        except PartialFailure as failure:
            raise PartialFailure(_marked(failure.state, inputs), failure.reasons) from None
        return _marked(state, inputs)

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        resource = self._resource(operation)
        state = resource.read(self._connected(resource), operation.id, unwrap(inputs))
        return _marked(state, inputs) if state else None

    def update(
        self, operation: Operation, old_inputs: Properties, old: Properties, inputs: Properties
    ) -> Properties:
        resource = self._resource(operation)
        if operation.preview:
            kept = {key: item for key, item in old.items() if key not in resource.volatile}
            return kept | _shown(resource, inputs, old)
        outputs = resource.update(self._connected(resource), operation, unwrap(old), unwrap(inputs))
        return rewrap(outputs, inputs)

    def delete(self, operation: Operation, inputs: Properties, outputs: Properties) -> None:
        resource = self._resource(operation)
        resource.delete(self._connected(resource), operation, unwrap(outputs))

    def invoke(self, token: str, args: Properties) -> Properties:
        if token != _LOGIN or not stage.emulated():
            raise self._refused(token)
        asked = {"registryIds": [unwrap(args["registryId"])]} if args.get("registryId") else {}
        (given,) = self._service("ecr").call("get_authorization_token", **asked)[
            "authorizationData"
        ]
        user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
        return {
            "authorizationToken": given["authorizationToken"],
            "expiresAt": given["expiresAt"].isoformat(),
            "proxyEndpoint": given["proxyEndpoint"],
            "userName": user,
            "password": password,
            "id": self._configuration.region if self._configuration else "",
        }

    def _resource(self, operation: Operation) -> Covered:
        if operation.type in _RESOURCES:
            return _RESOURCES[operation.type]
        if operation.type in ROWS and stage.emulated():
            return ROWS[operation.type]
        more = " where AWS is none that `make rehearse` emulates" if operation.type in ROWS else ""
        raise Refused(
            f"{operation.type} is not covered by the lab's stand-in{more}; use the official plugin"
        )

    def _tagged(self, resource: Covered, new: Properties) -> Properties:
        """The inputs with the provider's own tags, as the official one has them in its state."""
        default = self._configuration.default_tags if self._configuration else {}
        given = new.get("tags") or {}
        if not default or "tags" not in resource.inputs or not isinstance(given, dict):
            return new
        return {**new, "tags": {**default, **given}}

    def _say_echo(self, operation: Operation, resource: Covered) -> None:
        if isinstance(resource, Row) and resource.echo and operation.type not in self._echoed:
            self._echoed.add(operation.type)
            operation.log(f"{operation.type} is an echo: {resource.echo}", "info")

    def _connected(self, resource: Covered) -> Api:
        return self._service(resource.service if isinstance(resource, Row) else "s3")

    def _service(self, name: str) -> Api:
        if self._configuration is None:
            raise ProviderError(
                "the configuration of the provider aws is not known yet, for it comes from a "
                "resource that does not exist yet; create that one first"
            )
        with self._lock:
            if name not in self._services:
                # boto3 takes longer to load than the rest of the plugin, and an update that
                # changes nothing never needs it.
                from lab.standins.aws.client import connect

                if self._configuration.accounts and not self._services:
                    _allowed(connect(self._configuration, "sts"), self._configuration.accounts)
                self._services[name] = connect(self._configuration, name)
            return self._services[name]


def _allowed(sts: Api, accounts: Sequence[str]) -> None:
    """Raises ProviderError for an account that the program does not name."""
    account = sts.call("get_caller_identity")["Account"]
    if account not in accounts:
        raise ProviderError(f"the account is {account}, allowed are {', '.join(accounts)}")


def _shown(resource: Covered, inputs: Properties, old: Properties) -> Properties:
    if isinstance(resource, Row):
        return resource.shown(inputs, old)
    return {key: item for key, item in inputs.items() if not key.startswith("__")}


def _marked(state: State, inputs: Properties) -> State:
    """The state, secret wherever the inputs are."""
    return State(
        id=state.id, inputs=rewrap(state.inputs, inputs), outputs=rewrap(state.outputs, inputs)
    )
