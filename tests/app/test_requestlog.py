"""The request log: what is sampled arrives whole, and nothing else than the log ever suffers."""

import gzip
import threading
import time
from collections.abc import Callable, Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest
from conftest import MODEL, SCHEMA, sample

from app.serving import inference, model, requestlog
from app.serving.requestlog import RequestLog
from app.serving.service import Service


class Memory:
    """A bucket that can be down, or slow."""

    def __init__(self, fails: int = 0) -> None:
        self.objects: dict[str, bytes] = {}
        self.fails = fails
        self.tried: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def put(self, key: str, content: bytes) -> None:
        self.tried.append(key)
        self.open.wait(10)
        if len(self.tried) <= self.fails:
            raise OSError("the bucket is down")
        self.objects[key] = content

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [
            msgspec.json.decode(line)
            for content in self.objects.values()
            for line in gzip.decompress(content).splitlines()
        ]


Open = Callable[..., RequestLog]


@pytest.fixture
def open_log(service: Service) -> Generator[Open]:
    opened: list[RequestLog] = []

    def make(bucket: Memory, rate: float = 1) -> RequestLog:
        opened.append(RequestLog(service, bucket.put, rate))
        return opened[-1]

    yield make
    for log in opened:
        log.close()


def _dropped(service: Service) -> float | None:
    return sample(service, "request_log_dropped_total")


def _until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


def test_a_scored_row_is_a_line_with_features_and_score(
    open_log: Open, service: Service, loan: dict[str, Any]
) -> None:
    bucket = Memory()
    log = open_log(bucket)
    service.sampled = log
    (score,) = inference.score_rows(service, [loan], "abc").tolist()
    log.close()
    (line,) = bucket.lines
    assert abs(line.pop("time") - time.time()) < 60
    assert line == {
        "id": "abc", "row": 0, "model": MODEL.name, "version": "7", "features": loan,
        "score": score,
    }  # fmt: skip
    assert list(line["features"]) == list(SCHEMA.names)


def test_the_key_names_model_version_and_hour(open_log: Open, loan: dict[str, Any]) -> None:
    bucket = Memory()
    log = open_log(bucket)
    log.offer("a", [loan], [0.5])
    log.close()
    (key,) = bucket.objects
    prefix, model_name, version, hour, name = key.split("/")
    assert (prefix, model_name, version) == ("requests", MODEL.name, "7")
    assert time.strptime(hour, "%Y-%m-%dT%H").tm_year > 2000
    assert name.endswith(".jsonl.gz")


def test_nothing_but_the_models_features_is_kept(open_log: Open, loan: dict[str, Any]) -> None:
    bucket = Memory()
    log = open_log(bucket)
    log.offer("a", [{**loan, MODEL.dataset.key: 4711, "name": "Ada"}], [0.5])
    log.close()
    (line,) = bucket.lines
    assert line["features"].keys() == set(SCHEMA.names)
    assert line.keys() == {"time", "id", "row", "model", "version", "features", "score"}


def test_the_share_that_is_asked_for_is_sampled(open_log: Open, loan: dict[str, Any]) -> None:
    bucket = Memory()
    log = open_log(bucket, rate=0.25)
    for _ in range(100):
        log.offer("a", [loan] * 20, [0.5] * 20)
    log.close()
    # Six standard deviations of a binomial are 116.
    assert 380 < len(bucket.lines) < 620


def test_a_sampled_row_is_known_by_its_place_in_the_request(
    open_log: Open, rows: list[dict[str, Any]]
) -> None:
    bucket = Memory()
    log = open_log(bucket, rate=0.5)
    given = rows[:20]
    for turn in range(20):
        log.offer(str(turn), given, [float(place) for place in range(len(given))])
    log.close()
    assert {line["row"] for line in bucket.lines} == set(range(len(given)))
    for line in bucket.lines:
        assert (line["score"], line["features"]) == (line["row"], given[line["row"]])
    keys = [(line["id"], line["row"]) for line in bucket.lines]
    assert len(set(keys)) == len(keys)


