"""gRPC's wire format: frames, deadlines and texts, and the protocols themselves."""

import contextlib
import subprocess
import sys
from urllib.parse import unquote

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from app.schema import Problem
from app.serving import grpc_wire, protos
from app.serving.service import Rejected


@given(text=st.text())
def test_a_statuss_text_is_printable_ascii_that_reads_back(text: str) -> None:
    ((_, _), (_, encoded)) = grpc_wire.trailers(grpc_wire.Code.NOT_FOUND, text)
    assert all(0x20 <= byte < 0x7F for byte in encoded)
    assert unquote(encoded.decode()) == text[:1024].encode(errors="replace").decode()


def test_details_never_outgrow_what_clients_take() -> None:
    problem = Problem(code="category", field="f" * 64, row=1, expected="e" * 300)
    error = Rejected(422, "category", "x" * 5000, [problem] * 20)
    details = grpc_wire.details(error, "id")
    assert len(details) <= 4096
    *_, last = protos.message("google.rpc.Status").FromString(details).details
    kept = protos.message("google.rpc.BadRequest").FromString(last.value).field_violations
    assert 1 <= len(kept) < 20


@given(messages=st.lists(st.binary(max_size=50)), cut=st.integers(0, 300))
def test_frames_come_apart_as_they_were_put_together(messages: list[bytes], cut: int) -> None:
    body = b"".join(map(grpc_wire.frame, messages))
    found = []
    while (one := grpc_wire.unframe(body)) is not None:
        found.append(one[0])
        body = body[one[1] :]
    assert found == messages
    if messages:
        whole = grpc_wire.frame(messages[0])
        assert grpc_wire.unframe(whole[: min(cut, len(whole) - 1)]) is None


@pytest.mark.parametrize(
    ("header", "seconds"), [(b"100m", 0.1), (b"2S", 2), (b"1H", 3600), (b"5u", 5e-6), (b"3M", 180)]
)
def test_a_deadline_is_read_in_its_unit(header: bytes, seconds: float) -> None:
    assert grpc_wire.seconds(header) == pytest.approx(seconds)


@given(header=st.binary(max_size=12) | st.from_regex(rb"[0-9]{0,9}[HMSmunx]", fullmatch=True))
def test_a_deadline_that_cannot_be_read_is_refused(header: bytes) -> None:
    good = header[:-1].isdigit() and len(header) <= 9 and header[-1:] in b"HMSmun"
    with contextlib.nullcontext() if good else pytest.raises(Rejected, match="grpc-timeout"):
        assert grpc_wire.seconds(header) >= 0


def test_the_compiled_protocols_are_those_of_the_proto_files() -> None:
    before = (protos.FOLDER / "protocols.binpb").read_bytes()
    sources = sorted(path.name for path in protos.FOLDER.glob("*.proto"))
    command = ["-m", "grpc_tools.protoc", f"-I{protos.FOLDER}", "--include_imports"]
    made = subprocess.run(
        [sys.executable, *command, "--descriptor_set_out=/dev/stdout", *sources],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    assert made.stdout == before, f"compile them again: {protos.COMPILE}"
