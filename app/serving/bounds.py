"""What REST clients may ask of the server in size, number and time."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.serving.service import Rejected


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What clients may ask of the server; slow ones cost only what they have sent."""

    body_bytes: int = 1 << 20
    head_bytes: int = 32 << 10
    fields: int = 100
    """Of a head: each takes far more memory than its bytes."""
    dropped_bytes: int = 64 << 20
    """Of a refused body, read so that its sender gets to see the answer."""
    receive_seconds: float = 10.0
    """From the first byte of a request to its last."""
    idle_seconds: float = 120.0
    """Between two requests; longer than a proxy in front keeps a connection, so that it closes."""
    connections: int = 1024
    pipelined: int = 32
    """Requests of a connection that wait for the one before them, scored together or not."""

    def check_head(self, read: int, url: bytes, fields: Sequence[tuple[bytes, bytes]]) -> None:
        """Raise `Rejected` for a head that is too large; `read`, the bytes that it came among,
        spares most heads the sum."""
        if len(fields) > self.fields or (
            read > self.head_bytes
            and len(url) + sum(len(name) + len(value) + 4 for name, value in fields)
            > self.head_bytes
        ):
            raise self.large_head()

    def large_head(self) -> Rejected:
        """The error for a head above the bounds."""
        text = f"a head has at most {self.head_bytes} bytes and {self.fields} fields"
        return Rejected(431, "too_large", text)
