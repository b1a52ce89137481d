"""The components ConfigFile and ConfigGroup of yaml/v2: each object a child resource."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

from lab.standins import wire
from lab.standins.kubernetes import kinds, manifests, objects
from lab.standins.provider import Log, Properties, ProviderError
from lab.standins.values import UNKNOWN, Reference, Secret, Value, has_unknown

_COMPONENTS = ("kubernetes:yaml/v2:ConfigFile", "kubernetes:yaml/v2:ConfigGroup")
_PARALLEL = 32

Registered = resource_pb2.RegisterResourceResponse


def construct(
    request: provider_pb2.ConstructRequest,
    log: Log,
    placed: Callable[[Properties], Properties],
    version: str,
) -> provider_pb2.ConstructResponse:
    """Registers the component and its children; `placed` gives an object its namespace.

    Raises ProviderError if an object is none, or a child fails.
    """
    if request.type not in _COMPONENTS:
        raise kinds.refused(request.type)
    inputs = wire.decode(request.inputs)
    with grpc.insecure_channel(request.monitorEndpoint) as channel:
        monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
        component = monitor.RegisterResource(_component(request)).urn
        resources: Value = UNKNOWN
        if has_unknown(inputs):
            log(
                f"{request.type}:{request.name} -- Required input properties have unknown values. "
                "Preview is incomplete.",
                "warning",
            )
        else:
            phases = manifests.in_order(map(placed, _declared(inputs, request.name)))
            children = _Children(request, component, monitor, version, _prefix(inputs, request))
            resources = list(children.register(phases))
        outputs = wire.encode({"resources": resources})
        monitor.RegisterResourceOutputs(
            resource_pb2.RegisterResourceOutputsRequest(urn=component, outputs=outputs)
        )
    return provider_pb2.ConstructResponse(urn=component, state=outputs)


class _Children:
    def __init__(
        self,
        request: provider_pb2.ConstructRequest,
        component: str,
        monitor: resource_pb2_grpc.ResourceMonitorStub,
        version: str,
        prefix: str,
    ) -> None:
        self._request = request
        self._component = component
        self._monitor = monitor
        self._version = version
        self._prefix = prefix

    def register(self, phases: Iterable[list[Properties]]) -> Iterator[Reference]:
        """Each phase in parallel, after what it needs of the phases before."""
        made: dict[tuple[str, str], str] = {}
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for phase in phases:
                requests = [self._child(each, _needed(each, made)) for each in phase]
                answers = list(pool.map(self._register, requests))
                for each, answer in zip(phase, answers, strict=True):
                    made |= dict.fromkeys(_gives(each), answer.urn)
                    yield Reference(answer.urn, answer.id or UNKNOWN)

    def _register(self, request: resource_pb2.RegisterResourceRequest) -> Registered:
        answer = self._monitor.RegisterResource(request)
        if answer.result != resource_pb2.SUCCESS:
            raise ProviderError(f"{request.type} {request.name} failed")
        return answer

    def _child(
        self, properties: Properties, needed: Iterable[str]
    ) -> resource_pb2.RegisterResourceRequest:
        metadata = properties["metadata"]
        namespace = metadata.get("namespace")
        name = f"{namespace}/{metadata['name']}" if namespace else metadata["name"]
        inherited = [
            urn for given in self._request.inputDependencies.values() for urn in given.urns
        ]
        return resource_pb2.RegisterResourceRequest(
            type=_token(properties["apiVersion"], properties["kind"]),
            name=f"{self._prefix}:{name}" if self._prefix else name,
            parent=self._component,
            custom=True,
            object=wire.encode(properties),
            provider=self._request.providers.get("kubernetes", ""),
            version=self._version,
            dependencies=[*inherited, *needed],
            acceptSecrets=True,
            acceptResources=True,
            supportsPartialValues=True,
            supportsResultReporting=True,
        )


def _component(
    request: provider_pb2.ConstructRequest,
) -> resource_pb2.RegisterResourceRequest:
    return resource_pb2.RegisterResourceRequest(
        type=request.type,
        name=request.name,
        parent=request.parent,
        protect=request.protect if request.HasField("protect") else None,
        providers=dict(request.providers),
        dependencies=request.dependencies,
        aliases=request.aliases,
        aliasSpecs=True,
        acceptSecrets=True,
        acceptResources=True,
    )


def _prefix(inputs: Properties, request: provider_pb2.ConstructRequest) -> str:
    given = inputs.get("resourcePrefix")
    return request.name if given is None else str(given)


def _declared(inputs: Properties, name: str) -> Iterator[Properties]:
    """The objects of a component's inputs, as properties of resources."""
    skip = inputs.get("skipAwait") is True
    for value, secret in _sources(inputs, name):
        for each in manifests.expanded(value):
            properties = objects.marked(objects.properties(each), each)
            if secret:
                properties = _hidden(properties)
            yield _unawaited(properties) if skip else properties


def _sources(inputs: Properties, name: str) -> Iterator[tuple[Iterable[Properties], bool]]:
    """Lists of objects, and whether they come from a secret."""
    for key in ("file", "files", "yaml", "objs"):
        given = inputs.get(key)
        secret = isinstance(given, Secret)
        given = given.value if isinstance(given, Secret) else given
        if key == "objs":
            yield given or [], secret
            continue
        for text in given if isinstance(given, list) else [given] if given else []:
            source = f"{name}: yaml"
            found = manifests.parse(text, source) if key == "yaml" else manifests.read(text)
            yield list(found), secret


def _hidden(properties: Properties) -> Properties:
    shown = ("apiVersion", "kind", "metadata")
    return {
        key: item if key in shown or isinstance(item, Secret) else Secret(item)
        for key, item in properties.items()
    }


def _unawaited(properties: Properties) -> Properties:
    metadata = properties["metadata"]
    annotations = {**(metadata.get("annotations") or {}), "pulumi.com/skipAwait": "true"}
    return {**properties, "metadata": {**metadata, "annotations": annotations}}


def _token(api_version: str, kind: str) -> str:
    group_version = api_version if "/" in api_version else f"core/{api_version}"
    return f"kubernetes:{group_version}:{kind}"


def _gives(properties: Properties) -> Iterator[tuple[str, str]]:
    """What others may need of an object: the namespace, or the kind in its group."""
    if properties["kind"] == "Namespace":
        yield "namespace", properties["metadata"]["name"]
    if properties["kind"] == "CustomResourceDefinition":
        spec = properties["spec"]
        yield spec["group"], spec["names"]["kind"]


def _needed(properties: Properties, made: dict[tuple[str, str], str]) -> list[str]:
    group = properties["apiVersion"].rpartition("/")[0]
    keys = [
        ("namespace", properties["metadata"].get("namespace") or ""),
        (group, properties["kind"]),
    ]
    return [made[key] for key in keys if key in made]
