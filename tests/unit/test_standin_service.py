"""What the engine hears from a stand-in: results, refusals, partial failures and faults."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from lab.standins import wire
from lab.standins.difference import Change
from lab.standins.provider import (
    Diff,
    Invalid,
    Operation,
    PartialFailure,
    Properties,
    Provider,
    State,
)
from lab.standins.service import Service
from lab.standins.values import UNKNOWN, Secret

URN = "urn:pulumi:stack::project::a:b:Parent$trial:index:Thing::name"


class Trial(Provider):
    """Does what the inputs ask for, and remembers the operations."""

    name, version = "trial", "1.2.3"

    def __init__(self) -> None:
        self.seen: list[Operation] = []

    def check(
        self, operation: Operation, old: Properties, new: Properties, seed: bytes
    ) -> Properties:
        if "bad" in new:
            raise Invalid({"bad": "is not good"})
        return {**new, "seed": seed.decode()}

    def diff(
        self, operation: Operation, old_inputs: Properties, old: Properties, new: Properties
    ) -> Diff:
        changes = {"a": Change("update"), "b[0]": Change("delete", replace=True)}
        return Diff(changes=changes if new else {}, delete_before_replace=True)

    def create(self, operation: Operation, inputs: Properties) -> State:
        self.seen.append(operation)
        state = State(id="i", inputs=inputs, outputs={**inputs, "made": True})
        if "partial" in inputs:
            raise PartialFailure(state, ["first", "second"])
        if "fault" in inputs:
            raise KeyError("oops")
        if "wait" in inputs:
            operation.cancelled.wait(10)
        return state

    def read(self, operation: Operation, inputs: Properties, outputs: Properties) -> State | None:
        return State(id="i", inputs=inputs, outputs=outputs) if inputs else None


@pytest.fixture
def trial() -> Trial:
    return Trial()


@pytest.fixture
def engine(trial: Trial) -> Iterator[provider_pb2_grpc.ResourceProviderStub]:
    server = grpc.server(ThreadPoolExecutor(4))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Service(trial, None), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    # The engine's own client takes 16 MiB; Python's takes 8 KiB unless it is told.
    options = [("grpc.max_metadata_size", 16 << 20), ("grpc.absolute_max_metadata_size", 16 << 20)]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None).wait()


Engine = provider_pb2_grpc.ResourceProviderStub


def create(engine: Engine, **inputs: object) -> provider_pb2.CreateResponse:
    request = provider_pb2.CreateRequest(
        urn=URN, properties=wire.encode(inputs), preview=True, timeout=1.5
    )
    return engine.Create(request)


def test_an_operation_knows_its_resource(engine: Engine, trial: Trial) -> None:
    answer = create(engine, a=Secret(1), b=UNKNOWN)
    assert answer.id == "i"
    assert wire.decode(answer.properties) == {"a": Secret(1), "b": UNKNOWN, "made": True}
    (seen,) = trial.seen
    assert (seen.urn, seen.type, seen.name) == (URN, "trial:index:Thing", "name")
    assert (seen.preview, seen.timeout, seen.id) == (True, 1.5, "")


def test_secrets_and_references_are_asked_for(engine: Engine) -> None:
    answer = engine.Handshake(provider_pb2.ProviderHandshakeRequest())
    assert (answer.accept_secrets, answer.accept_resources, answer.accept_outputs) == (1, 1, 0)
    configured = engine.Configure(provider_pb2.ConfigureRequest())
    assert (configured.acceptSecrets, configured.supportsPreview) == (True, True)
    assert engine.GetPluginInfo(empty_pb2.Empty()).version == "1.2.3"


def test_checked_inputs_and_failures_come_back(engine: Engine) -> None:
    request = provider_pb2.CheckRequest(urn=URN, news=wire.encode({"a": 1}), randomSeed=b"s")
    assert wire.decode(engine.Check(request).inputs) == {"a": 1, "seed": "s"}
    request.news.CopyFrom(wire.encode({"bad": 1}))
    (failure,) = engine.Check(request).failures
    assert (failure.property, failure.reason) == ("bad", "is not good")


def test_a_difference_comes_back_in_detail(engine: Engine) -> None:
    request = provider_pb2.DiffRequest(urn=URN, news=wire.encode({"a": 1}))
    answer = engine.Diff(request)
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert (list(answer.replaces), answer.deleteBeforeReplace) == (["b[0]"], True)
    kinds = {path: each.kind for path, each in answer.detailedDiff.items()}
    expected = provider_pb2.PropertyDiff
    assert kinds == {"a": expected.UPDATE, "b[0]": expected.DELETE_REPLACE}
    request.news.Clear()
    assert engine.Diff(request).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_what_does_not_exist_reads_as_no_id(engine: Engine) -> None:
    request = provider_pb2.ReadRequest(urn=URN, id="i", inputs=wire.encode({"a": 1}))
    assert engine.Read(request).id == "i"
    request.inputs.Clear()
    assert engine.Read(request).id == ""


def test_a_partial_failure_carries_the_state_however_large_it_is(engine: Engine) -> None:
    text = "x" * 200_000
    with pytest.raises(grpc.RpcError) as caught:
        create(engine, partial=text)
    assert caught.value.details() == "first; second"


def test_a_partial_failure_carries_the_state_and_the_reasons(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        create(engine, partial=Secret("s"))
    trailing = caught.value.trailing_metadata()
    details = next(each.value for each in trailing if each.key == "grpc-status-details-bin")
    (packed,) = status_pb2.Status.FromString(details).details
    failed = provider_pb2.ErrorResourceInitFailed()
    assert packed.Unpack(failed)
    assert (failed.id, list(failed.reasons)) == ("i", ["first", "second"])
    assert wire.decode(failed.properties) == {"partial": Secret("s"), "made": True}
    assert wire.decode(failed.inputs) == {"partial": Secret("s")}


def test_what_is_not_covered_is_refused_by_name(engine: Engine) -> None:
    request = provider_pb2.UpdateRequest(urn=URN)
    with pytest.raises(grpc.RpcError) as caught:
        engine.Update(request)
    words = "the lab's stand-in for trial does not cover trial:index:Thing"
    assert caught.value.details() == words


def test_a_fault_of_the_stand_in_says_whose_it_is(engine: Engine) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        create(engine, fault=True)
    words = "the lab's stand-in for trial failed in Create: KeyError: 'oops'"
    assert caught.value.details() == words


def test_a_cancellation_reaches_operations_that_wait(engine: Engine, trial: Trial) -> None:
    request = provider_pb2.CreateRequest(urn=URN, properties=wire.encode({"wait": True}))
    waiting = engine.Create.future(request)
    engine.Cancel(empty_pb2.Empty())
    assert waiting.result(5).id == "i"
