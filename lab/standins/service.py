"""A `Provider` as the engine's gRPC service: requests to Python values, exceptions to statuses."""

import functools
import threading
import traceback
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from lab.standins import wire
from lab.standins.difference import Change
from lab.standins.engine import EngineLog, Severity
from lab.standins.provider import Diff, Invalid, Operation, PartialFailure, Provider, ProviderError
from lab.standins.values import Value

_KINDS = {
    Change("add"): provider_pb2.PropertyDiff.ADD,
    Change("add", replace=True): provider_pb2.PropertyDiff.ADD_REPLACE,
    Change("delete"): provider_pb2.PropertyDiff.DELETE,
    Change("delete", replace=True): provider_pb2.PropertyDiff.DELETE_REPLACE,
    Change("update"): provider_pb2.PropertyDiff.UPDATE,
    Change("update", replace=True): provider_pb2.PropertyDiff.UPDATE_REPLACE,
}

_Resource = (
    provider_pb2.CheckRequest
    | provider_pb2.DiffRequest
    | provider_pb2.CreateRequest
    | provider_pb2.ReadRequest
    | provider_pb2.UpdateRequest
    | provider_pb2.DeleteRequest
)
_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_Handler = Callable[["Service", _Request, grpc.ServicerContext], _Response]


class _Status(namedtuple("_Status", "code details trailing_metadata"), grpc.Status):
    """What grpc asks of a status; it offers no class to make one."""


def _answering(method: Callable[["Service", _Request], _Response]) -> _Handler:
    """Turns what a provider raises into the status and the message that the engine shows."""

    @functools.wraps(method)
    def answer(self: "Service", request: _Request, context: grpc.ServicerContext) -> _Response:
        try:
            return method(self, request)
        except PartialFailure as failure:
            context.abort_with_status(_partial(failure))
        except (ProviderError, wire.WireError) as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            self.log("".join(traceback.format_exception(error)), "debug")
            where = f"the lab's stand-in for {self.provider.name} failed in {answer.__name__}"
            message = f"{where}: {type(error).__name__}: {error}"
            context.abort(grpc.StatusCode.INTERNAL, message)

    return answer


