"""Objects of gzipped JSON lines, read within bounds."""

import gzip
import zlib
from collections.abc import Iterable
from typing import TypeVar

import msgspec

MOST_BYTES = 64 << 20
"""Of an object's lines, unpacked; a server's have some 1.5 MB."""

_Line = TypeVar("_Line")
_encode = msgspec.json.Encoder().encode


class Broken(ValueError):
    """An object that is not what its writer writes; the message says where."""


def read(content: bytes, decoder: msgspec.json.Decoder[_Line]) -> list[_Line]:
    """Every line; raises `Broken` unless all of them are whole and of the decoder's type."""
    unpacking = zlib.decompressobj(wbits=31)
    try:
        text = unpacking.decompress(content, MOST_BYTES)
    except zlib.error as error:
        raise Broken(f"no gzip: {error}") from error
    if not unpacking.eof or unpacking.unused_data:
        raise Broken(f"{len(content)} bytes of gzip are cut off, too many, or not alone")
    try:
        return decoder.decode_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Broken(f"a line is not as it should be: {error}") from error


def written(lines: Iterable[object]) -> bytes:
    """The lines as `read` takes them; the same lines give the same bytes."""
    return gzip.compress(b"".join(_encode(line) + b"\n" for line in lines), 6, mtime=0)
