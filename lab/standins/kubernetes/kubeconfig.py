"""Where the cluster is and who we are there, from a kubeconfig."""

import base64
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.standins.kubernetes import login
from lab.standins.provider import ProviderError

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Connection:
    """A cluster's address and credentials; `source` names where they come from."""

    source: str
    server: str
    namespace: str
    login: Callable[[], Mapping[str, str]] = field(repr=False)
    """The headers by which the server knows us."""
    tls: ssl.SSLContext | None = field(repr=False)


def load(given: str | None, context: str | None) -> Connection:
    """From contents or a path; by default from $KUBECONFIG or ~/.kube/config.

    Raises ProviderError that names the source and the missing entry.
    """
    source, text, folder = _read(given)
    try:
        config = yaml.load(text, Loader=SafeLoader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as error:
        raise ProviderError(f"{source} is not YAML: {error}") from error
    if not isinstance(config, dict) or "clusters" not in config:
        raise ProviderError(f"{source} is no kubeconfig: it has no `clusters`")
    name = context or config.get("current-context")
    if not name:
        raise ProviderError(f"{source} has no current-context; set one, or the provider's context")
    chosen = _entry(config, "contexts", name, "context", source)
    cluster = _entry(config, "clusters", chosen.get("cluster"), "cluster", source)
    user = _entry(config, "users", chosen["user"], "user", source) if chosen.get("user") else {}
    server = str(cluster.get("server", ""))
    tls = _tls(cluster, user, folder) if server.startswith("https:") else None
    return Connection(
        source=source,
        server=server.rstrip("/"),
        namespace=chosen.get("namespace") or "default",
        login=_login(user, folder, source, tls),
        tls=tls,
    )


def server(path: Path) -> tuple[str, str]:
    """URL and authority (base64) of the server that a file's current context leads to.

    Raises ProviderError.
    """
    source, text, folder = _read(str(path))
    config = yaml.load(text, Loader=SafeLoader)  # noqa: S506 (a safe loader)
    chosen = _entry(config, "contexts", config.get("current-context"), "context", source)
    cluster = _entry(config, "clusters", chosen.get("cluster"), "cluster", source)
    authority = _data(cluster, "certificate-authority", folder) or b""
    return str(cluster["server"]), base64.b64encode(authority).decode()


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the provider's old and new arguments lead to different servers, as far as known."""
    servers = []
    for args in (old, new):
        try:
            servers.append(load(args.get("kubeconfig"), args.get("context")).server)
        except ProviderError:
            return False
    return servers[0] != servers[1]


def _read(given: str | None) -> tuple[str, str, Path]:
    if given and ("\n" in given or given.lstrip().startswith("{")):
        return "the provider's kubeconfig", given, Path.cwd()
    # Of several files in $KUBECONFIG the first that exists counts.
    candidates = (given or os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep)
    paths = [Path(entry).expanduser() for entry in candidates if entry]
    path = next((each for each in paths if each.is_file()), paths[0])
    try:
        return f"kubeconfig {path}", path.read_text(), path.parent
    except OSError as error:
        raise ProviderError(f"kubeconfig {path} cannot be read: {error.strerror}") from error


def _entry(
    config: Mapping[str, Any], section: str, name: str | None, key: str, source: str
) -> dict[str, Any]:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            return entry.get(key) or {}
    raise ProviderError(f"{source} has no {key} {name!r}")


def _login(
    user: Mapping[str, Any], folder: Path, source: str, tls: ssl.SSLContext | None
) -> Callable[[], Mapping[str, str]]:
    if "auth-provider" in user:
        raise ProviderError(
            f"{source} takes its credentials from an auth-provider; the lab's stand-in for "
            "kubernetes covers client certificates, tokens, passwords and commands (exec)"
        )
    if "exec" in user:
        return login.Command(user["exec"], folder, source, tls)
    headers = _headers(user, folder)
    return lambda: headers


def _headers(user: Mapping[str, Any], folder: Path) -> dict[str, str]:
    token = user.get("token")
    if token_file := user.get("tokenFile"):
        token = (folder / token_file).read_text().strip()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if name := user.get("username"):
        pair = base64.b64encode(f"{name}:{user.get('password', '')}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    authority = _data(cluster, "certificate-authority", folder)
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = _data(user, "client-certificate", folder)
    key = _data(user, "client-key", folder)
    if certificate and key:
        login.load(context, certificate, key)
    return context


def _data(entry: Mapping[str, Any], key: str, folder: Path) -> bytes | None:
    if inline := entry.get(f"{key}-data"):
        return base64.b64decode(inline)
    if path := entry.get(key):
        return (folder / path).read_bytes()
    return None
