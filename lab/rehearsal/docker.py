"""Stands in for the command `docker` where nobody runs what it builds: it pushes empty images.

`python -m lab.rehearsal.docker`; covers login, build, push and image inspect, as `docker.Image`
uses them. What was built, and the login, is kept in the folder FERRY_REHEARSAL_IMAGES.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import requests

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_TIMEOUT = 30  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="docker", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    login = commands.add_parser("login")
    login.add_argument("-u")
    login.add_argument("--password-stdin", action="store_true")
    login.add_argument("server")
    build = commands.add_parser("build")
    build.add_argument("--tag", required=True)
    build.add_argument("--file", required=True, type=Path)
    build.add_argument("--label", action="append", default=[])
    for option in ("--target", "--platform", "--build-arg"):
        build.add_argument(option)
    build.add_argument("context", type=Path)
    commands.add_parser("push").add_argument("name")
    image = commands.add_parser("image").add_subparsers(required=True).add_parser("inspect")
    image.add_argument("--format", required=True)
    image.add_argument("name")
    given = parser.parse_args()
    match given.command:
        case "login":
            _keep(given.server, {"login": [given.u, sys.stdin.read()]})
        case "build":
            _build(given)
        case "push":
            _push(given.name)
        case "image":
            known = _known(given.name)
            answers = {
                "{{.Id}}": known["id"],
                "{{json .RepoDigests}}": json.dumps(known["digests"]),
            }
            print(answers[given.format])


def _build(given: argparse.Namespace) -> None:
    if not given.file.is_file() or not given.context.is_dir():
        sys.exit(f"docker: {given.file} in {given.context} is not there")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": dict(each.split("=", 1) for each in given.label)},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    text = json.dumps(config, sort_keys=True)
    _keep(given.tag, {"config": text, "id": _digest(text), "digests": []})


def _push(name: str) -> None:
    known = _known(name)
    host, _, rest = name.partition("/")
    path, _, tag = rest.rpartition(":")
    base, config = f"https://{host}/v2/{path}", known["config"]
    session = requests.Session()
    session.auth = tuple(_known(host)["login"])
    begun = session.post(f"{base}/blobs/uploads/", timeout=_TIMEOUT)
    begun.raise_for_status()
    place = begun.headers["Location"]
    joined = f"{place}{'&' if '?' in place else '?'}digest={known['id']}"
    session.put(joined, data=config, timeout=_TIMEOUT).raise_for_status()
    described = {"mediaType": _CONFIG, "digest": known["id"], "size": len(config)}
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": []}
    )
    headers = {"Content-Type": _MANIFEST}
    session.put(
        f"{base}/manifests/{tag}", data=manifest, headers=headers, timeout=_TIMEOUT
    ).raise_for_status()
    _keep(name, {**known, "digests": [f"{host}/{path}@{_digest(manifest)}"]})


def _file(name: str) -> Path:
    return Path(os.environ["FERRY_REHEARSAL_IMAGES"]) / quote(name, safe="")


def _known(name: str) -> dict[str, Any]:
    try:
        return json.loads(_file(name).read_text())
    except FileNotFoundError:
        sys.exit(f"docker: nothing is known of {name}")


def _keep(name: str, known: dict[str, Any]) -> None:
    _file(name).write_text(json.dumps(known))


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


if __name__ == "__main__":
    main()
