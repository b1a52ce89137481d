"""What a registry says about an image: its digest and its labels, over the registry's HTTP API."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import requests

from lab.standins import buildah
from lab.standins.reference import Reference

_MANIFESTS: Final = (
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json"
)
_TIMEOUT: Final = 10  # seconds
_PATIENCE: Final = 30  # seconds
_HUB: Final = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True)
class Pushed:
    """An image in a registry. `digest` names its manifest, `image` its configuration."""

    digest: str
    image: str
    labels: dict[str, str]


def wait(host: str, sleep: Callable[[float], None] = time.sleep) -> None:
    """Returns when `host` answers as a registry, or after half a minute.

    One that was created a moment ago may not listen yet, or not be known to the proxy before it.
    """
    for _ in range(_PATIENCE):
        try:
            status = requests.get(f"{_base(host)}/", timeout=_TIMEOUT).status_code
        except requests.exceptions.SSLError:
            return  # only docker knows which registries it trusts
        except requests.RequestException:
            status = 0
        if status in {requests.codes.ok, requests.codes.unauthorized}:
            return
        sleep(1)


def find(name: Reference, credentials: tuple[str, str] | None) -> Pushed | None:
    """The image that `name` stands for now; None when it is not there or cannot be seen.

    `credentials`: user and password.
    """
    base = f"{_base(name.host)}/{name.path}"
    with requests.Session() as session:
        session.auth = credentials
        try:
            tag = name.digest or name.tag or "latest"
            found = _get(session, f"{base}/manifests/{tag}", {"Accept": _MANIFESTS})
            manifest = found.json()
            image = manifest["config"]["digest"]
            content = _get(session, f"{base}/blobs/{image}", {}).json()
            digest = found.headers["Docker-Content-Digest"]
        except (requests.RequestException, KeyError, ValueError):
            # To not see it costs a build that finds every layer in its cache.
            return None
    return Pushed(digest, image, (content.get("config") or {}).get("Labels") or {})


def _base(host: str) -> str:
    # Docker's own rule for this machine; the rest has to be declared.
    plain = Reference(host, "").is_loopback or host in buildah.insecure_registries()
    return f"{'http' if plain else 'https'}://{_HUB.get(host, host)}/v2"


def _get(session: requests.Session, url: str, headers: dict[str, str]) -> requests.Response:
    answer = session.get(url, headers=headers, timeout=_TIMEOUT)
    challenge = answer.headers.get("WWW-Authenticate", "")
    if answer.status_code == requests.codes.unauthorized and challenge.startswith("Bearer "):
        fields: dict[str, Any] = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        token = session.get(fields.pop("realm"), params=fields, timeout=_TIMEOUT).json()
        bearer = f"Bearer {token.get('token') or token['access_token']}"
        # A request's own header gives way to the session's basic authentication.
        session.auth = lambda request: request.headers.update(Authorization=bearer) or request
        answer = session.get(url, headers=headers, timeout=_TIMEOUT)
    answer.raise_for_status()
    return answer
