"""A thin client of the Kubernetes API: objects as plain dicts, errors with the server's words."""

import json
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from lab.standins.kubernetes.kubeconfig import Connection
from lab.standins.provider import ProviderError

Object = dict[str, Any]

_APPLY = "application/apply-patch+yaml"
_JSON_PATCH = "application/json-patch+json"
_JSON = "application/json"


class Unreachable(ProviderError):
    """The API server gives no answer."""


class ApiError(ProviderError):
    """The API server's refusal: HTTP `status`, machine-readable `reason`, and its `details`."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(body.get("message") or f"the API server answered {status}")
        self.status = status
        self.reason = body.get("reason") or ""
        self.details: dict[str, Any] = body.get("details") or {}

    @property
    def missing(self) -> bool:
        return self.status == 404

    @property
    def exists(self) -> bool:
        return self.reason == "AlreadyExists"

    @property
    def missing_namespace(self) -> str | None:
        """The namespace that does not exist, when that is what is wrong."""
        if self.missing and self.details.get("kind") == "namespaces":
            return self.details.get("name")
        return None


class NoSuchKind(ProviderError):
    """The API server does not know the kind: usually its CRD is not there (yet)."""


@dataclass(frozen=True)
class Place:
    """Where the objects of a kind are: `/apis/apps/v1`, `deployments`."""

    root: str
    plural: str
    namespaced: bool


class Client:
    """Requests to one API server, safe to use from many threads."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        if connection.tls and connection.tls.verify_mode == ssl.CERT_NONE:
            # The kubeconfig asks for it; a warning per request tells nobody anything new.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        self._pool = urllib3.PoolManager(
            maxsize=64,
            ssl_context=connection.tls,
            retries=False,
            timeout=urllib3.Timeout(connect=5, read=60),
        )
        self._places: dict[tuple[str, str], Place] = {}
        self._lock = threading.Lock()

    def place(self, api_version: str, kind: str) -> Place:
        """Raises NoSuchKind; asks again next time, since a CRD may come."""
        key = (api_version, kind)
        with self._lock:
            if key in self._places:
                return self._places[key]
        root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            resources = self.request("GET", root)["resources"]
        except ApiError as error:
            if not error.missing:
                raise
            resources = []
        with self._lock:
            for each in resources:
                if "/" not in each["name"]:
                    place = Place(root, each["name"], each["namespaced"])
                    self._places[api_version, each["kind"]] = place
            if key in self._places:
                return self._places[key]
        raise NoSuchKind(
            f"the Kubernetes API server at {self.connection.server} has no kind {kind} in "
            f"{api_version}; verify that any required CRDs have been created"
        )

    def get(self, target: Object) -> Object:
        """The live object with the kind, namespace and name of `target`."""
        return self.request("GET", self._path(target))

    def has(self, target: Object) -> bool:
        """Whether the object exists."""
        try:
            self.get(target)
        except ApiError as error:
            if error.missing:
                return False
            raise
        return True

    def resource(self, target: Object) -> str:
        """What the server calls the kind: `deployments.apps`."""
        group = target["apiVersion"].rpartition("/")[0]
        plural = self.place(target["apiVersion"], target["kind"]).plural
        return f"{plural}.{group}" if group else plural

    def create(self, manifest: Object, manager: str, *, dry_run: bool) -> Object:
        query = _query(fieldManager=manager, dryRun="All" if dry_run else None)
        return self.request("POST", self._path(manifest, named=False), query, manifest)

    def apply(self, manifest: Object, manager: str, *, force: bool, dry_run: bool) -> Object:
        query = _query(
            fieldManager=manager,
            force="true" if force else "false",
            dryRun="All" if dry_run else None,
        )
        return self.request("PATCH", self._path(manifest), query, manifest, _APPLY)

    def patch(self, target: Object, operations: list[Object]) -> Object:
        """A JSON patch."""
        return self.request("PATCH", self._path(target), {}, operations, _JSON_PATCH)

    def delete(self, target: Object, propagation: str) -> None:
        options = {"propagationPolicy": propagation, "kind": "DeleteOptions", "apiVersion": "v1"}
        self.request("DELETE", self._path(target), {}, options)

    def find(self, api_version: str, kind: str, namespace: str, **query: str) -> list[Object]:
        """The objects of a kind in a namespace; `query` may hold labelSelector, fieldSelector."""
        target = {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": namespace}}
        items = self.request("GET", self._path(target, named=False), query)["items"]
        return [{"apiVersion": api_version, "kind": kind, **item} for item in items]

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | list[Object] | None = None,
        content_type: str = _JSON,
    ) -> Object:
        """One request; raises ApiError for a refusal and Unreachable for silence."""
        url = self.connection.server + path + (f"?{urlencode(query)}" if query else "")
        headers = {"User-Agent": "pulumi-kubernetes", **self.connection.login()}
        try:
            response = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers={**headers, "Accept": _JSON, "Content-Type": content_type},
            )
        except urllib3.exceptions.HTTPError as error:
            where = f"{self.connection.server} ({self.connection.source})"
            message = f"configured Kubernetes cluster is unreachable: {where}: {_cause(error)}"
            raise Unreachable(message) from error
        try:
            answer = json.loads(response.data) if response.data else {}
        except ValueError:
            answer = {"message": response.data[:500].decode(errors="replace")}
        if response.status >= 400:
            raise ApiError(response.status, answer)
        return answer

    def _path(self, target: Object, *, named: bool = True) -> str:
        place = self.place(target["apiVersion"], target["kind"])
        metadata = target.get("metadata") or {}
        path = place.root
        if place.namespaced:
            namespace = metadata.get("namespace") or self.connection.namespace
            path += f"/namespaces/{quote(namespace, safe='')}"
        path += f"/{place.plural}"
        return f"{path}/{quote(metadata['name'], safe='')}" if named else path


def _query(**options: str | None) -> dict[str, str]:
    return {key: text for key, text in options.items() if text is not None}


def _cause(error: urllib3.exceptions.HTTPError) -> str:
    inner = error.__cause__ or error
    return str(inner) or type(inner).__name__
