"""Prints every method and route of the MLflow server that it runs beside, as JSON: run in its pod.

The application is made anew, on an empty database of users, as the server's own command does it.
"""

import json
import os
import tempfile
from pathlib import Path

scratch = Path(tempfile.mkdtemp())
(scratch / "auth.ini").write_text(
    f"[mlflow]\ndefault_permission = NO_PERMISSIONS\ndatabase_uri = sqlite:///{scratch}/auth.db\n"
    "admin_username = nobody\nadmin_password = of-no-use-anywhere\n"
)
os.environ |= {
    "MLFLOW_AUTH_CONFIG_PATH": str(scratch / "auth.ini"),
    "_MLFLOW_SGI_NAME": "uvicorn",
    "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{scratch}/mlflow.db",
    "prometheus_multiproc_dir": str(scratch),
}

from fastapi.openapi.utils import get_openapi  # noqa: E402 - reads what is set above
from mlflow.server import app as inner  # noqa: E402
from mlflow.server.auth import create_app  # noqa: E402

outer = create_app(inner)
described = get_openapi(title="", version="", routes=outer.routes)["paths"]
routes = {(method.upper(), path) for path, methods in described.items() for method in methods}
routes |= {(method, rule.rule) for rule in inner.url_map.iter_rules() for method in rule.methods}
print(json.dumps(sorted(routes)))
