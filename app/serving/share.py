"""What bodies may hold at once: one total over all requests, and each request's share of it."""


class Total:
    """Bytes of bodies that are held while they arrive and until they are answered."""

    __slots__ = ("most", "taken")

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def share(self) -> "Share":
        """A share of nothing yet."""
        return Share(self)


class Share:
    """What one request holds of the total, from the first `take` until `give_back`."""

    __slots__ = ("_held", "_open", "_total", "dropped", "full")

    def __init__(self, total: Total) -> None:
        self._total = total
        self._held = 0
        self._open = True
        self.full = False
        """Whether there was no room for all of it; the request is then refused."""
        self.dropped = 0
        """Bytes that came and were not to be kept."""

    def take(self, size: int) -> bool:
        """Hold `size` bytes more. When False, nothing that comes is to be kept any more: there
        was no room for it, or the share has been given back."""
        total = self._total
        if self._open and total.taken + size <= total.most:
            total.taken += size
            self._held += size
            return True
        self.full = self.full or self._open
        self._open = False
        self.dropped += size
        return False

    def give_back(self) -> None:
        """Hold nothing any more, whatever comes; more than once is as good as once."""
        self._total.taken -= self._held
        self._held = 0
        self._open = False
