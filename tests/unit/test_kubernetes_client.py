"""What the thin Kubernetes client sends, and what it makes of answers, over real sockets."""

import base64
import datetime
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab.standins.kubernetes import kubeconfig, manifests
from lab.standins.kubernetes.client import ApiError, Client, NoSuchKind, Unreachable
from lab.standins.provider import ProviderError

CORE = {
    "resources": [
        {"name": "pods", "kind": "Pod", "namespaced": True},
        {"name": "pods/status", "kind": "Pod", "namespaced": True},
        {"name": "nodes", "kind": "Node", "namespaced": False},
    ]
}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "n"}}


@dataclass
class Server:
    """Answers by method and path with a status and a body; remembers what it was asked."""

    answers: dict[str, tuple[int, object]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    address: str = ""

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length).decode()
                server.asked.append((f"{self.command} {self.path}", dict(self.headers), body))
                route = f"{self.command} {self.path.partition('?')[0]}"
                status, answer = server.answers.get(route, (404, {"reason": "NotFound"}))
                data = answer if isinstance(answer, str) else json.dumps(answer)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(data.encode())

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server({"GET /api/v1": (200, CORE)})
    with _listening(server, None):
        yield server


class _listening:
    def __init__(self, server: Server, tls: ssl.SSLContext | None) -> None:
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), server.handler())
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        scheme = "https" if tls else "http"
        server.address = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


def client(address: str, cluster: dict[str, Any] | None = None, user: object = None) -> Client:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": address, **(cluster or {})}}],
        "users": [{"name": "c", "user": user or {}}],
    }
    return Client(kubeconfig.load(yaml.safe_dump(config), None))


def test_kinds_are_found_once_and_subresources_are_none(server: Server) -> None:
    api = client(server.address)
    assert api.place("v1", "Pod").plural == "pods"
    assert not api.place("v1", "Node").namespaced
    assert [line for line, _, _ in server.asked] == ["GET /api/v1"]


def test_a_missing_kind_is_asked_for_again_since_it_may_come(server: Server) -> None:
    api = client(server.address)
    for _ in range(2):
        with pytest.raises(NoSuchKind, match=r"no kind Gear in test/v1; verify .* CRDs"):
            api.place("test/v1", "Gear")
    gears = {"resources": [{"name": "gears", "kind": "Gear", "namespaced": True}]}
    server.answers["GET /apis/test/v1"] = (200, gears)
    assert api.place("test/v1", "Gear").root == "/apis/test/v1"
    assert api.resource({"apiVersion": "test/v1", "kind": "Gear"}) == "gears.test"
    assert api.resource(POD) == "pods"


def test_each_verb_has_its_path_its_query_and_its_type(server: Server) -> None:
    api = client(server.address)
    named, every = "/api/v1/namespaces/n/pods/a", "/api/v1/namespaces/n/pods"
    server.answers |= {f"{verb} {named}": (200, POD) for verb in ("GET", "PATCH", "DELETE")}
    server.answers |= {f"POST {every}": (201, POD), f"GET {every}": (200, {"items": [{"a": 1}]})}
    server.answers["GET /api/v1/nodes/a"] = (200, {})
    api.get(POD)
    api.get({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}})
    api.create(POD, "me", dry_run=True)
    api.apply(POD, "me", force=True, dry_run=False)
    api.patch(POD, [{"op": "remove"}])
    api.delete(POD, "Orphan")
    found = api.find("v1", "Pod", "n", labelSelector="a=b")
    assert found == [{"apiVersion": "v1", "kind": "Pod", "a": 1}]
    seen = [(line, headers["Content-Type"], body) for line, headers, body in server.asked[1:]]
    plain, sent = "application/json", json.dumps(POD)
    options = '{"propagationPolicy": "Orphan", "kind": "DeleteOptions", "apiVersion": "v1"}'
    assert seen == [
        (f"GET {named}", plain, ""),
        ("GET /api/v1/nodes/a", plain, ""),
        (f"POST {every}?fieldManager=me&dryRun=All", plain, sent),
        (f"PATCH {named}?fieldManager=me&force=true", "application/apply-patch+yaml", sent),
        (f"PATCH {named}", "application/json-patch+json", '[{"op": "remove"}]'),
        (f"DELETE {named}", plain, options),
        (f"GET {every}?labelSelector=a%3Db", plain, ""),
    ]


