"""Stands in for the command `aws` where a kubeconfig calls it: `aws eks get-token`.

The login is that of the kubeconfig in FERRY_REHEARSAL_KUBECONFIG, whatever cluster is named.
"""

import argparse
import base64
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

_LASTS = timedelta(minutes=14)  # as EKS has it


def main() -> None:
    parser = argparse.ArgumentParser(prog="aws")
    parser.add_argument("service", choices=["eks"])
    parser.add_argument("command", choices=["get-token"])
    parser.add_argument("--region", required=True)
    parser.add_argument("--cluster-name", required=True)
    parser.parse_args()
    if not (named := os.environ.get("FERRY_REHEARSAL_KUBECONFIG")):
        sys.exit("aws: FERRY_REHEARSAL_KUBECONFIG is not set; `make rehearse`")
    file = Path(named)
    (user,) = (each["user"] for each in yaml.safe_load(file.read_text())["users"])
    expires = datetime.now(UTC) + _LASTS
    json.dump(
        {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "kind": "ExecCredential",
            "spec": {},
            "status": {
                "expirationTimestamp": expires.isoformat(timespec="seconds"),
                **_credentials(user, file.parent),
            },
        },
        sys.stdout,
    )


def _credentials(user: dict[str, str], folder: Path) -> dict[str, str]:
    if "token" in user:
        return {"token": user["token"]}
    found = {}
    for ours, theirs in (
        ("clientCertificateData", "client-certificate"),
        ("clientKeyData", "client-key"),
    ):
        inline = user.get(f"{theirs}-data")
        content = base64.b64decode(inline) if inline else (folder / user[theirs]).read_bytes()
        found[ours] = content.decode()
    return found


if __name__ == "__main__":
    main()
