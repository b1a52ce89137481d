"""A real PostgreSQL of this machine's, set up as RDS has one: TLS alone, a master, rds_iam."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from lab.rehearsal.services import free_port
from lab.toolchain import debian

MASTER = {"username": "master", "password": "of-the-master"}
_OWNER = "postgres"  # the server does not run as root
_HBA = """\
local all postgres peer
# RDS asks PAM about the tokens of whoever is in rds_iam, and takes passwords of nobody of them.
# Here the one who has tokens has them as passwords, and the others have none.
hostssl all mlflow 127.0.0.1/32 password
hostssl all +rds_iam 127.0.0.1/32 reject
hostssl all all 127.0.0.1/32 scram-sha-256
"""
# The master of RDS' is no superuser.
_BEGINS = f"""\
CREATE ROLE rds_iam NOLOGIN;
CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD '{MASTER["password"]}';
"""


@dataclass(frozen=True, kw_only=True)
class Rds:
    """Its address is `localhost`, which its certificate names."""

    folder: Path
    port: int

    @property
    def environment(self) -> dict[str, str]:
        """Of a process that works with it through the stand-in of rds/sitecustomize.py."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parent / "rds"),
            "RDS_STANDIN": str(self.folder),
            "PGPORT": str(self.port),
            "HOME": str(self.folder),
        }

    def ask(self, query: str, database: str = "postgres") -> list[str]:
        """The rows that the query gives a superuser, past all logins; columns by `|`."""
        place = ["-h", str(self.folder), "-p", str(self.port), "-d", database]
        command = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *place, "-c", query]
        done = subprocess.run(command, user=_OWNER, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def give(self, user: str, token: str) -> None:
        """From now on IAM gives `user` this token, and the server takes no other."""
        self.ask(f"ALTER ROLE {user} PASSWORD '{token}'")
        (self.folder / "token").write_text(token)

    def asked(self) -> list[dict[str, object]]:
        """What Amazon was asked with for tokens and secrets, in order."""
        return [json.loads(line) for line in (self.folder / "asked").read_text().splitlines()]


@contextmanager
def rds(secret: str) -> Generator[Rds]:
    """One that is there until the end; `secret` is the ARN of its master's login."""
    debian(["postgresql"])
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parts[-2]))
    folder = Path(tempfile.mkdtemp(prefix="ferry-postgres-"))
    found = Rds(folder=folder, port=free_port())
    try:
        _certificate(folder)
        (folder / "secrets").write_text(json.dumps({secret: MASTER}))
        (folder / "asked").touch()
        shutil.chown(folder, _OWNER)
        folder.chmod(0o755)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "--no-sync", "-A", "peer", "-E", "UTF8"],
            user=_OWNER,
            stdout=subprocess.DEVNULL,
            check=True,
        )
        (data / "pg_hba.conf").write_text(_HBA)
        options = {
            "port": found.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "ssl": "on",
            "ssl_cert_file": folder / "authority.pem",
            "ssl_key_file": folder / "key.pem",
            "fsync": "off",
        }
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", data, *(f"--{k}={v}" for k, v in options.items())],
                user=_OWNER,
                stderr=log,
            )
        try:
            again = Retrying(
                retry=retry_if_exception_type(subprocess.CalledProcessError),
                stop=stop_after_delay(20),
                wait=wait_fixed(0.1),
                reraise=True,
            )
            again(found.ask, "SELECT 1")
            found.ask(_BEGINS)
            yield found
        finally:
            server.send_signal(signal.SIGINT)  # at once, whoever is connected
            server.wait(20)
    finally:
        shutil.rmtree(folder)


def _certificate(folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-nodes", "-days", "2"),
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-keyout", folder / "key.pem", "-out", folder / "authority.pem"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        stderr=subprocess.DEVNULL,
        check=True,
    )
    shutil.chown(folder / "key.pem", _OWNER)
