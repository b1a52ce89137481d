"""What a served model answers: asked until it does, and told in words when it does not."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from infra.outputs import ServedModel, ServedRelease
from promotion import health

ROW = {"credit-default": {"a": 1}}


class Server(ThreadingHTTPServer):
    """Refuses the first `refusals` requests as an Ingress controller without a route does."""

    refusals = 0
    asked: tuple[str, ...] = ()


class _Handler(BaseHTTPRequestHandler):
    server: Server  # ty: ignore[incompatible-mutable-override]

    def do_GET(self) -> None:
        self.server.asked += (f"{self.command} {self.path}",)
        self.rfile.read(int(self.headers.get("content-length", "0")))
        refused = len(self.server.asked) <= self.server.refusals
        body = b"no available server" if refused else json.dumps({"probability": 0.5}).encode()
        self.send_response(503 if refused else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(health, "_PAUSE", 0.01)
    with Server(("127.0.0.1", 0), _Handler) as serving:
        thread = Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield serving
        serving.shutdown()
        thread.join()


def served(server: Server) -> dict[str, ServedModel]:
    image, weights, evidence = ("sha256:" + digit * 64 for digit in "123")
    release = ServedRelease(version=3, image=image, weights=weights, evidence=evidence)
    url = f"http://127.0.0.1:{server.server_port}"
    model = ServedModel(url=url, namespace="m", rollout="credit-default", release=release)
    return {"credit-default": model}


def test_a_model_that_answers_is_well_and_is_asked_once(server: Server) -> None:
    found = health.ask(served(server), ROW, patience=5)["credit-default"]
    assert found.well
    assert found.score == {"probability": 0.5}
    assert sorted(server.asked) == ["GET /v2/models/credit-default", "POST /predict"]


def test_without_a_row_nothing_is_scored(server: Server) -> None:
    found = health.ask(served(server), {})["credit-default"]
    assert found.well
    assert "score" not in found.document()
    assert server.asked == ("GET /v2/models/credit-default",)


def test_a_route_that_comes_late_is_waited_for(server: Server) -> None:
    server.refusals = 5
    assert health.ask(served(server), ROW, patience=5)["credit-default"].well


def test_without_patience_silence_is_told_at_once_in_the_servers_words(server: Server) -> None:
    server.refusals = 2
    found = health.ask(served(server), ROW)["credit-default"]
    assert not found.well
    assert found.document()["score"] == "503: no available server"
    assert len(server.asked) == 2


def test_a_score_alone_that_is_missing_is_not_well(server: Server) -> None:
    server.refusals = 1  # the score is asked first
    assert not health.ask(served(server), ROW)["credit-default"].well


def test_nobody_at_the_address_is_an_answer_in_words(server: Server) -> None:
    models = served(server)
    server.server_close()
    found = health.ask(models, {})["credit-default"]
    assert isinstance(found.answers, str)
    assert found.answers.startswith("no answer: ")
