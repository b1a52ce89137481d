"""The messages that gRPC carries, made from `protocols.binpb`, the compiled .proto files here."""

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Message = Any
"""A message, or the class of one: the fields are known at run time only."""

FOLDER = Path(__file__).parent
COMPILE = (
    "python -m grpc_tools.protoc -I app/serving/protos --include_imports "
    "--descriptor_set_out=app/serving/protos/protocols.binpb app/serving/protos/*.proto"
)
"""How `protocols.binpb` is written after a change of a .proto file."""

# A pool of our own: other libraries' copies of the same protocols cannot clash with it.
POOL = descriptor_pool.DescriptorPool()  # ty: ignore[possibly-missing-implicit-call]
FILES: dict[str, bytes] = {}
"""Serialized file descriptors by file name, each after those that it imports."""

_set = descriptor_pb2.FileDescriptorSet()  # ty: ignore[missing-attribute] - made at run time
_set.ParseFromString((FOLDER / "protocols.binpb").read_bytes())
for _file in _set.file:
    FILES[_file.name] = _file.SerializeToString()
    POOL.AddSerializedFile(FILES[_file.name])


def message(name: str) -> Message:
    """The class of a message by its full name."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(name))
