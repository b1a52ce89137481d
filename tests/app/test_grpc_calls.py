"""gRPC's edge: bounds, deadlines, health, reflection, and a stop that nobody notices."""

import socket
import threading
import time
from typing import Any

import grpc
import pytest
from conftest import sample
from grpc_harness import BOUNDS, Code, Message, Running, details, refusal, status, typed

from app.serving import grpc_infer, grpc_wire, protos

DATA, HEADERS, RESET, GOAWAY = 0, 1, 3, 7
INFER = f"/{grpc_infer.SERVICE}/ModelInfer"


class Wire:
    """A client of HTTP/2 that does what no library would."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + self.frame(4, 0, 0))

    @staticmethod
    def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
        length = len(payload).to_bytes(3, "big")
        return length + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload

    @staticmethod
    def headers(content_type: str = "application/grpc", timeout: str = "9S") -> bytes:
        """A header block of literals alone, which needs no table."""
        given = {
            ":method": "POST", ":scheme": "http", ":path": INFER, ":authority": "x",
            "te": "trailers", "content-type": content_type, "grpc-timeout": timeout,
        }  # fmt: skip
        parts = [part.encode() for pair in given.items() for part in pair]
        encoded = [bytes((len(part),)) + part for part in parts]
        pairs = zip(encoded[::2], encoded[1::2], strict=True)
        return b"".join(b"\0" + name + value for name, value in pairs)

    def send(self, *frames: bytes) -> None:
        self._socket.sendall(b"".join(frames))

    def kinds(self) -> list[int]:
        """The kinds of all frames that come before the first that ends a call or the connection."""
        found: list[int] = []
        with self._socket.makefile("rb") as file:
            while head := file.read(9):
                found.append(head[3])
                file.read(int.from_bytes(head[:3], "big"))
                if head[3] in (3, 7) or (head[3] in (0, 1) and head[4] & 1):
                    break
        return found


def test_a_message_that_is_too_large_is_refused_and_others_are_served(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    error = refusal(lambda: running.infer(bytes(BOUNDS.message_bytes + 1)))
    assert error.code() == Code.RESOURCE_EXHAUSTED
    assert details(error)["google.rpc.ErrorInfo"].reason == "too_large"
    assert running.infer(typed(rows)).outputs


def test_compressed_messages_are_not_accepted(running: Running) -> None:
    error = refusal(lambda: running.infer(bytes(1000), compression=grpc.Compression.Gzip))
    assert error.code() == Code.UNIMPLEMENTED


def test_an_unknown_method_is_unimplemented(running: Running) -> None:
    error = refusal(lambda: running.call("/inference.GRPCInferenceService/ModelStream", b""))
    assert error.code() == Code.UNIMPLEMENTED


def test_more_requests_than_may_wait_are_shed(running: Running, rows: list[dict[str, Any]]) -> None:
    method = running.channel.unary_unary(f"/{grpc_infer.SERVICE}/ModelInfer")
    body = typed(rows[:1]).SerializeToString()
    running.infer(body)
    # All requests arrive while the loop looks elsewhere.
    running.loop.call_soon_threadsafe(time.sleep, 0.5)
    pending = [method.future(body) for _ in range(30)]
    codes = [future.code() for future in pending]
    assert set(codes) == {Code.OK, Code.RESOURCE_EXHAUSTED}
    assert running.infer(body).outputs, "it recovers at once"
    assert sample(running.service, "inference_error_total", reason="shed") == codes.count(
        Code.RESOURCE_EXHAUSTED
    )


def test_a_call_whose_deadline_is_over_is_not_scored(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    body = grpc_wire.frame(typed(rows[:1]).SerializeToString())
    wire = Wire(running.port)
    # No library sends such a call: it would give up itself.
    wire.send(wire.frame(HEADERS, 4, 1, wire.headers(timeout="1n")), wire.frame(DATA, 1, 1, body))
    assert wire.kinds()[-1] == HEADERS, "trailers"
    assert sample(running.service, "inference_error_total", reason="deadline") == 1
    assert sample(running.service, "prediction_latency_seconds_count") == 0


def _health(running: Running, name: str = "") -> Message:
    request = protos.message("grpc.health.v1.HealthCheckRequest")(service=name)
    answer = running.call("/grpc.health.v1.Health/Check", request.SerializeToString())
    return protos.message("grpc.health.v1.HealthCheckResponse").FromString(answer).status


def test_health_follows_the_drain(running: Running, rows: list[dict[str, Any]]) -> None:
    watch = running.channel.unary_stream("/grpc.health.v1.Health/Watch")(b"", timeout=10)
    assert _health(running) == _health(running, grpc_infer.SERVICE) == 1
    assert next(watch) == b"\x08\x01"
    assert refusal(lambda: _health(running, "nothing")).code() == Code.NOT_FOUND
    running.service.draining = True
    assert _health(running) == 2
    assert next(watch) == b"\x08\x02"
    with pytest.raises(StopIteration):
        next(watch)
    assert running.infer(typed(rows)).outputs, "what is on its way is still answered"


def test_streams_are_limited(running: Running) -> None:
    watch = running.channel.unary_stream("/grpc.health.v1.Health/Watch")
    streams = [watch(b"", timeout=10) for _ in range(BOUNDS.streams)]
    for stream in streams:
        next(stream)
    error = refusal(lambda: next(watch(b"", timeout=10)))
    assert error.code() == Code.RESOURCE_EXHAUSTED
    streams[0].cancel()
    time.sleep(0.1)
    assert next(watch(b"", timeout=10)), "a place is free again"


@pytest.mark.parametrize("package", ["grpc.reflection.v1", "grpc.reflection.v1alpha"])
def test_reflection_gives_the_services_and_their_files(running: Running, package: str) -> None:
    question = protos.message(f"{package}.ServerReflectionRequest")
    answer = protos.message(f"{package}.ServerReflectionResponse")
    questions = [
        question(list_services=""),
        question(file_containing_symbol=grpc_infer.SERVICE),
        question(file_containing_symbol="google.rpc.Status"),
        question(file_containing_symbol=f"{grpc_infer.SERVICE}.ModelInfer"),
        question(file_by_filename="nothing.proto"),
    ]
    method = running.channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo")
    asked = iter([found.SerializeToString() for found in questions])
    services, symbol, imports, member, nothing = map(answer.FromString, method(asked, timeout=10))
    names = {service.name for service in services.list_services_response.service}
    assert {grpc_infer.SERVICE, "grpc.health.v1.Health", f"{package}.ServerReflection"} <= names
    assert list(symbol.file_descriptor_response.file_descriptor_proto) == [
        protos.FILES["oip.proto"]
    ]
    assert len(imports.file_descriptor_response.file_descriptor_proto) == 2
    assert member.file_descriptor_response == symbol.file_descriptor_response
    assert nothing.error_response.error_code == Code.NOT_FOUND.value[0]


def test_stopping_lets_a_running_client_see_nothing_but_unavailable(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    body = typed(rows[:1]).SerializeToString()
    codes: list[Code] = []
    ended = threading.Event()

    def client() -> None:
        while not ended.is_set():
            codes.append(status(lambda: running.infer(body, timeout=2)))
            if codes[-1] is not Code.OK:
                ended.set()

    thread = threading.Thread(target=client)
    thread.start()
    while len(codes) < 20:
        time.sleep(0.01)
    running.do(running.server.stop())
    thread.join(10)
    assert set(codes) == {Code.OK, Code.UNAVAILABLE}
    assert codes.count(Code.UNAVAILABLE) == 1


def test_a_call_that_trickles_in_is_ended_and_others_are_served(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    wire = Wire(running.port)
    wire.send(wire.frame(HEADERS, 4, 1, wire.headers()), wire.frame(DATA, 0, 1, b"\0"))
    begun = time.monotonic()
    while time.monotonic() < begun + BOUNDS.receive_seconds + 0.3:
        wire.send(wire.frame(DATA, 0, 1, b"\0"))
        time.sleep(0.1)
    assert running.infer(typed(rows)).outputs
    assert wire.kinds()[-1] == HEADERS, "trailers"
    assert sample(running.service, "inference_error_total", reason="timeout") == 1


def test_calls_that_find_no_room_for_their_bodies_are_shed_and_what_they_held_is_free_again(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    bodies = running.service.bodies
    bodies.most = 1000
    wire = Wire(running.port)
    for stream in (1, 3):
        wire.send(wire.frame(HEADERS, 4, stream, wire.headers()))
        wire.send(wire.frame(DATA, 0, stream, bytes((8 << 10) + 600)))
        time.sleep(0.1)
    assert bodies.taken == 600
    assert sample(running.service, "inference_error_total", reason="shed") == 1
    assert running.infer(typed(rows[:1])).outputs, "few rows hold nothing"
    wire.send(wire.frame(RESET, 0, 1, bytes(4)))
    time.sleep(0.2)
    assert bodies.taken == 0


def test_a_call_that_sends_nothing_is_ended(running: Running, rows: list[dict[str, Any]]) -> None:
    wire = Wire(running.port)
    wire.send(wire.frame(HEADERS, 4, 1, wire.headers()))
    assert running.infer(typed(rows)).outputs
    begun = time.monotonic()
    assert wire.kinds()[-1] == RESET
    assert time.monotonic() - begun < 4


def test_a_client_that_resets_its_calls_without_end_loses_its_connection_alone(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    wire = Wire(running.port)
    calls = [
        wire.frame(HEADERS, 4, stream, wire.headers()) + wire.frame(RESET, 0, stream, bytes(4))
        for stream in range(1, 4000, 2)
    ]
    wire.send(*calls[:1000])
    assert wire.kinds()[-1] == GOAWAY
    assert running.infer(typed(rows)).outputs


def test_what_is_no_grpc_is_told_so(running: Running, rows: list[dict[str, Any]]) -> None:
    wire = Wire(running.port)
    wire.send(wire.frame(HEADERS, 5, 1, wire.headers("application/json")))
    assert wire.kinds()[-2:] == [HEADERS, DATA]
    plain = socket.create_connection(("127.0.0.1", running.port), timeout=5)
    plain.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert b"HTTP/1.1 200" not in plain.recv(1000)
    assert running.infer(typed(rows)).outputs


def test_more_connections_than_are_kept_harm_none_that_is_there(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    assert running.infer(typed(rows)).outputs
    crowd = [Wire(running.port) for _ in range(600)]
    assert running.infer(typed(rows)).outputs
    assert len(crowd) == 600
