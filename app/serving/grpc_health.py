"""gRPC's standard services: health for probes and balancers, reflection for grpcurl."""

import time

from google.protobuf.message import DecodeError

from app.serving import protos
from app.serving.grpc_call import Method, Read, Stream, Write
from app.serving.grpc_infer import SERVICE
from app.serving.grpc_wire import Code
from app.serving.service import Rejected, Service

HEALTH = "grpc.health.v1.Health"
REFLECTIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")

_WATCH_SECONDS = 0.5
_IDLE_SECONDS = 10.0

_HealthRequest = protos.message("grpc.health.v1.HealthCheckRequest")
_HealthResponse = protos.message("grpc.health.v1.HealthCheckResponse")
_STATUSES = {
    status.name: _HealthResponse(status=status.number).SerializeToString()
    for status in _HealthResponse.ServingStatus.DESCRIPTOR.values
}


def methods(service: Service) -> dict[str, Method]:
    """Health's one-off check; as ready as REST says."""

    def check(body: bytes, _request_id: str) -> bytes:
        status = _status(service, body)
        if status == "SERVICE_UNKNOWN":
            text = f"the services are '' (all), {SERVICE} and {service.name}"
            raise Rejected(404, "model", text)
        return _STATUSES[status]

    return {f"/{HEALTH}/Check": Method(name="Check", answer=check)}


def streams(service: Service) -> dict[str, Stream]:
    """Health's watch, and reflection in both of its versions."""

    async def watch(read: Read, write: Write) -> None:
        asked = await read(_IDLE_SECONDS) or b""
        last = ""
        # Ends with the drain, so that no watcher keeps the server from leaving.
        while last != "NOT_SERVING" or not service.draining:
            status = _status(service, asked)
            if status != last:
                await write(_STATUSES[status])
                last = status
            begun = time.monotonic()
            try:
                while (left := begun + _WATCH_SECONDS - time.monotonic()) > 0:
                    await read(left)
            except TimeoutError:
                continue

    found: dict[str, Stream] = {f"/{HEALTH}/Watch": watch}
    for package in REFLECTIONS:
        found[f"/{package}.ServerReflection/ServerReflectionInfo"] = _reflect(package)
    return found


def _status(service: Service, body: bytes) -> str:
    try:
        name = _HealthRequest.FromString(body).service
    except DecodeError as error:
        raise Rejected(400, "protocol", "the request is no HealthCheckRequest") from error
    if name not in ("", SERVICE, service.name):
        return "SERVICE_UNKNOWN"
    return "SERVING" if service.ready else "NOT_SERVING"


def _reflect(package: str) -> Stream:
    request_class = protos.message(f"{package}.ServerReflectionRequest")
    response_class = protos.message(f"{package}.ServerReflectionResponse")

    async def answer(read: Read, write: Write) -> None:
        while (asked := await read(_IDLE_SECONDS)) is not None:
            try:
                request = request_class.FromString(asked)
            except DecodeError as error:
                text = "the request is no ServerReflectionRequest"
                raise Rejected(400, "protocol", text) from error
            response = response_class(valid_host=request.host, original_request=request)
            _fill(response, request)
            await write(response.SerializeToString())

    return answer


def _fill(response: protos.Message, request: protos.Message) -> None:
    """The answer to one question of reflection, whichever its version."""
    kind = request.WhichOneof("message_request")
    if kind == "list_services":
        names = [SERVICE, HEALTH, *(f"{package}.ServerReflection" for package in REFLECTIONS)]
        for name in names:
            response.list_services_response.service.add(name=name)
        return
    try:
        if kind == "file_by_filename":
            file = protos.POOL.FindFileByName(request.file_by_filename)
        elif kind == "file_containing_symbol":
            file = _file(request.file_containing_symbol)
        else:
            raise KeyError
    except KeyError:
        response.error_response.error_code = Code.NOT_FOUND
        response.error_response.error_message = "no such file, symbol or extension"
        return
    needed: dict[str, bytes] = {}
    pending = [file]
    while pending:
        found = pending.pop()
        if found.name not in needed:
            needed[found.name] = protos.FILES[found.name]
            pending += found.dependencies
    response.file_descriptor_response.file_descriptor_proto.extend(needed.values())


def _file(symbol: str) -> protos.Message:
    """The file that declares a symbol; raises KeyError for none."""
    try:
        return protos.POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        # A method or a field: the pool finds what it belongs to.
        return protos.POOL.FindFileContainingSymbol(symbol.rpartition(".")[0])
