"""The API server, as a pod with a service account sees it: get one object, list some, patch one."""

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Unanswered(Exception):
    """The API server refused, did not answer, or not with an object."""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """One namespace of a cluster; the token is read anew each time, for it is renewed."""

    session: aiohttp.ClientSession
    url: str
    namespace: str
    token: Path
    trust: ssl.SSLContext | bool = True

    @classmethod
    def inside(cls, session: aiohttp.ClientSession, namespace: str) -> Self:
        """The cluster that this process is a pod of; raises `KeyError` and `OSError` elsewhere."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        host = f"[{host}]" if ":" in host else host
        return cls(
            session=session,
            url=f"https://{host}:{port}",
            namespace=namespace,
            token=ACCOUNT / "token",
            trust=ssl.create_default_context(cafile=ACCOUNT / "ca.crt"),
        )

    async def get(self, version: str, kind: str, name: str) -> dict[str, Any]:
        """An object; `kind` is the plural of its resource. Raises `Unanswered`."""
        return await self._asked("GET", version, f"{kind}/{name}")

    async def list(self, version: str, kind: str, selector: str) -> list[dict[str, Any]]:
        """The objects with these labels. Raises `Unanswered`."""
        answer = await self._asked("GET", version, kind, params={"labelSelector": selector})
        found = answer.get("items")
        if not isinstance(found, list):
            raise Unanswered(f"the API server's list of {kind} has no items")
        return found

    async def patch(self, version: str, kind: str, name: str, change: dict[str, Any]) -> None:
        """Merge a change into an object, or the part of it after a slash. Raises `Unanswered`."""
        merge = {"content-type": "application/merge-patch+json"}
        await self._asked("PATCH", version, f"{kind}/{name}", merge, data=json.dumps(change))

    async def _asked(
        self,
        method: str,
        version: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        **more: Any,  # noqa: ANN401 - as aiohttp takes it
    ) -> dict[str, Any]:
        group = f"apis/{version}" if "/" in version else f"api/{version}"
        try:
            async with self.session.request(
                method,
                f"{self.url}/{group}/namespaces/{self.namespace}/{path}",
                headers={
                    "authorization": f"Bearer {self.token.read_text().strip()}",
                    **(headers or {}),
                },
                **more,
                ssl=self.trust,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise Unanswered(f"the API server answers {answer.status} to {path}")
            found = json.loads(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError) as error:
            raise Unanswered(f"the API server does not answer to {path}: {error!r}") from error
        if not isinstance(found, dict):
            raise Unanswered(f"the API server answers {path} with no object")
        return found
