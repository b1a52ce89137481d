"""The provider: one Kubernetes object per resource, and the yaml/v2 components."""

import importlib.metadata

from pulumi.runtime.proto import provider_pb2

from lab.standins.difference import Change, differences
from lab.standins.kubernetes import (
    apply,
    awaiting,
    diffing,
    kinds,
    kubeconfig,
    naming,
    objects,
    yaml_v2,
)
from lab.standins.kubernetes.awaiting import NotReady
from lab.standins.kubernetes.client import ApiError, Client, NoSuchKind, Object, Unreachable
from lab.standins.kubernetes.observing import imported, observed
from lab.standins.kubernetes.settings import Settings, settings
from lab.standins.provider import (
    Diff,
    Log,
    Operation,
    PartialFailure,
    Properties,
    Provider,
    ProviderError,
    State,
)
from lab.standins.values import UNKNOWN, has_unknown, unwrap

_IDENTIFIER = "clusterIdentifier"
_REPLACE_PROVIDER = ("kubeconfig", "context", "cluster")


class KubernetesProvider(Provider):
    """Objects of any kind that the API server has, applied on the server."""

    name = "kubernetes"
    # The SDK's: children of components must find the same default provider.
    version = importlib.metadata.version("pulumi-kubernetes")

    _settings: Settings
    _client: Client | None = None
    _unreachable = "no kubeconfig"
    _silent = False

    def diff_config(self, old: Properties, new: Properties) -> Diff:
        """Another cluster, or one that is not known yet, replaces everything in the old one."""
        changes = differences(old, new)
        if identified := new.get(_IDENTIFIER):
            # By which a cluster is the same whatever else of the provider changes.
            other = identified != old.get(_IDENTIFIER)
            changes = {k: Change(c.kind, other and k == _IDENTIFIER) for k, c in changes.items()}
            return Diff(changes=changes)
        if any(new.get(key) is UNKNOWN for key in _REPLACE_PROVIDER) or kubeconfig.moved(
            unwrap(old), unwrap(new)
        ):
            changes = {
                path: Change(change.kind, path in _REPLACE_PROVIDER)
                for path, change in changes.items()
            }
        return Diff(changes=changes)

    def configure(self, args: Properties) -> None:
        self._settings = settings(args)
        try:
            connection = kubeconfig.load(self._settings.kubeconfig, self._settings.context)
        except ProviderError as error:
            # A preview goes without a cluster; what needs one says why there is none.
            self._unreachable = f"configured Kubernetes cluster is unreachable: {error}"
        else:
            self._client = Client(connection)

    def check(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        kinds.refuse(operation.type)
        inputs = naming.named(operation, old, objects.declared(new), seed)
        return objects.marked(self._placed(inputs), new)

    def diff(
        self, operation: Operation, old_inputs: Properties, old: Properties, new: Properties
    ) -> Diff:
        found = diffing.difference(
            old_inputs,
            new,
            mutable_config_maps=self._settings.mutable_config_maps,
            mutable_secrets=self._settings.mutable_secrets,
        )
        if self._client and awaiting.is_unready_job(objects.manifest(new), self._client):
            return diffing.replacement(found, old_inputs, new)
        return found

    def create(self, operation: Operation, inputs: Properties) -> State:
        manifest = objects.manifest(inputs)
        if operation.preview:
            return State(
                id="", inputs=inputs, outputs=self._created_dry(operation, manifest, inputs)
            )
        client = self._cluster()
        manager = naming.manager_of(operation, inputs, None)
        live = apply.create(operation, manifest, manager, client, upsert=self._settings.upsert)
        identity = objects.identity(live)
        failure = (
            f'resource "{operation.urn}" was successfully created, but the Kubernetes API server '
            "reported that it failed to fully initialize or become live"
        )
        outputs = self._waited(operation, inputs, live, manager, failure)
        return State(id=identity, inputs=inputs, outputs=outputs)

    def update(
        self, operation: Operation, old_inputs: Properties, old: Properties, inputs: Properties
    ) -> Properties:
        manifest = objects.manifest(inputs)
        manager = naming.manager_of(operation, inputs, unwrap(old.get(objects.MANAGER)))
        force = self._settings.patch_force or apply.forced(manifest)
        if operation.preview and (has_unknown(inputs) or not self._knows(operation, manifest)):
            return inputs
        client = self._cluster()
        live = apply.update(manifest, manager, client, force=force, dry_run=operation.preview)
        if operation.preview:
            return objects.state(inputs, live, manager)
        failure = (
            f'the Kubernetes API server reported that "{objects.identity(live)}" failed to fully '
            "initialize or become live"
        )
        return self._waited(operation, inputs, live, manager, failure)

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        kinds.refuse(operation.type)
        client = self._cluster()
        namespace, name = objects.parsed(operation.id)
        group_version, kind = kinds.of(operation.type)
        target = {
            "apiVersion": unwrap(inputs.get("apiVersion")) or group_version,
            "kind": unwrap(inputs.get("kind")) or kind,
            "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        }
        try:
            live = client.get(target)
        except NoSuchKind:
            return None
        except ApiError as error:
            if error.missing:
                return None
            raise
        manager = naming.manager_of(operation, inputs, unwrap(outputs.get(objects.MANAGER)))
        seen = observed(objects.manifest(inputs), live) if inputs else imported(live)
        now = objects.marked(objects.properties(seen), inputs)
        state = State(id=operation.id, inputs=now, outputs=objects.state(now, live, manager))
        try:
            awaiting.readable(seen, live, client)
        except NotReady as error:
            raise PartialFailure(state, error.reasons) from error
        return state

    def delete(self, operation: Operation, inputs: Properties, outputs: Properties) -> None:
        live = objects.live_of(outputs)
        said = objects.manifest(inputs)
        try:
            client = self._cluster()
            if apply.delete(said, live, client):
                awaiting.until_gone(operation, said, live, client)
        except Unreachable as error:
            if not self._settings.delete_unreachable:
                raise ProviderError(
                    f"{error}. If the cluster was deleted, you can remove this resource from "
                    "Pulumi state by rerunning the operation with the environment variable "
                    'PULUMI_K8S_DELETE_UNREACHABLE set to "true"'
                ) from error
            operation.log(f"{error}; it is removed from Pulumi state only", "warning")

    def invoke(self, token: str, args: Properties) -> Properties:
        raise kinds.refused(token)

    def construct(
        self, request: provider_pb2.ConstructRequest, log: Log
    ) -> provider_pb2.ConstructResponse:
        return yaml_v2.construct(request, log, self._placed, self.version)

    def _cluster(self) -> Client:
        if self._client is None:
            raise Unreachable(self._unreachable)
        return self._client

    def _knows(self, operation: Operation, manifest: Object) -> bool:
        """Whether the cluster answers and has the kind; its silence is told once."""
        if self._silent:
            return False
        try:
            self._cluster().place(manifest["apiVersion"], manifest["kind"])
        except NoSuchKind:
            return False
        except Unreachable as error:
            self._silent = True
            operation.log(f"{error}; the preview shows what the program says", "warning")
            return False
        return True

    def _placed(self, inputs: Properties) -> Properties:
        """The inputs with the provider's namespace, if their kind lives in one and names none."""
        metadata = objects.metadata(inputs)
        if not metadata or metadata.get("namespace") or self._client is None:
            return inputs
        if not self._namespaced(str(inputs["apiVersion"]), str(inputs["kind"])):
            return inputs
        namespace = self._settings.namespace or self._client.connection.namespace
        return {**inputs, "metadata": {**inputs["metadata"], "namespace": namespace}}

    def _namespaced(self, api_version: str, kind: str) -> bool:
        if kinds.builtin(api_version):
            return not kinds.cluster_wide(kind)
        try:
            return self._cluster().place(api_version, kind).namespaced
        except (NoSuchKind, Unreachable):
            return True  # corrected by the server when it is created

    def _created_dry(
        self, operation: Operation, manifest: Object, inputs: Properties
    ) -> Properties:
        if has_unknown(inputs) or not self._knows(operation, manifest):
            return inputs
        live = apply.create_dry(manifest, self._cluster())
        if live is None:
            return inputs
        live.pop("status", None)
        return objects.state(inputs, live, naming.CREATOR)

    def _waited(
        self, operation: Operation, inputs: Properties, live: Object, manager: str, failure: str
    ) -> Properties:
        try:
            said = objects.manifest(inputs)
            live = awaiting.until_ready(operation, said, live, self._cluster())
        except NotReady as error:
            state = State(
                id=objects.identity(error.live),
                inputs=inputs,
                outputs=objects.state(inputs, error.live, manager),
            )
            raise PartialFailure(
                state, [f"{failure}: {error.reasons[0]}", *error.reasons[1:]]
            ) from error
        return objects.state(inputs, live, manager)