def test_many_rows_are_written_before_the_time_is_up(
    open_log: Open, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_FLUSH_ROWS", 3)
    bucket = Memory()
    log = open_log(bucket)
    for place in range(4):
        log.offer(str(place), [loan], [0.5])
        time.sleep(0.002)
    _until(lambda: len(bucket.lines) >= 3)
    log.close()
    assert [line["id"] for line in bucket.lines] == ["0", "1", "2", "3"]


def test_few_rows_are_written_when_the_time_is_up(
    open_log: Open, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_FLUSH_SECONDS", 0.05)
    bucket = Memory()
    open_log(bucket).offer("a", [loan], [0.5])
    _until(lambda: bucket.lines)


def test_each_hour_has_its_own_object(
    open_log: Open, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = Memory()
    log = open_log(bucket)
    for now in (7199.0, 7200.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        log.offer(str(now), [loan], [0.5])
    log.close()
    assert [key.split("/")[3] for key in bucket.objects] == ["1970-01-01T01", "1970-01-01T02"]


def test_a_bucket_that_comes_back_gets_everything_once(
    open_log: Open, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_FLUSH_ROWS", 1)
    monkeypatch.setattr(requestlog, "_FIRST_WAIT_SECONDS", 0.01)
    bucket = Memory(fails=2)
    open_log(bucket).offer("a", [loan], [0.5])
    _until(lambda: bucket.objects)
    assert len(set(bucket.tried)) == 1, "each try is of the same key"
    assert len(bucket.tried) == 3
    assert _dropped(service) == 0


def test_a_bucket_that_stays_down_costs_the_rows_and_is_counted(
    open_log: Open, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_FLUSH_ROWS", 1)
    monkeypatch.setattr(requestlog, "_FIRST_WAIT_SECONDS", 0.001)
    bucket = Memory(fails=requestlog._TRIES)
    log = open_log(bucket)
    log.offer("a", [loan], [0.5])
    _until(lambda: _dropped(service) == 1)
    log.offer("b", [loan], [0.5])
    _until(lambda: [line["id"] for line in bucket.lines] == ["b"])


def test_what_does_not_fit_is_dropped_at_once_and_counted(
    open_log: Open, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_KEPT_BYTES", 2000)
    bucket = Memory()
    bucket.open.clear()
    log = open_log(bucket)
    begun = time.monotonic()
    for _ in range(1000):
        log.offer("a", [loan], [0.5])
    assert time.monotonic() - begun < 1
    dropped = _dropped(service)
    bucket.open.set()
    log.close()
    assert dropped == 1000 - len(bucket.lines)
    assert 1 <= len(bucket.lines) <= 10


def test_what_was_written_makes_place_again(
    open_log: Open, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_FLUSH_ROWS", 1)
    monkeypatch.setattr(requestlog, "_KEPT_BYTES", 1500)
    bucket = Memory()
    log = open_log(bucket)
    for written in range(1, 6):
        log.offer("a", [loan], [0.5])
        _until(lambda written=written: len(bucket.tried) == written)
        time.sleep(0.002)  # keys differ by the millisecond
    assert _dropped(service) == 0


def test_a_bucket_that_hangs_keeps_no_server_from_leaving(
    open_log: Open, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_CLOSE_SECONDS", 0.2)
    bucket = Memory()
    bucket.open.clear()
    log = open_log(bucket)
    log.offer("a", [loan], [0.5])
    begun = time.monotonic()
    log.close()
    assert time.monotonic() - begun < 2
    bucket.open.set()


def test_closing_does_not_wait_out_a_bucket_that_is_down(
    open_log: Open, service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_FLUSH_ROWS", 1)
    monkeypatch.setattr(requestlog, "_FIRST_WAIT_SECONDS", 60.0)
    monkeypatch.setattr(requestlog, "_CLOSE_SECONDS", 0.5)
    bucket = Memory(fails=1)
    log = open_log(bucket)
    log.offer("a", [loan], [0.5])
    _until(lambda: bucket.tried)
    log.close()
    assert bucket.lines, "it was tried once more before leaving"
    log.offer("late", [loan], [0.5])
    assert _dropped(service) == 1, "after the end nothing is taken"


@pytest.fixture
def endpoint() -> Generator[tuple[str, list[tuple[str, str, bytes]]]]:
    """An S3 of one's own that says yes to everything, and what it was sent."""
    sent: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sent.append((self.path, self.headers["authorization"], body))
            self.send_response(200)
            self.send_header("etag", '"1"')
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", sent
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_speaks_s3_path_style_over_plain_http(
    service: Service, loan: dict[str, Any], endpoint: tuple[str, list[tuple[str, str, bytes]]]
) -> None:
    url, sent = endpoint
    environment = {
        "REQUEST_LOG_SAMPLE": "1",
        "FERRY_BUCKET": "ferry-dev",
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    log = requestlog.start(environment, service)
    assert log is not None
    log.offer("a", [loan], [0.5])
    log.close()
    ((path, authorization, body),) = sent
    assert path.startswith(f"/ferry-dev/requests/{MODEL.name}/7/")
    assert "Credential=key/" in authorization
    assert "/eu-west-1/s3/" in authorization
    assert msgspec.json.decode(gzip.decompress(body))["id"] == "a"
    assert _dropped(service) == 0


def test_an_endpoint_that_nobody_listens_on_harms_nothing(
    service: Service, loan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requestlog, "_CLOSE_SECONDS", 2.0)
    environment = {
        "REQUEST_LOG_SAMPLE": "1",
        "FERRY_BUCKET": "ferry-dev",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    log = requestlog.start(environment, service)
    service.sampled = log
    assert log is not None
    assert inference.score_rows(service, [loan], "a").shape == (1,)
    log.close()
    assert _dropped(service) == 1


@pytest.mark.parametrize("given", [{}, {"REQUEST_LOG_SAMPLE": ""}, {"REQUEST_LOG_SAMPLE": "0"}])
def test_without_a_share_there_is_no_log(service: Service, given: dict[str, str]) -> None:
    assert requestlog.start(given, service) is None


@pytest.mark.parametrize("share", ["2", "-0.1", "nan", "often"])
def test_a_share_that_is_none_is_refused_by_name(service: Service, share: str) -> None:
    environment = {"REQUEST_LOG_SAMPLE": share, "FERRY_BUCKET": "ferry-dev"}
    with pytest.raises(model.Unfit, match="REQUEST_LOG_SAMPLE"):
        requestlog.start(environment, service)


def test_a_share_without_a_bucket_is_refused(service: Service) -> None:
    with pytest.raises(model.Unfit, match="FERRY_BUCKET"):
        requestlog.start({"REQUEST_LOG_SAMPLE": "0.1"}, service)


def test_a_mirrored_request_is_not_sampled(
    open_log: Open, service: Service, loan: dict[str, Any]
) -> None:
    bucket = Memory()
    log = open_log(bucket)
    service.sampled = log
    inference.score_rows(service, [loan], "mirror-1")
    inference.score_rows(service, [loan], "other")
    log.close()
    assert [line["id"] for line in bucket.lines] == ["other"]
