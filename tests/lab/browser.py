"""A headless Chromium opens one page, and tells what the page did and what is to be seen of it."""

import base64
import json
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE = "chromium-headless-shell"
_PATIENCE = 60  # seconds for one answer
_IMAGES = "[...document.images].map(each => [each.naturalWidth, each.naturalHeight])"
# Chromium speaks over its descriptors 3 and 4. Its sandbox cannot be had as root.
_START = (
    f'exec {PACKAGE} --remote-debugging-pipe --no-sandbox --disable-gpu --hide-scrollbars'
    ' --user-data-dir="$1" 3<&"$2" 4>&"$3"'
)  # fmt: skip

Document = dict[str, Any]


@dataclass
class Seen:
    """What a page did while it loaded, and what stood there after."""

    requests: list[str] = field(default_factory=list)
    """Addresses that were asked for, the page's own first."""
    complaints: list[str] = field(default_factory=list)
    """What the console shows, and exceptions and dialogs."""
    images: list[list[int]] = field(default_factory=list)
    """Width and height of each image, 0 where it could not be shown."""
    text: str = ""
    picture: bytes = b""
    """PNG of the top of the page."""

    def note(self, method: str, told: Document) -> None:
        """Take up one event of the page."""
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(told["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(told["exceptionDetails"]["text"])
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"dialog: {told['message']}")


def look(file: Path, width: int = 1100, height: int = 1400) -> Seen:
    """Opens the file in a window of so many pixels. Raises TimeoutError or EOFError."""
    seen = Seen()
    with _chromium() as (answers, questions):
        tab = _Tab(answers, questions, seen)
        tab.ask("Emulation.setDeviceMetricsOverride",
                width=width, height=height, deviceScaleFactor=1, mobile=False)  # fmt: skip
        tab.load(file.absolute().as_uri())
        seen.images = tab.value(_IMAGES)
        seen.text = tab.value("document.body.innerText")
        seen.picture = base64.b64decode(tab.ask("Page.captureScreenshot")["data"])
    return seen


class _Tab:
    """One tab, by the DevTools protocol: JSON documents that end with a NUL."""

    def __init__(self, answers: int, questions: int, seen: Seen) -> None:
        self._answers, self._questions, self._seen = answers, questions, seen
        self._rest = b""
        self._asked = 0
        self._loaded = False
        self._session: Document = {}
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.ask(f"{domain}.enable")

    def load(self, url: str) -> None:
        """Goes there, and waits until everything in the page is there."""
        self.ask("Page.navigate", url=url)
        while not self._loaded:
            self._take(self._next())

    def value(self, expression: str) -> Any:  # noqa: ANN401 - any JSON
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"][
            "value"
        ]

    def ask(self, method: str, **parameters: object) -> Document:
        asked = self._send(method, parameters)
        while (answer := self._next()).get("id") != asked:
            self._take(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _send(self, method: str, parameters: Document) -> int:
        self._asked += 1
        question = {"id": self._asked, "method": method, "params": parameters, **self._session}
        os.write(self._questions, json.dumps(question).encode() + b"\0")
        return self._asked

    def _take(self, event: Document) -> None:
        method = event.get("method", "")
        self._loaded |= method == "Page.loadEventFired"
        self._seen.note(method, event.get("params", {}))
        if method == "Page.javascriptDialogOpening":  # the page stands still until it is answered
            self._send("Page.handleJavaScriptDialog", {"accept": True})

    def _next(self) -> Document:
        until = time.monotonic() + _PATIENCE
        while b"\0" not in self._rest:
            if not select.select([self._answers], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium said nothing for {_PATIENCE} s")
            if not (more := os.read(self._answers, 1 << 20)):
                raise EOFError("Chromium ended")
            self._rest += more
        one, _, self._rest = self._rest.partition(b"\0")
        return json.loads(one)


@contextmanager
def _chromium() -> Generator[tuple[int, int]]:
    """The descriptors to read its answers from and to write questions to."""
    (heard, questions), (answers, said) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["bash", "-c", _START, "bash", profile, str(heard), str(said)]
        with subprocess.Popen(command, pass_fds=(heard, said), stderr=subprocess.DEVNULL) as run:
            os.close(heard)
            os.close(said)
            try:
                yield answers, questions
            finally:
                run.kill()
                os.close(answers)
                os.close(questions)
