"""A thread that looks at a cluster again and again, and does what nobody else does there."""

import threading
from abc import ABC, abstractmethod
from typing import Self

from lab.standins.kubernetes.client import Client


class Player(ABC):
    """Runs while its block does; `pause` is in seconds, between one `look` and the next."""

    pause: float

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @abstractmethod
    def look(self) -> None:
        """Does what there is to do now; what it raises ends the playing."""

    def _run(self) -> None:
        while not self._ended.wait(self.pause):
            self.look()
