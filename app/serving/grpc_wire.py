"""gRPC's wire format: frames, deadlines, statuses with details; pure functions of bytes."""

import base64
import re
from enum import IntEnum
from urllib.parse import quote

from app.serving import protos
from app.serving.service import Rejected

_DETAILS_BYTES = 4096
"""Clients take 8 KiB of metadata by default; more would hide the status itself."""
_MESSAGE_CHARACTERS = 1024
_TIMEOUT = re.compile(rb"(\d{1,8})([HMSmun])")
_SECONDS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_PRINTABLE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

_Status = protos.message("google.rpc.Status")
_ErrorInfo = protos.message("google.rpc.ErrorInfo")
_RequestInfo = protos.message("google.rpc.RequestInfo")
_BadRequest = protos.message("google.rpc.BadRequest")


class Code(IntEnum):
    """The statuses that the server gives."""

    OK = 0
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


_BY_STATUS = {
    404: Code.NOT_FOUND,
    408: Code.DEADLINE_EXCEEDED,
    415: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
}
_BY_REASON = {
    "route": Code.UNIMPLEMENTED,
    "shed": Code.RESOURCE_EXHAUSTED,
    "too_large": Code.RESOURCE_EXHAUSTED,
}

Headers = list[tuple[bytes, bytes]]


def code(error: Rejected) -> Code:
    """The gRPC status of a rejected request, from its reason and its HTTP status."""
    if error.code in _BY_REASON:
        return _BY_REASON[error.code]
    if error.status >= 500:
        return _BY_STATUS.get(error.status, Code.INTERNAL)
    return _BY_STATUS.get(error.status, Code.INVALID_ARGUMENT)


def frame(message: bytes) -> bytes:
    """A message as it travels: uncompressed, its length first."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def unframe(body: bytes | bytearray) -> tuple[bytes, int] | None:
    """The first message of `body` and where the next begins, or None while it is not whole.

    Raises `Rejected` for a compressed one.
    """
    if body and body[0]:
        raise Rejected(415, "encoding", "compressed messages are not accepted")
    end = 5 + int.from_bytes(body[1:5], "big")
    if len(body) < 5 or len(body) < end:
        return None
    return bytes(body[5:end]), end


def only(body: bytes | bytearray) -> bytes:
    """The one message that a whole request of a unary call consists of.

    Raises `Rejected` when it is none or more.
    """
    found = unframe(body)
    if found is None or found[1] != len(body):
        raise Rejected(400, "protocol", "the request must be exactly one whole message")
    return found[0]


def seconds(timeout: bytes) -> float:
    """The time that a client gives its call in the header grpc-timeout.

    Raises `Rejected` when the header cannot be read.
    """
    match = _TIMEOUT.fullmatch(timeout)
    if match is None:
        raise Rejected(400, "protocol", "grpc-timeout must be like 100m: digits and a unit")
    return int(match[1]) * _SECONDS[match[2]]


def trailers(code: Code, message: str, details: bytes = b"") -> Headers:
    """The end of a call that failed."""
    text = quote(message[:_MESSAGE_CHARACTERS], safe=_PRINTABLE, errors="replace")
    found = [(b"grpc-status", b"%d" % code), (b"grpc-message", text.encode())]
    if details:
        encoded = base64.b64encode(details).rstrip(b"=")
        found.append((b"grpc-status-details-bin", encoded))
    return found


def details(error: Rejected, request_id: str) -> bytes:
    """The error in Google's model: reason, request id, and each problem as a field violation.

    A violation's field is `name[row]`; the last ones are left out where all would be too long.
    """
    status = _Status(code=code(error), message=str(error)[:_MESSAGE_CHARACTERS])
    parts = [
        _ErrorInfo(reason=error.code, domain="ferry"),
        _RequestInfo(request_id=request_id),
    ]
    if error.problems:
        request = _BadRequest()
        for problem in error.problems:
            request.field_violations.add(
                field=f"{problem.field}[{problem.row}]",
                description=f"expected is {problem.expected}",
                reason=problem.code,
            )
        while request.ByteSize() > _DETAILS_BYTES - 2 * _MESSAGE_CHARACTERS:
            del request.field_violations[-1]
        parts.append(request)
    for part in parts:
        status.details.add().Pack(part)
    return status.SerializeToString()
