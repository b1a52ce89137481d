"""gRPC: REST's answers and REST's refusals, to a real client over a real connection."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from conftest import MODEL, SCHEMA, sample
from grpc_harness import Code, Message, Request, Running, details, raw, refusal, status, typed
from hypothesis import given
from hypothesis import strategies as st

from app.serving import grpc_infer, inference, protos
from app.serving.metrics import Metrics
from app.serving.service import Rejected, Service

MALFORMED = {
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.RESOURCE_EXHAUSTED,
    Code.UNIMPLEMENTED,
}


def test_it_gives_the_scores_of_rest(running: Running, rows: list[dict[str, Any]]) -> None:
    expected = inference.score_rows(running.service, rows, "")
    answer = running.infer(typed(rows))
    (output,) = answer.outputs
    assert (output.name, output.datatype, list(output.shape)) == (
        "probability",
        "FP32",
        [len(rows)],
    )
    assert np.abs(np.array(output.contents.fp32_contents) - expected).max() <= 1e-6
    assert (answer.model_name, answer.model_version, answer.id) == (MODEL.name, "7", "seven")


def test_raw_contents_get_raw_contents_back(running: Running, rows: list[dict[str, Any]]) -> None:
    expected = inference.score_rows(running.service, rows, "")
    answer = running.infer(raw(rows))
    (content,) = answer.raw_output_contents
    assert np.abs(np.frombuffer(content, "<f4") - expected).max() <= 1e-6
    assert not answer.outputs[0].contents.fp32_contents


@pytest.mark.parametrize("count", [20, 22])
def test_raw_contents_must_be_one_for_each_input(
    running: Running, rows: list[dict[str, Any]], count: int
) -> None:
    request = raw(rows)
    contents = [*request.raw_input_contents, b""][:count]
    del request.raw_input_contents[:]
    request.raw_input_contents.extend(contents)
    error = refusal(lambda: running.infer(request))
    assert error.code() == Code.INVALID_ARGUMENT
    assert "raw_input_contents" in str(error.details())


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "INT8", "INT16", "INT32", "UINT8", "UINT64"])
def test_every_numeric_datatype_is_understood_raw(
    running: Running, rows: list[dict[str, Any]], datatype: str
) -> None:
    row = {**rows[0], "inq_last_12m": 3}
    request = raw([row])
    place = SCHEMA.names.index("inq_last_12m")
    request.inputs[place].datatype = datatype
    kind = datatype.lower().replace("fp", "float")
    request.raw_input_contents[place] = np.array(
        [3], kind.replace("Uint", "uint").lower()
    ).tobytes()
    expected = inference.score_rows(running.service, [row], "")
    content = running.infer(request).raw_output_contents[0]
    assert np.frombuffer(content, "<f4") == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("datatype", "field"),
    [("FP32", "fp32_contents"), ("INT8", "int_contents"), ("UINT16", "uint_contents"),
     ("UINT64", "uint64_contents")],
)  # fmt: skip
def test_every_numeric_datatype_is_understood_typed(
    running: Running, rows: list[dict[str, Any]], datatype: str, field: str
) -> None:
    row = {**rows[0], "inq_last_12m": 3}
    request = typed([row])
    tensor = request.inputs[SCHEMA.names.index("inq_last_12m")]
    tensor.datatype = datatype
    tensor.ClearField("contents")
    getattr(tensor.contents, field).append(3)
    expected = inference.score_rows(running.service, [row], "")
    assert running.infer(request).outputs[0].contents.fp32_contents == pytest.approx(expected)


def test_many_clients_at_once_each_get_their_own_scores(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    expected = inference.score_rows(running.service, rows, "").tolist()
    method = running.channel.unary_unary(f"/{grpc_infer.SERVICE}/ModelInfer")
    bodies = [typed([row]).SerializeToString() for row in rows]
    for _ in range(5):
        pending = [method.future(bodies[place]) for place in range(3)]
        for place, future in enumerate(pending):
            answer = protos.message("inference.ModelInferResponse").FromString(future.result(10))
            (score,) = answer.outputs[0].contents.fp32_contents
            assert score == pytest.approx(expected[place], abs=1e-6)


def test_what_the_schema_refuses_is_an_invalid_argument_with_rests_problems(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    wrong = [rows[0], {**rows[1], "int_rate": 1e9}]
    with pytest.raises(Rejected) as expected:
        inference.score_rows(running.service, wrong, "")
    problem = expected.value.problems[0]
    error = refusal(lambda: running.infer(typed(wrong), metadata=[("x-request-id", "mine")]))
    assert error.code() == Code.INVALID_ARGUMENT
    assert error.details() == str(expected.value)
    found = details(error)
    assert found["google.rpc.ErrorInfo"].reason == expected.value.code == "range"
    assert found["google.rpc.RequestInfo"].request_id == "mine"
    (violation,) = found["google.rpc.BadRequest"].field_violations
    assert (violation.field, violation.reason) == ("int_rate[1]", "range")
    assert violation.description == f"expected is {problem.expected}"
    assert ("x-request-id", "mine") in error.initial_metadata()
    assert sample(running.service, "inference_error_total", reason="range") == 1


def test_an_error_with_many_long_problems_still_reaches_the_client(
    running: Running, rows: list[dict[str, Any]]
) -> None:
    wrong = [{**row, "sub_grade": "Z9"} for row in (rows * 4)[:20]]
    error = refusal(lambda: running.infer(typed(wrong)))
    assert error.code() == Code.INVALID_ARGUMENT
    assert details(error)["google.rpc.BadRequest"].field_violations[0].field == "sub_grade[0]"


def _faults() -> Iterator[tuple[str, Callable[[Message], None], Code, str]]:
    def extended(request: Message) -> None:
        request.inputs.append(request.inputs[0])

    def datatype(request: Message) -> None:
        request.inputs[0].datatype = "BOOL"

    def shape(request: Message) -> None:
        request.inputs[1].shape[:] = [1, 1, 1]

    def longer(request: Message) -> None:
        request.inputs[1].shape[:] = [2]

    def empty(request: Message) -> None:
        request.inputs[0].shape[:] = [0]

    def short(request: Message) -> None:
        request.inputs[0].ClearField("contents")

    def output(request: Message) -> None:
        request.outputs.add(name="logit")

    def other(request: Message) -> None:
        request.model_name = "other"

    def old(request: Message) -> None:
        request.model_version = "6"

    def missing(request: Message) -> None:
        del request.inputs[0]

    def both(request: Message) -> None:
        request.raw_input_contents.append(b"")

    def rows(request: Message) -> None:
        request.inputs[0].shape[:] = [inference.MAX_ROWS + 1]

    def text(request: Message) -> None:
        tensor = next(t for t in request.inputs if t.datatype == "BYTES")
        tensor.contents.bytes_contents[0] = b"\xff"

    invalid = Code.INVALID_ARGUMENT
    yield "an input twice", extended, invalid, "duplicate"
    yield "an unknown datatype", datatype, invalid, "datatype"
    yield "a shape of three dimensions", shape, invalid, "shape"
    yield "a shape that is not the first input's", longer, invalid, "shape"
    yield "no row", empty, invalid, "empty"
    yield "fewer values than its shape", short, invalid, "shape"
    yield "an output that is not there", output, invalid, "output"
    yield "another model", other, Code.NOT_FOUND, "model"
    yield "another version", old, Code.NOT_FOUND, "model"
    yield "a feature missing", missing, invalid, "missing"
    yield "raw contents for one of many inputs", both, invalid, "shape"
    yield "too many rows", rows, invalid, "too_many_rows"
    yield "text that is no UTF-8", text, invalid, "type"


@pytest.mark.parametrize(
    ("spoil", "status", "reason"), [pytest.param(*rest, id=name) for name, *rest in _faults()]
)
def test_each_fault_has_its_status_and_reason(
    running: Running,
    rows: list[dict[str, Any]],
    spoil: Callable[[Message], None],
    status: Code,
    reason: str,
) -> None:
    request = typed(rows[:1])
    spoil(request)
    error = refusal(lambda: running.infer(request))
    assert error.code() == status
    assert details(error)["google.rpc.ErrorInfo"].reason == reason
    assert sample(running.service, "inference_error_total", reason=reason) == 1


def test_the_largest_batch_is_scored(running: Running, rows: list[dict[str, Any]]) -> None:
    many = (rows * inference.MAX_ROWS)[:2000]
    assert list(running.infer(typed(many)).outputs[0].shape) == [2000]


def test_a_server_that_is_loading_is_live_and_unavailable(rows: list[dict[str, Any]]) -> None:
    running = Running(Service(name=MODEL.name, version="7", metrics=Metrics(MODEL.name, "7")))
    try:
        assert running.ask("ServerLive").live
        assert not running.ask("ServerReady").ready
        assert not running.ask("ModelReady", name=MODEL.name).ready
        error = refusal(lambda: running.infer(typed(rows)))
        assert error.code() == Code.UNAVAILABLE
        assert details(error)["google.rpc.ErrorInfo"].reason == "loading"
    finally:
        running.close()


def test_the_metadata_is_rests(running: Running) -> None:
    assert running.ask("ServerReady").ready
    assert running.ask("ModelReady", name=MODEL.name, version="7").ready
    expected = inference.model_metadata(running.service)
    found = running.ask("ModelMetadata", name=MODEL.name)
    assert [tensor.name for tensor in found.inputs] == list(SCHEMA.names)
    assert [tensor.datatype for tensor in found.inputs] == [
        tensor["datatype"] for tensor in expected["inputs"]
    ]
    assert (found.name, list(found.versions)) == (MODEL.name, ["7"])
    assert running.ask("ServerMetadata").name == "ferry"


TENSORS = st.builds(
    lambda name, datatype, shape, words, numbers: {
        "name": name, "datatype": datatype, "shape": shape,
        "contents": {"bytes_contents": words, "fp64_contents": numbers, "int64_contents": [1]},
    },
    st.sampled_from(SCHEMA.names) | st.text(max_size=5),
    st.sampled_from(["FP64", "BYTES", "?", "INT64"]),
    st.lists(st.integers(-2, 3), max_size=3), st.lists(st.binary(max_size=4), max_size=3),
    st.lists(st.floats(), max_size=3),
)  # fmt: skip


@given(
    tensors=st.lists(TENSORS, max_size=3),
    contents=st.lists(st.binary(max_size=20), max_size=3),
    name=st.sampled_from([MODEL.name, MODEL.name, "", "other"]),
)
def test_no_request_is_answered_with_internal_or_unknown(
    running: Running, tensors: list[dict[str, Any]], contents: list[bytes], name: str
) -> None:
    request = Request(model_name=name, inputs=tensors, raw_input_contents=contents)
    assert refusal(lambda: running.infer(request)).code() in MALFORMED


@given(body=st.binary(max_size=200))
def test_no_bytes_are_answered_with_internal_or_unknown(running: Running, body: bytes) -> None:
    assert refusal(lambda: running.infer(body)).code() in MALFORMED
    for path in ("/grpc.health.v1.Health/Check", f"/{grpc_infer.SERVICE}/ModelMetadata"):
        assert status(lambda path=path: running.call(path, body)) in {*MALFORMED, Code.OK}


@given(place=st.integers(0, 20), value=st.floats() | st.integers(-(2**63), 2**63 - 1))
def test_any_number_is_scored_or_refused_by_its_name(
    running: Running, rows: list[dict[str, Any]], place: int, value: float
) -> None:
    request = typed(rows[:1])
    tensor = request.inputs[place]
    tensor.ClearField("contents")
    if isinstance(value, float):
        tensor.datatype = "FP64"
        tensor.contents.fp64_contents.append(value)
    else:
        tensor.datatype = "INT64"
        tensor.contents.int64_contents.append(value)
    if status(lambda: running.infer(request)) is Code.OK:
        (score,) = running.infer(request).outputs[0].contents.fp32_contents
        assert 0 <= score <= 1
    else:
        error = refusal(lambda: running.infer(request))
        assert error.code() == Code.INVALID_ARGUMENT
        violation = details(error)["google.rpc.BadRequest"].field_violations[0]
        assert violation.field == f"{tensor.name}[0]"
