"""What every answer of the server has: an id, and errors as JSON."""

import itertools
import os
import re
import traceback
from collections.abc import Iterable

import msgspec
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.serving import logs
from app.serving.service import Rejected

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEAD = b"%bcontent-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
_ids = map(f"{os.urandom(6).hex()}-{{:x}}".format, itertools.count(1))
_encode = msgspec.json.Encoder().encode


def too_large(most: int) -> Rejected:
    """The error for a body above the bound."""
    return Rejected(413, "too_large", f"a body has at most {most} bytes")


def bug(request_id: str, error: Exception) -> Rejected:
    """The error for a failure of ours, which is logged: its place, and nothing of the request."""
    logs.write("bug", id=request_id, where=traceback.format_tb(error.__traceback__)[-1])
    return Rejected(500, "internal", "the server failed; the request id is in its log")


def rejection(request_id: str, error: Rejected) -> bytes:
    """The error as JSON; `error` alone satisfies the Open Inference Protocol."""
    body = {
        "error": str(error),
        "code": error.code,
        "problems": error.problems,
        "requestId": request_id,
    }
    return _encode(body)


def request_id_of(given: bytes = b"") -> str:
    """The id that a request brought, where it may be one, or else a new one."""
    return given.decode() if _REQUEST_ID.fullmatch(given) else next(_ids)


def whole(
    status: int,
    content: bytes,
    request_id: str,
    headers: Iterable[tuple[bytes, bytes]],
    *,
    keep: bool,
) -> bytes:
    """An answer as the bytes of HTTP/1.1; not `keep`: with the word that it is the last."""
    head = _HEAD % (STATUS_LINE[status], len(content), request_id.encode())
    for header in headers:
        head += b"%b: %b\r\n" % header
    if status == 503:
        head += b"retry-after: 1\r\n"
    if not keep:
        head += b"connection: close\r\n"
    return head + b"\r\n" + content