class Service(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one provider; `engine` is None when no engine listens."""

    def __init__(self, provider: Provider, engine: EngineLog | None) -> None:
        self.provider = provider
        self._engine = engine
        self._cancelled = threading.Event()

    def log(self, message: str, severity: Severity = "info", urn: str = "") -> None:
        if self._engine:
            self._engine.log(message, severity, urn)

    def status(self, message: str, urn: str) -> None:
        if self._engine:
            self._engine.status(message, urn)

    @_answering
    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest
    ) -> provider_pb2.ProviderHandshakeResponse:
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True)

    @_answering
    def Attach(self, request: plugin_pb2.PluginAttach) -> empty_pb2.Empty:
        self._engine = EngineLog(request.address)
        return empty_pb2.Empty()

    @_answering
    def GetPluginInfo(self, request: empty_pb2.Empty) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    @_answering
    def Cancel(self, request: empty_pb2.Empty) -> empty_pb2.Empty:
        self._cancelled.set()
        return empty_pb2.Empty()

    @_answering
    def CheckConfig(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        return _checked(lambda: self.provider.check_config(wire.decode(request.news)))

    @_answering
    def DiffConfig(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        old = request.old_inputs if request.HasField("old_inputs") else request.olds
        return _difference(self.provider.diff_config(wire.decode(old), wire.decode(request.news)))

    @_answering
    def Configure(self, request: provider_pb2.ConfigureRequest) -> provider_pb2.ConfigureResponse:
        if self._engine:
            self._engine.announce(self.provider.name, f"pulumi-resource-{self.provider.name}")
        self.provider.configure(wire.decode(request.args))
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=True
        )

    @_answering
    def Check(self, request: provider_pb2.CheckRequest) -> provider_pb2.CheckResponse:
        old, new = wire.decode(request.olds), wire.decode(request.news)
        operation = self._operation(request)
        return _checked(lambda: self.provider.check(operation, old, new, request.randomSeed))

    @_answering
    def Diff(self, request: provider_pb2.DiffRequest) -> provider_pb2.DiffResponse:
        old_inputs, old = wire.decode(request.old_inputs), wire.decode(request.olds)
        new = wire.decode(request.news)
        return _difference(self.provider.diff(self._operation(request), old_inputs, old, new))

    @_answering
    def Create(self, request: provider_pb2.CreateRequest) -> provider_pb2.CreateResponse:
        state = self.provider.create(self._operation(request), wire.decode(request.properties))
        return provider_pb2.CreateResponse(id=state.id, properties=wire.encode(state.outputs))

    @_answering
    def Read(self, request: provider_pb2.ReadRequest) -> provider_pb2.ReadResponse:
        inputs, outputs = wire.decode(request.inputs), wire.decode(request.properties)
        state = self.provider.read(self._operation(request), inputs, outputs)
        if state is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=state.id, inputs=wire.encode(state.inputs), properties=wire.encode(state.outputs)
        )

    @_answering
    def Update(self, request: provider_pb2.UpdateRequest) -> provider_pb2.UpdateResponse:
        old_inputs, old = wire.decode(request.old_inputs), wire.decode(request.olds)
        inputs = wire.decode(request.news)
        outputs = self.provider.update(self._operation(request), old_inputs, old, inputs)
        return provider_pb2.UpdateResponse(properties=wire.encode(outputs))

    @_answering
    def Delete(self, request: provider_pb2.DeleteRequest) -> empty_pb2.Empty:
        inputs, outputs = wire.decode(request.old_inputs), wire.decode(request.properties)
        self.provider.delete(self._operation(request), inputs, outputs)
        return empty_pb2.Empty()

    @_answering
    def Invoke(self, request: provider_pb2.InvokeRequest) -> provider_pb2.InvokeResponse:
        try:
            result = self.provider.invoke(request.tok, wire.decode(request.args))
        except Invalid as error:
            return provider_pb2.InvokeResponse(failures=_failures(error))
        response = provider_pb2.InvokeResponse()
        getattr(response, "return").CopyFrom(wire.encode(result))
        return response

    @_answering
    def Construct(self, request: provider_pb2.ConstructRequest) -> provider_pb2.ConstructResponse:
        return self.provider.construct(request, self.log)

    def _operation(self, request: _Resource) -> Operation:
        # urn:pulumi:STACK::PROJECT::PARENT_TYPE$TYPE::NAME
        _, _, types, name = request.urn.split("::", 3)
        return Operation(
            urn=request.urn,
            type=types.rsplit("$", 1)[-1],
            name=name,
            id=getattr(request, "id", ""),
            preview=getattr(request, "preview", False),
            timeout=getattr(request, "timeout", 0) or None,
            cancelled=self._cancelled,
            log=lambda message, severity: self.log(message, severity, request.urn),
            status=lambda message: self.status(message, request.urn),
        )


def _checked(check: Callable[[], Mapping[str, Value]]) -> provider_pb2.CheckResponse:
    try:
        return provider_pb2.CheckResponse(inputs=wire.encode(check()))
    except Invalid as error:
        # The engine expects inputs even with failures.
        return provider_pb2.CheckResponse(inputs=struct_pb2.Struct(), failures=_failures(error))


def _failures(error: Invalid) -> list[provider_pb2.CheckFailure]:
    return [
        provider_pb2.CheckFailure(property=key, reason=why) for key, why in error.failures.items()
    ]


def _difference(diff: Diff) -> provider_pb2.DiffResponse:
    changed, none = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
    return provider_pb2.DiffResponse(
        changes=changed if diff.changes else none,
        diffs=list(diff.changes),
        replaces=[path for path, change in diff.changes.items() if change.replace],
        deleteBeforeReplace=diff.delete_before_replace,
        hasDetailedDiff=True,
        detailedDiff={
            path: provider_pb2.PropertyDiff(kind=_KINDS[change], inputDiff=True)
            for path, change in diff.changes.items()
        },
    )


def _partial(failure: PartialFailure) -> grpc.Status:
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=failure.state.id,
            inputs=wire.encode(failure.state.inputs),
            properties=wire.encode(failure.state.outputs),
            reasons=failure.reasons,
        )
    )
    code, number = grpc.StatusCode.UNKNOWN, 2
    status = status_pb2.Status(code=number, message=str(failure), details=[detail])
    return _Status(code, str(failure), (("grpc-status-details-bin", status.SerializeToString()),))