def test_an_object_without_a_namespace_is_in_the_contexts(server: Server) -> None:
    server.answers["GET /api/v1/namespaces/default/pods/a"] = (200, POD)
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert client(server.address).get(bare) == POD


def test_a_refusal_has_the_servers_words(server: Server) -> None:
    api = client(server.address)
    status = {"reason": "AlreadyExists", "message": "it is there", "details": {"kind": "pods"}}
    server.answers["GET /api/v1/namespaces/n/pods/a"] = (409, status)
    with pytest.raises(ApiError, match=r"^it is there$") as caught:
        api.get(POD)
    assert (caught.value.exists, caught.value.missing, caught.value.status) == (True, False, 409)
    with pytest.raises(ApiError, match="it is there"):
        api.has(POD)
    gone = {"reason": "NotFound", "details": {"kind": "namespaces", "name": "n"}}
    server.answers["GET /api/v1/namespaces/n/pods/a"] = (404, gone)
    with pytest.raises(ApiError, match="the API server answered 404") as caught:
        api.get(POD)
    assert (caught.value.missing, caught.value.missing_namespace) == (True, "n")
    assert not api.has(POD)
    server.answers["GET /api/v1/namespaces/n/pods/a"] = (502, "<html>bad gateway</html>")
    with pytest.raises(ApiError, match="bad gateway"):
        api.get(POD)


def test_silence_names_the_server_and_where_it_comes_from(server: Server) -> None:
    with pytest.raises(Unreachable, match=r"http://127.0.0.1:9 \(the provider's kubeconfig\): "):
        client("http://127.0.0.1:9").get(POD)


def test_a_token_is_sent_and_not_shown(server: Server, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    api = client(server.address, user={"tokenFile": str(tmp_path / "token")})
    api.place("v1", "Pod")
    assert server.asked[0][1]["Authorization"] == "Bearer hunter2"
    assert "hunter2" not in repr(api.connection)


@pytest.mark.parametrize("inline", [True, False])
def test_both_sides_prove_who_they_are(tmp_path: Path, inline: bool) -> None:
    certificate, key = _certificate(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    tls.load_verify_locations(certificate)
    tls.verify_mode = ssl.CERT_REQUIRED
    server = Server({"GET /api/v1": (200, CORE)})

    def entry(name: str, path: Path) -> dict[str, str]:
        encoded = base64.b64encode(path.read_bytes()).decode()
        return {f"{name}-data": encoded} if inline else {name: str(path)}

    cluster = entry("certificate-authority", certificate)
    user = entry("client-certificate", certificate) | entry("client-key", key)
    with _listening(server, tls):
        assert client(server.address, cluster, user).place("v1", "Pod").namespaced
        with pytest.raises(Unreachable, match="certificate verify failed"):
            client(server.address, user=user).place("v1", "Pod")
        trusting = {"insecure-skip-tls-verify": True}
        assert client(server.address, trusting, user).place("v1", "Pod").namespaced
        with pytest.raises(Unreachable):
            client(server.address, cluster).place("v1", "Pod")


def test_manifests_are_fetched_from_an_address(server: Server) -> None:
    server.answers["GET /m.yaml"] = (200, "kind: Pod\n---\nkind: Node\n")
    found = manifests.read(f"{server.address}/m.yaml")
    assert [each["kind"] for each in found] == ["Pod", "Node"]
    with pytest.raises(ProviderError, match=r"fetching YAML from .*/none.yaml: HTTP 404"):
        list(manifests.read(f"{server.address}/none.yaml"))
    with pytest.raises(ProviderError, match=r"fetching YAML from http://127.0.0.1:9/a: "):
        list(manifests.read("http://127.0.0.1:9/a"))


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, good for either side."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
