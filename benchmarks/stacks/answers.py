"""Stands in for MLflow and for the served models: three calls of the one, one of the others."""

import contextlib
import json
import threading
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse


class Answers:
    """MLflow's versions by number and aliases by name; `served` says what a stack's model is."""

    def __init__(self, served: Callable[[str, str], str | None]) -> None:
        self.versions: dict[int, dict[str, Any]] = {}
        self.aliases: dict[str, int] = {}
        self.url = ""
        self._served = served

    def get(self, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        if path == "/api/2.0/mlflow/model-versions/get":
            found = self.versions.get(int(query["version"][0]))
            return None if found is None else {"model_version": found}
        if path == "/api/2.0/mlflow/registered-models/get":  # before each alias that it moves
            return {"registered_model": {"name": query["name"][0]}}
        stack, _, model = path.strip("/").partition("/v2/models/")
        version = self._served(stack, model) if model else None
        return None if version is None else {"name": model, "versions": [version]}

    def post(self, path: str, said: dict[str, Any]) -> dict[str, Any] | None:
        if path != "/api/2.0/mlflow/registered-models/alias":
            return None
        self.aliases[said["alias"]] = int(said["version"])
        return {}


@contextlib.contextmanager
def answering(answers: Answers) -> Generator[Answers]:
    """Answers on a free port of this process; `url` says where."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            at = urlparse(self.path)
            self._tell(answers.get(at.path, parse_qs(at.query)))

        def do_POST(self) -> None:
            said = json.loads(self.rfile.read(int(self.headers["content-length"])))
            self._tell(answers.post(urlparse(self.path).path, said))

        def _tell(self, found: dict[str, Any] | None) -> None:
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": self.path}
            body = json.dumps(missing if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: object, client_address: object) -> None:
            """A caller that was killed is no news here."""

    server = Server(("127.0.0.1", 0), Handler)
    answers.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
